"""Flags in, RunConfig out: the edge where everything that a user types is checked.

argparse knows the names, pydantic the values. Settings that change what comes out are told apart from
those that only change how fast or how loud (`RunConfig.determining`).
"""

import json
import os
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from utils.errors import EndpointError
from utils.schema import Sampling, as_extra
from utils.urls import holds_password, holds_secret_field, is_url

EVOL_INSTRUCT = "evol-instruct"
DEEPSEEK_URL = "https://api.deepseek.com"
DEEPSEEK_MODEL = "deepseek-flash"
DEEPSEEK_KEY = "DEEPSEEK_API_KEY"
SUFFIXES = (".json", ".jsonl", ".parquet")

# How each kind of call samples unless the llm-config says otherwise: evolving, answering and judging are
# greedy, analyzing and optimizing sample (paper, section 4.1).
GREEDY = Sampling(temperature=0.0)
CREATIVE = Sampling(temperature=0.6, top_p=0.95)
SAMPLING_BY_KIND = {"analyze": CREATIVE, "optimize": CREATIVE, "explore": CREATIVE}


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
    # "none" sends the field not at all, for models that reject it; unset means the default of the kind of call.
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

    def sampling(self, kind: str) -> Sampling:
        """The sampling fields of a request of `kind`; what the user has set holds for all kinds."""
        default = SAMPLING_BY_KIND.get(kind, GREEDY)
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

    @property
    def learns(self) -> bool:
        """Is a method to be learned, for at least a step?"""
        return self.method == "auto" and self.max_steps > 0

    def runs(self) -> list["RunConfig"]:
        """The run of every method of `--compare`, of which only the first explores; without it, the one run."""
        if not self.compare:
            return [self]
        runs = [self.model_copy(update={"method": name, "compare": ()}) for name in self.compare]
        return [runs[0], *(run.model_copy(update={"explore": ()}) for run in runs[1:])]

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
