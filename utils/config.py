"""Flags in, RunConfig out: the edge where everything that a user types is checked.

argparse knows the names, pydantic the values. Settings that change what comes out are told apart from
those that only change how fast or how loud (`RunConfig.determining`).
"""

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from utils.errors import ConfigError, EndpointError
from utils.logs import complain, writes_json
from utils.recording import as_recorded
from utils.schema import Sampling, as_extra
from utils.shown import holds_key, holds_secret_field, names_secret, value_shown
from utils.storage import holds_password, is_url
from utils.streams import say

EVOL_INSTRUCT = "evol-instruct"
DEEPSEEK_URL = "https://api.deepseek.com"
DEEPSEEK_MODEL = "deepseek-flash"
DEEPSEEK_KEY = "DEEPSEEK_API_KEY"
SUFFIXES = (".json", ".jsonl", ".parquet")

# Of what each stage samples unless the llm-config says otherwise: evolving, answering and judging are
# greedy, analyzing and optimizing sample (paper, section 4.1).
GREEDY = Sampling(temperature=0.0)
CREATIVE = Sampling(temperature=0.6, top_p=0.95)
STAGE_SAMPLING = {"analyze": CREATIVE, "optimize": CREATIVE, "explore": CREATIVE}


ONE_URL = r"https?://[^\s/?#@,]+([/?#][^\s,]*)?"


def _no_key(name: str) -> str:
    if len(name) >= 12 and "_" not in name and any(map(str.isdigit, name)) and name not in os.environ:
        raise ValueError("a key in the place of its variable's name")
    return name


def _url_holds_secret(path: str) -> bool:
    return is_url(path) and holds_secret_field(path)


def _without_key(urls: str) -> str:
    if holds_secret_field(urls):
        raise ValueError("a URL with a key")
    return urls


class LLMConfig(BaseModel):
    """One of the two `--*-llm-config` flags."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1)] = DEEPSEEK_MODEL
    # Given more than once, or with commas: several servers of one model.
    base_url: Annotated[str, Field(pattern=rf"^{ONE_URL}(,{ONE_URL})*$"), AfterValidator(_without_key)] = DEEPSEEK_URL
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_no_key)] | None = None
    # "none" sends the field not at all, for models that reject it; unset means the stage's own default.
    temperature: Annotated[float, Field(ge=0, le=2)] | Literal["none"] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | Literal["none"] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: int | None = None
    timeout: Annotated[float, Field(gt=0)] = 600.0
    max_retries: Annotated[int, Field(ge=0, le=100)] = 6
    price_in: Annotated[Decimal, Field(ge=0)] | None = None
    price_out: Annotated[Decimal, Field(ge=0)] | None = None
    price_cached: Annotated[Decimal, Field(ge=0)] | None = None
    rpm: Annotated[float, Field(gt=0)] | None = None
    tpm: Annotated[float, Field(gt=0)] | None = None
    outage_minutes: Annotated[float, Field(gt=0)] = 10.0
    service_tier: Annotated[str, Field(min_length=1)] | None = None
    # Whatever else a server wants in the body: `extra.NAME=VALUE`, where dots in NAME nest.
    extra: dict[str, Any] = {}

    @field_validator("base_url")
    @classmethod
    def _to_the_endpoint(cls, value: str) -> str:
        """Without what is appended to it anyway: the whole address of an endpoint is what documentation shows."""
        return ",".join(map(_without_endpoint, value.split(",")))

    @property
    def base_urls(self) -> tuple[str, ...]:
        return tuple(self.base_url.split(","))

    def sampling(self, stage: str) -> Sampling:
        """The sampling fields of a request of `stage`; what the user has set holds for all stages."""
        default = STAGE_SAMPLING.get(stage, GREEDY)
        temperature = default.temperature if self.temperature is None else self.temperature
        top_p = default.top_p if self.top_p is None else self.top_p
        return Sampling(
            None if temperature == "none" else temperature,
            None if top_p == "none" else top_p,
            self.max_tokens,
            self.seed,
            as_extra(self.extra) if self.extra else None,
        )

    def of_endpoint(self) -> str:
        """All that is set about the endpoint and what it is asked, as JSON: a refusal holds only while it is the same.

        What merely says how it is reached, or what it costs, is left out.
        """
        settings = self.model_dump(mode="json", exclude=LLM_HOW_REACHED, exclude_defaults=True)
        return json.dumps({"base_url": self.base_url, **settings}, sort_keys=True)

    def api_key(self) -> str:
        """The key from the environment; `api_key_env=none` says that the server takes none.

        A server on this machine may need none either. Raises EndpointError where a key is needed and missing,
        and where the key of DeepSeek would go to somebody else's server.
        """
        if self.api_key_env == "none":
            return "none"
        name = self.api_key_env or DEEPSEEK_KEY
        hosts = [urlsplit(base_url).hostname or "" for base_url in self.base_urls]
        local = all(host in ("localhost", "::1") or host.startswith("127.") for host in hosts)
        key = os.environ.get(name, "").strip()
        if self.api_key_env is None and not local and not all(f".{h}".endswith(".deepseek.com") for h in hosts):
            raise EndpointError(
                f"which key is for {hosts[0]}? Name its variable: api_key_env=NAME, or api_key_env=none"
            )
        if not key and (self.api_key_env or not local):
            empty = f" ({name} is empty)" if name in os.environ else ""
            raise EndpointError(f"no API key{empty}: set {name} in the environment or in .env, or try --offline")
        return key or "none"

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal:
        """Cost at the prices given, which are per million tokens; 0 without prices."""
        full, out = self.price_in or Decimal(0), self.price_out or Decimal(0)
        cached = full if self.price_cached is None else self.price_cached
        fresh = max(0, input_tokens - cached_tokens)
        return (fresh * full + cached_tokens * cached + output_tokens * out) / 1_000_000


def _without_endpoint(base_url: str) -> str:
    address = urlsplit(base_url)
    return urlunsplit(address._replace(path=address.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")))


def _test_run(value: Any) -> Any:
    return {"true": 1, "false": 0}.get(str(value).lower(), value)


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, ValueError) as exc:
        raise ValueError("give the name of a text encoding: cp949, utf-16, cp1252 …") from exc
    return name


def _by_comma(value: Any) -> Any:
    return tuple(value.split(",")) if isinstance(value, str) else value


class RunConfig(BaseModel):
    """All flags, checked. Field names are the flags' names; docs/defaults stand in `build_parser`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data_path: str | None = None
    split: str | None = None
    subset: str | None = None
    instruction_field: str | None = None
    response_field: str | None = None
    input_field: str | None = None
    turn: Literal["last", "first", "all"] = "last"
    keep_columns: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_by_comma)] = ()
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    train_size: Annotated[int, Field(ge=1)] = 20
    dev_size: Annotated[int, Field(ge=1)] = 50
    seed: int = 42
    batch_size: Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"] = 10
    max_steps: Annotated[int, Field(ge=0)] = 3
    loop: Annotated[int, Field(ge=1)] = 3
    candidate_size: Annotated[int, Field(ge=1)] = 5
    patience: Annotated[int, Field(ge=1)] = 3
    test_run: Annotated[Literal[0, 1], BeforeValidator(lambda value: int(_test_run(value)))] = 0
    save_path: str = "evolution_result.json"  # a file or, on a cluster, a URL
    evol_llm_config: LLMConfig = LLMConfig()
    optim_llm_config: LLMConfig = LLMConfig()
    offline: bool = False
    method: str = "auto"
    compare: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_by_comma)] = ()
    methods: Annotated[int, Field(ge=1)] = 1
    breadth: Annotated[float, Field(ge=0, le=1)] = 0.0
    keep_generations: bool | None = None
    max_overlap: Annotated[float, Field(ge=0, le=1)] = 0.7
    judge: Literal["all", "dev", "off"] = "all"
    generations: Annotated[int, Field(ge=0)] = 1
    attempts: Annotated[int, Field(ge=1)] = 2
    explore: tuple[Annotated[str, Field(pattern=r"\S")], ...] = ()
    explore_depth: Annotated[int, Field(ge=1, le=6)] = 2
    explore_breadth: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_by_comma)] = (8, 6)
    explore_samples: Annotated[int, Field(ge=1)] = 10
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    max_calls: Annotated[int, Field(ge=0)] | None = None
    max_cost: Annotated[Decimal, Field(ge=0)] | None = None
    min_retention: Annotated[float, Field(ge=0, le=1)] | None = None
    plan: bool = False
    replay: Path | None = None
    export_journal: Path | None = None
    quiet: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    lang: Literal["en", "ko"] | None = None
    no_report: bool = False
    tag: bool = False
    tag_size: Annotated[int, Field(ge=1)] = 100
    export: Literal["alpaca", "messages", "sharegpt"] | None = None
    reasoning: Literal["field", "think", "drop"] | None = None
    push_to_hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    fresh: bool = False

    @model_validator(mode="after")
    def _fit_together(self) -> "RunConfig":
        if self.result.suffix not in SUFFIXES:
            raise ValueError(f"--save-path must end in one of {', '.join(SUFFIXES)}, not {self.result.name!r}")
        if self.data_path and self.explore:
            raise ValueError("--data-path and --explore exclude each other: seeds come from one or from the other")
        if self.data_path and (holds_password(self.data_path) or _url_holds_secret(self.data_path)):
            raise ValueError("--data-path holds a password: leave it out, and give credentials in the environment")
        if self.ray_address and "@" in self.ray_address:
            raise ValueError("--ray-address is HOST:PORT, without user or password")
        if not self.data_path and not self.explore and not self.offline:
            raise ValueError("--data-path is missing: a Hugging Face data set or a local file; or try --offline")
        if self.reasoning and not self.export:
            raise ValueError("--reasoning needs --export: it says how an export writes the thoughts")
        if self.reasoning == "field" and self.export != "messages":
            raise ValueError(f"--reasoning field needs --export messages: {self.export} has no such field")
        self._check_engine()
        for name in ("evol", "optim"):
            config: LLMConfig = getattr(self, f"{name}_llm_config")
            if self.max_cost is not None and (config.price_in is None or config.price_out is None):
                raise ValueError(f"--max-cost needs prices: give price_in and price_out in --{name}-llm-config")
        return self

    def _check_engine(self) -> None:
        if self.engine == "local":
            if self.ray_address:
                raise ValueError("--ray-address needs --engine ray")
            if is_url(self.save_path):
                raise ValueError("--save-path in an object store needs --engine ray: name a file here")
            return
        if is_url(self.save_path):
            if holds_password(self.save_path) or "?" in self.save_path:
                raise ValueError("--save-path: leave out password and options; they belong into the environment")
            if self.result.suffix != ".parquet" or self.export:
                raise ValueError("an object store takes the partitions of --save-path NAME.parquet and nothing else")
        if self.in_partitions and self.push_to_hub:
            raise ValueError("--push-to-hub with --engine ray needs one file: a --save-path in .json or .jsonl")
        if self.ray_address and self.ray_address.startswith("ray://"):
            raise ValueError("--ray-address ray:// is Ray Client: start this on a node of the cluster, with HOST:PORT")
        if find_spec("ray") is None:
            raise ValueError(
                "--engine ray needs Ray: install requirements-ray.txt with the pip of this Python (.venv/bin/pip)"
            )

    @property
    def result(self) -> Path:
        """The result file; of one in an object store its name in this folder, which the run folder is in."""
        return Path(PurePosixPath(self.save_path).name if is_url(self.save_path) else self.save_path)

    @property
    def in_partitions(self) -> bool:
        """Is the result a folder of Parquet files, as those who work on clusters want it?"""
        return self.engine == "ray" and self.result.suffix == ".parquet"

    @property
    def rejects(self) -> str:
        """The file, or the folder of partitions, that holds the rows that are not in the result."""
        return self.on_store(self.run_folder / ("rejects" if self.in_partitions else "rejects.jsonl"))

    def on_store(self, path: Path) -> str:
        """Where the large files of a cluster stand for `path`, which is the result, or lies beside it or below."""
        if not is_url(self.save_path):
            return str(path)
        return f"{self.save_path.rpartition('/')[0]}/{path.relative_to(self.result.parent).as_posix()}"

    @property
    def run_folder(self) -> Path:
        return self.result.with_suffix(".run")

    @property
    def keeps_generations(self) -> bool:
        """Is every generation a row of its own? As in the paper, the default for Evol-Instruct."""
        kept = self.method == EVOL_INSTRUCT if self.keep_generations is None else self.keep_generations
        return kept and self.generations > 0

    def row_key(self, row_id: int, generation: int | None) -> int:
        """Rows by id, then by generation where these are kept."""
        return row_id * max(1, self.generations) + (generation or 1) - 1

    @property
    def groups_at_once(self) -> int:
        """Groups of ten rows under way: enough that the endpoint never waits for a slow row."""
        return 64 if self.batch_size == "auto" else max(4, self.batch_size)

    @property
    def longest_silence(self) -> float:
        """Seconds in which honest work brings forth a group of rows: six calls of it, and an outage waited for."""
        llms = (self.evol_llm_config, self.optim_llm_config)
        return max(600.0, *(6 * llm.timeout + 60 * llm.outage_minutes for llm in llms))

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The environment variables that hold the keys of both LLMs."""
        return tuple(c.api_key_env or DEEPSEEK_KEY for c in (self.evol_llm_config, self.optim_llm_config))

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that other machines need: keys of both LLMs, and what opens the Hub."""
        return (*self.key_variables, "MY_HF_TOKEN", "HF_TOKEN", "HF_ENDPOINT")

    def for_worker(self, workers: int, requests: int | None) -> "RunConfig":
        """The configuration of one of so many workers: its share of requests in flight and of all rates."""
        shares: dict[str, Any] = {"batch_size": requests or "auto"}
        for name in LLM_FLAGS:
            config: LLMConfig = getattr(self, name)
            rates = {rate: getattr(config, rate) for rate in ("rpm", "tpm")}
            shares[name] = config.model_copy(update={rate: value and value / workers for rate, value in rates.items()})
        return self.model_copy(update=shares)

    def determining(self) -> dict[str, Any]:
        """The settings that change what comes out, as JSON values: a run is told apart by these."""
        settings = self.model_dump(mode="json", exclude=HOW_NOT_WHAT)
        for name in LLM_FLAGS:
            settings[name] = getattr(self, name).model_dump(mode="json", exclude=LLM_HOW_NOT_WHAT)
        return settings


LLM_FLAGS = ("evol_llm_config", "optim_llm_config")
HOW_NOT_WHAT = {
    *("engine", "ray_address"),
    *("batch_size", "save_path", "max_calls", "max_cost", "min_retention", "plan", "replay", "export_journal"),
    *("log_format", "lang", "no_report", "tag", "tag_size", "export", "reasoning", "push_to_hub"),
    *("quiet", "log_level", "fresh", "evol_llm_config", "optim_llm_config"),
}
LLM_HOW_REACHED = {
    *("timeout", "max_retries", "price_in", "price_out", "price_cached", "rpm", "tpm", "outage_minutes"),
    "service_tier",
}
LLM_HOW_NOT_WHAT = {*LLM_HOW_REACHED, "api_key_env", "max_tokens_field"}
# The settings that a replay takes from its recording, and of an llm-config the keys.
FROM_RECORDINGS = {
    **{name: () for name in RunConfig.model_fields if name not in HOW_NOT_WHAT},
    **dict.fromkeys(LLM_FLAGS, tuple(LLMConfig.model_fields.keys() - LLM_HOW_NOT_WHAT - {"base_url"})),
}


_VALUE = re.compile(r" '.*'")  # as argparse repeats one
KEYS_BELONG = (
    "keys belong into the environment or into .env, as DEEPSEEK_API_KEY or MY_HF_TOKEN; "
    "api_key_env=NAME in the llm-config names another variable"
)


class _Parser(argparse.ArgumentParser):
    """argparse whose last line on stderr is `error: …`, as the contract of this program wants it.

    No value is repeated there: who mistakes a flag may have given it a key.
    """

    def error(self, message: str) -> NoReturn:
        if not writes_json():
            self.print_usage(sys.stderr)
        complain(f"{re.sub(_VALUE, '', ' '.join(message.split()))}; see --help")
        self.exit(2)

    def parse_args(self, args: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        options, unknown = self.parse_known_args(args)
        for word in unknown:
            flag = word.partition("=")[0]
            if re.fullmatch(r"--?[a-z][a-z_-]{1,30}", flag):
                self.error(f"unknown flag {flag}" + (f": {KEYS_BELONG}" if names_secret(flag) else ""))
        if unknown:
            self.error("a word belongs to no flag: quote a text with blanks, and a pattern with stars")
        return options

    def print_help(self, file: Any = None) -> None:
        say(self.format_help().rstrip("\n"))


def build_parser() -> argparse.ArgumentParser:
    """All flags with their help; values are checked by RunConfig."""
    parser = _Parser(
        prog="main.sh",
        description="Auto Evol-Instruct: learn how to make instructions harder, then evolve a whole data set.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    flag = parser.add_argument
    data = parser.add_argument_group("seeds")
    kinds = ".jsonl .json .csv .tsv .parquet .arrow"
    data.add_argument("--data-path", metavar="NAME|FILE", help=f"Hub data set; or file, folder, glob, URL of {kinds}")
    data.add_argument("--split", help="split of the data set (default: train, or the only one)")
    data.add_argument("--subset", help="configuration of the data set")
    data.add_argument("--instruction-field", metavar="COLUMN", help="default: instruction, or a chat column")
    data.add_argument("--response-field", metavar="COLUMN", help="default: response, if there is one")
    data.add_argument("--input-field", metavar="COLUMN", help="default: input, if there is one; joined in; none: not")
    data.add_argument("--turn", metavar="last|first|all", help="which user turn of a chat is the seed (last answered)")
    data.add_argument("--keep-columns", metavar="A,B|all", help="columns that go through to the result, as extra")
    data.add_argument("--encoding", metavar="NAME", help="of text files that are not UTF-8: cp949, utf-16, …")
    data.add_argument("--explore", metavar="DOMAIN", action="append", help="seeds from exploring a domain; repeatable")
    data.add_argument("--explore-depth", metavar="K", help="levels of sub-tasks (2)")
    data.add_argument("--explore-breadth", metavar="B,B", help="sub-tasks of a task, per level (8,6)")
    data.add_argument("--explore-samples", metavar="N", help="instructions per task (10)")
    flag("--train-size", metavar="N", help="instructions to learn from (20)")
    flag("--dev-size", metavar="N", help="instructions that methods are measured on (50)")
    flag("--seed", metavar="N", help="of the split and of all draws (42)")
    flag("--batch-size", metavar="N|auto", help="requests in flight, over both LLMs (10)")
    learning = parser.add_argument_group("learning")
    learning.add_argument(
        "--method", metavar="auto|evol-instruct|FILE", help="learn a method, draw six operations, or read one (auto)"
    )
    learning.add_argument(
        "--compare", metavar="A,B", help="run several methods over the same rows: one table, no result"
    )
    learning.add_argument("--methods", metavar="K", help="draw from the K best methods that differ in effect (1)")
    learning.add_argument("--max-steps", "--max-step", metavar="N", help="steps of learning; 0: initial method (3)")
    learning.add_argument("--loop", metavar="N", help="rounds of evolving per trajectory in learning (3)")
    learning.add_argument("--candidate-size", metavar="N", help="candidate methods per step (5)")
    learning.add_argument("--patience", metavar="N", help="stop after so many steps that bring nothing (3)")
    learning.add_argument("--judge", metavar="all|dev|off", help="where an LLM judges rewrites besides rules (all)")
    final = parser.add_argument_group("final run")
    final.add_argument("--test-run", metavar="0|1", help="1: run with the first ten seeds only (0)")
    final.add_argument("--generations", metavar="N", help="rounds of evolving; 0: seeds as they are (1)")
    final.add_argument(
        "--keep-generations", action=argparse.BooleanOptionalAction, help="every round a row (with evol-instruct: yes)"
    )
    final.add_argument("--breadth", metavar="SHARE", help="share of rows that go in breadth: a new task (0)")
    final.add_argument("--max-overlap", metavar="X", help="ROUGE-L with another row that makes a near copy (0.7)")
    final.add_argument("--attempts", metavar="N", help="tries per row before it is eliminated (2)")
    final.add_argument("--save-path", metavar="FILE", help=".json .jsonl .parquet (evolution_result.json)")
    final.add_argument("--min-retention", metavar="SHARE", help="exit 4 when a smaller share of rows survives")
    final.add_argument("--engine", metavar="local|ray", help="where the final run runs (local)")
    final.add_argument("--ray-address", metavar="HOST:PORT", help="Ray cluster; else one of this machine is started")
    llm = parser.add_argument_group("LLMs")
    known = KNOWN_KEYS.replace(",", "")
    llm.add_argument("--evol-llm-config", nargs="+", metavar="KEY=VALUE", help=f"evolves and answers; {known}")
    llm.add_argument(
        "--optim-llm-config", nargs="+", metavar="KEY=VALUE", help="analyzes, optimizes, judges; same keys"
    )
    llm.add_argument("--offline", action="store_true", help="no network: example seeds and a rule-based stand-in LLM")
    llm.add_argument("--plan", action="store_true", help="print calls, tokens, cost and time per stage, and exit")
    llm.add_argument("--max-calls", metavar="N", help="stop cleanly (exit 5) after so many calls")
    llm.add_argument("--max-cost", metavar="AMOUNT", help="stop cleanly (exit 5) at this cost; needs prices")
    llm.add_argument("--replay", metavar="FILE", help="answer from an exported journal alone")
    llm.add_argument("--export-journal", metavar="FILE", help="write the journal as readable JSONL at the end")
    output = parser.add_argument_group("output")
    output.add_argument("--quiet", action="store_true", help="no progress display")
    output.add_argument("--log-level", metavar="LEVEL", help="debug info warning error (info)")
    output.add_argument("--log-format", metavar="text|json", help="json: a JSON object per line on stderr (text)")
    output.add_argument("--no-report", action="store_true", help="do not write report.html")
    output.add_argument("--lang", metavar="en|ko", help="language of the report (that of the data)")
    output.add_argument("--tag", action="store_true", help="tag samples: complexity and diversity as in the paper")
    output.add_argument("--tag-size", metavar="N", help="rows that are tagged, of seeds and of evolved rows (100)")
    output.add_argument("--export", metavar="SHAPE", help="write alpaca, messages or sharegpt beside the result")
    output.add_argument(
        "--reasoning", metavar="field|think|drop", help="how --export writes thoughts (messages: field; else drop)"
    )
    output.add_argument("--push-to-hub", metavar="ORG/NAME", help="upload the result as a private data set")
    output.add_argument("--fresh", action="store_true", help="set an earlier run folder aside and begin anew")
    return parser


def _key_values(flag: str, words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words, or one quoted string of them. Raises ConfigError for what is no such word."""
    values: dict[str, Any] = {}
    for number, word in enumerate((part for text in words for part in _words(text)), start=1):
        key, equals, value = word.partition("=")
        if not equals:  # not repeated: it may be a key
            raise ConfigError(f"{flag}: word {number} is not of the form key=value; known keys: {KNOWN_KEYS}")
        if key.startswith(EXTRA):
            _set_extra(flag, values.setdefault("extra", {}), key, value)
        else:
            values[key] = f"{values[key]},{value}" if key == "base_url" and key in values else value
    return values


EXTRA = "extra."
KNOWN_KEYS = ", ".join(f"{EXTRA}NAME" if name == "extra" else name for name in LLMConfig.model_fields)
HAVE_A_KEY = {"model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "service_tier"}
NOT_TO_BE_SET = {
    "messages": "the program writes the messages itself",
    "stream": "replies are read whole",
    "n": "several answers are several calls, told apart in the journal",
}
_JSON_VALUE = re.compile(r"(?:(?<=\s)|^)extra\.[^\s=]+=(?=[{\[\"])")


def _words(text: str) -> Iterator[str]:
    """Words as a shell splits them, but for JSON behind `extra.NAME=`, whose quotes and blanks stay."""
    position = 0
    while found := _JSON_VALUE.search(text, position):
        try:
            _, end = json.JSONDecoder().raw_decode(text, found.end())
        except (ValueError, RecursionError):
            break
        yield from shlex.split(text[position : found.start()])
        yield text[found.start() : end]
        position = end
    yield from shlex.split(text[position:])


def _set_extra(flag: str, extra: dict[str, Any], key: str, text: str) -> None:
    """Set what `extra.a.b=text` names, JSON if it is JSON. Raises ConfigError where it cannot be meant."""
    *outer, last = names = key.removeprefix(EXTRA).split(".")
    if any(map(names_secret, names)):
        raise ConfigError(f"{flag}: a field of a request that holds a key: {KEYS_BELONG}")
    if "" in names:
        raise ConfigError(f"{flag}: {key} has an empty name; write {EXTRA}NAME=VALUE")
    if names[0] in HAVE_A_KEY:
        raise ConfigError(f"{flag}: {key}: {names[0]} has a key of its own; known keys: {KNOWN_KEYS}")
    if names[0] in NOT_TO_BE_SET:
        raise ConfigError(f"{flag}: {key} cannot be set: {NOT_TO_BE_SET[names[0]]}")
    value = _json_or_text(flag, key, text)
    for name in outer:
        extra = extra.setdefault(name, {})
        if not isinstance(extra, dict):
            raise ConfigError(f"{flag}: {key}: {name} is set to a value of its own already; give one or the other")
    known = extra.get(last)
    if isinstance(known, dict) and isinstance(value, dict):
        known.update(value)
    elif isinstance(known, dict):
        raise ConfigError(f"{flag}: {key}: fields within it are set already; give one or the other")
    else:
        extra[last] = value


def _json_or_text(flag: str, key: str, text: str) -> Any:
    def no_json(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=no_json)
    except (ValueError, RecursionError):
        if text.startswith(("{", "[")):
            raise ConfigError(
                f"{flag}: {key}: its value begins as JSON and is none; put the whole word in single quotes: "
                f"'{key}={{\"name\": true}}'"
            ) from None
        return text


# What is wrong with values that may hold a secret, which must not be repeated.
IN_OTHER_WORDS = {
    "api_key_env": f"give the name of the environment variable that holds the key, not the key itself: {KEYS_BELONG}",
    "base_url": f"give http:// or https://, host and path, without user, password or key: {KEYS_BELONG}",
}


def _one_line(exc: ValidationError) -> str:
    """The first thing that pydantic complains of, in terms of flags."""
    error = exc.errors()[0]
    where = [str(part) for part in error["loc"]]
    message = error["msg"].removeprefix("Value error, ")
    if not where:
        return message
    flag = "--" + where[0].replace("_", "-")
    key = where[1] if len(where) > 1 and where[0].endswith("llm_config") else None
    if error["type"] == "extra_forbidden":
        name = repr(key) if re.fullmatch(r"[a-z][a-z_.]{0,30}", key or "") else "that is none"
        why = f": {KEYS_BELONG}" if names_secret(key or "") else ""
        return f"{flag}: unknown key {name}{why}; known keys: {KNOWN_KEYS}"
    if key in IN_OTHER_WORDS:
        return f"{flag} {key}: {IN_OTHER_WORDS[key]}"
    known = f"; known keys: {KNOWN_KEYS}" if key else ""
    given = value_shown(error["input"])
    return f"{flag}{f' {key}' if key else ''}: {given} does not fit: {message}{known}"


# What main.sh passes on before the words of whoever calls it.
BY_MAIN_SH = (
    *("--save-path", "evolution_result.json", "--test-run", "0", "--batch-size", "10", "--max-steps", "3"),
    *("--loop", "3", "--candidate-size", "5", "--train-size", "20", "--dev-size", "50", "--seed", "42"),
)


def typed(argv: Sequence[str]) -> Sequence[str]:
    """The words that somebody has typed: without those by main.sh, which are the defaults."""
    return argv[len(BY_MAIN_SH) :] if tuple(argv[: len(BY_MAIN_SH)]) == BY_MAIN_SH else argv


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the flags, right or wrong, ask for JSON on stderr."""
    formats = [after for word, after in zip(argv, (*argv[1:], ""), strict=False) if word == "--log-format"]
    formats += [word.partition("=")[2] for word in argv if word.startswith("--log-format=")]
    return formats[-1:] == ["json"]


def parse_arguments(argv: Sequence[str]) -> RunConfig:
    """Flags to a checked RunConfig; in a replay, what the recording was made with takes the place of defaults.

    Raises ConfigError (or exits with 2, as argparse does) for wrong flags and values.
    """
    if any(word != word.encode("utf-8", "replace").decode() for word in argv):
        raise ConfigError("the flags hold bytes that are not UTF-8; rename the file that they name")
    if any(map(holds_key, argv)):
        raise ConfigError(f"the flags hold what looks like a key, where others can read it: {KEYS_BELONG}")
    options = vars(build_parser().parse_args(typed(argv)))
    try:
        for name in LLM_FLAGS:
            if name in options:
                options[name] = _key_values("--" + name.replace("_", "-"), options[name])
        if "replay" in options:
            options = as_recorded(options, Path(options["replay"]), RunConfig.model_fields, FROM_RECORDINGS)
        return RunConfig(**options)
    except ValidationError as exc:
        raise ConfigError(_one_line(exc)) from exc
    except ValueError as exc:  # shlex: an unclosed quote
        raise ConfigError(f"cannot read the llm-config: {exc}; quote it as one string of key=value words") from exc
