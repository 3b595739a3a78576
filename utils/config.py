"""RunConfig: all flags, checked, and what follows from them.

What is known of a flag stands at its field: type, bounds, default, group, metavar, help, and whether it changes what
comes out or only how (`RunConfig.determining`). The parser and docs/flags.md are made of that.
"""

import os
import sys
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from utils.llm_config import DEEPSEEK_KEY, LLM_HOW_NOT_WHAT, LLMConfig, marked
from utils.urls import holds_password, holds_secret_field, is_url

EVOL_INSTRUCT = "evol-instruct"
SUFFIXES = (".json", ".jsonl", ".parquet")
EXTRA = "extra."
KNOWN_KEYS = ", ".join(f"{EXTRA}NAME" if name == "extra" else name for name in LLMConfig.model_fields)


@dataclass(frozen=True, slots=True)
class Flag:
    """What the help says of a flag; its default is added there. `how` marks one that does not change what comes out.

    A `repeatable` one may be given several times, each with a value.
    """

    group: str
    metavar: str
    help: str
    how: bool = False
    repeatable: bool = False


# Labels and marks of rows; those that make a row useless are fatal whether or not --drop names them.
OfJudge = Literal["stagnant", "unsolvable", "lost", "leaked", "contrived", "narrowed", "ambiguous"]
OfExaminer = Literal["easy", "partly", "unstable"]
Names = tuple[Annotated[str, Field(min_length=1)], ...]


def _url_holds_secret(path: str) -> bool:
    return is_url(path) and holds_secret_field(path)


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
    """All flags, checked. Field names are the flags' names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data_path: Annotated[
        str | None,
        Flag("seeds", "NAME|FILE", "Hub data set; or file, folder, glob, URL: .jsonl .json .csv .tsv .parquet .arrow"),
    ] = None
    split: Annotated[str | None, Flag("seeds", "NAME", "split of the data set (train, or the only one)")] = None
    subset: Annotated[str | None, Flag("seeds", "NAME", "configuration of the data set")] = None
    instruction_field: Annotated[
        str | None, Flag("seeds", "COLUMN", "column of the instructions (instruction, or a chat column)")
    ] = None
    response_field: Annotated[
        str | None, Flag("seeds", "COLUMN", "column of reference answers (response, if there is one)")
    ] = None
    input_field: Annotated[
        str | None, Flag("seeds", "COLUMN", "column joined to the instruction (input, if there is one); none: not")
    ] = None
    turn: Annotated[
        Literal["last", "first", "all"],
        Flag("seeds", "last|first|all", "which user turn of a chat is the seed; last: the last that is answered"),
    ] = "last"
    keep_columns: Annotated[
        Names, BeforeValidator(_by_comma), Flag("seeds", "A,B|all", "columns that go through to the result, as extra")
    ] = ()
    encoding: Annotated[
        Annotated[str, AfterValidator(_known_encoding)] | None,
        Flag("seeds", "NAME", "of text files that are not UTF-8: cp949, utf-16, …"),
    ] = None
    explore: Annotated[
        tuple[Annotated[str, Field(pattern=r"\S")], ...],
        Flag("seeds", "DOMAIN", "seeds from exploring a domain, instead of a data set; repeatable", repeatable=True),
    ] = ()
    explore_depth: Annotated[int, Field(ge=1, le=6), Flag("seeds", "K", "levels of sub-tasks")] = 2
    explore_breadth: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        BeforeValidator(_by_comma),
        Flag("seeds", "B,B", "sub-tasks of a task, per level"),
    ] = (8, 6)
    explore_samples: Annotated[int, Field(ge=1), Flag("seeds", "N", "instructions per task")] = 10
    decontaminate: Annotated[
        Names,
        Flag(
            "seeds",
            "FILE|HUB[:COLUMN]",
            "benchmark whose items must be neither seeds nor rewrites; repeatable",
            repeatable=True,
        ),
    ] = ()
    method: Annotated[
        str, Flag("learning", "auto|evol-instruct|FILE", "learn a method, draw six operations, or read one")
    ] = "auto"
    compare: Annotated[
        Names,
        BeforeValidator(_by_comma),
        Flag("learning", "A,B", "run several methods over the same rows: one table, no result"),
    ] = ()
    methods: Annotated[
        int, Field(ge=1), Flag("learning", "K", "draw from the K best methods that differ in effect")
    ] = 1
    train_size: Annotated[int, Field(ge=1), Flag("learning", "N", "instructions to learn from")] = 20
    dev_size: Annotated[int, Field(ge=1), Flag("learning", "N", "instructions that methods are measured on")] = 50
    max_steps: Annotated[int, Field(ge=0), Flag("learning", "N", "steps of learning; 0: the initial method")] = 3
    loop: Annotated[int, Field(ge=1), Flag("learning", "N", "rounds of evolving per trajectory in learning")] = 3
    candidate_size: Annotated[int, Field(ge=1), Flag("learning", "N", "candidate methods per step")] = 5
    patience: Annotated[int, Field(ge=1), Flag("learning", "N", "stop after so many steps that bring nothing")] = 3
    judge: Annotated[
        Literal["all", "dev", "off"],
        Flag("learning", "all|dev|off", "where an LLM judges rewrites besides rules; dev: in learning only"),
    ] = "all"
    examine: Annotated[
        Literal["all", "dev", "off"],
        Flag("learning", "all|dev|off", "where an LLM grades answers besides rules; dev: in learning only"),
    ] = "all"
    seed: Annotated[int, Flag("learning", "N", "of the split and of all draws")] = 42
    test_run: Annotated[
        Literal[0, 1],
        BeforeValidator(lambda value: int(_test_run(value))),
        Flag("final run", "0|1", "1: run with the first ten seeds only"),
    ] = 0
    generations: Annotated[int, Field(ge=0), Flag("final run", "N", "rounds of evolving; 0: seeds as they are")] = 1
    keep_generations: Annotated[bool | None, Flag("final run", "", "every round a row (with evol-instruct: yes)")] = (
        None
    )
    breadth: Annotated[
        float, Field(ge=0, le=1), Flag("final run", "SHARE", "share of rows that go in breadth: a new task")
    ] = 0.0
    max_overlap: Annotated[
        float,
        Field(ge=0, le=1),
        Flag("final run", "X", "ROUGE-L with another row that makes a near-duplicate; 1: no filter"),
    ] = 0.7
    attempts: Annotated[int, Field(ge=1), Flag("final run", "N", "tries per row before it is eliminated")] = 2
    answers: Annotated[
        int, Field(ge=1, le=16), Flag("final run", "N", "answers sampled per row; the best graded is the response")
    ] = 1
    drop: Annotated[
        tuple[Literal[OfJudge, OfExaminer], ...],
        BeforeValidator(_by_comma),
        Flag(
            "final run",
            "LABEL,…",
            "eliminate what is else kept and marked: stagnant contrived narrowed easy partly unstable",
        ),
    ] = ()
    hold_out: Annotated[
        float,
        Field(ge=0, lt=1),
        Flag("final run", "SHARE", "share of seeds kept out of learning and result, evolved into x.heldout.json"),
    ] = 0.0
    batch_size: Annotated[
        Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"],
        Flag("final run", "N|auto", "requests in flight, over both LLMs", how=True),
    ] = 10
    save_path: Annotated[str, Flag("final run", "FILE", ".json .jsonl .parquet; on a cluster also a URL", how=True)] = (
        "evolution_result.json"
    )
    min_retention: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None,
        Flag("final run", "SHARE", "exit 4 when a smaller share of rows survives", how=True),
    ] = None
    engine: Annotated[Literal["local", "ray"], Flag("final run", "local|ray", "where the final run runs", how=True)] = (
        "local"
    )
    ray_address: Annotated[
        str | None, Flag("final run", "HOST:PORT", "Ray cluster; else one of this machine is started", how=True)
    ] = None
    evol_llm_config: Annotated[
        LLMConfig, Flag("LLMs", "KEY=VALUE", f"evolves and answers; keys: {KNOWN_KEYS}", how=True)
    ] = LLMConfig()
    optim_llm_config: Annotated[
        LLMConfig, Flag("LLMs", "KEY=VALUE", "analyzes, optimizes, judges; same keys", how=True)
    ] = LLMConfig()
    weak_llm_config: Annotated[
        LLMConfig | None,
        Flag(
            "LLMs",
            "KEY=VALUE",
            "answers, too: what it answers rightly is easy; keys not given are those of --evol-llm-config, "
            "unless base_url is given",
        ),
    ] = None
    offline: Annotated[bool, Flag("LLMs", "", "no network: example seeds and a rule-based stand-in LLM")] = False
    plan: Annotated[
        bool, Flag("LLMs", "", "print calls, tokens, cost and time per kind of call, and exit", how=True)
    ] = False
    max_calls: Annotated[
        Annotated[int, Field(ge=0)] | None, Flag("LLMs", "N", "stop cleanly (exit 5) after so many calls", how=True)
    ] = None
    max_cost: Annotated[
        Annotated[Decimal, Field(ge=0)] | None,
        Flag("LLMs", "AMOUNT", "stop cleanly (exit 5) at this cost; needs prices", how=True),
    ] = None
    replay: Annotated[Path | None, Flag("LLMs", "FILE", "answer from an exported journal alone", how=True)] = None
    export_journal: Annotated[
        Path | None, Flag("LLMs", "FILE", "write the journal as readable JSONL at the end", how=True)
    ] = None
    batch_api: Annotated[
        Literal["off", "final", "all"],
        Flag("LLMs", "off|final|all", "batches at half price: of the final run, or of all calls", how=True),
    ] = "off"
    batch_folder: Annotated[
        Path | None, Flag("LLMs", "DIR", "batches as files that something else answers (vllm run-batch)", how=True)
    ] = None
    batch_fallback: Annotated[
        Literal["live", "none"] | None,
        Flag(
            "LLMs",
            "live|none",
            "what batches leave out again and again: ask live (with --batch-folder: none)",
            how=True,
        ),
    ] = None
    cancel_batches: Annotated[
        bool, Flag("LLMs", "", "cancel the batches of this run folder, and read what they have finished", how=True)
    ] = False
    quiet: Annotated[bool, Flag("output", "", "no progress display", how=True)] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Flag("output", "LEVEL", "debug info warning error", how=True)
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Flag("output", "text|json", "json: a JSON object per line on stderr", how=True)
    ] = "text"
    no_report: Annotated[bool, Flag("output", "", "do not write report.html", how=True)] = False
    lang: Annotated[
        Literal["en", "ko"] | None,
        Flag("output", "en|ko", "language of the report (the terminal's, or else the data's)", how=True),
    ] = None
    tag: Annotated[bool, Flag("output", "", "tag samples: complexity and diversity as in the paper", how=True)] = False
    tag_size: Annotated[
        int, Field(ge=1), Flag("output", "N", "rows that are tagged, of seeds and of evolved rows", how=True)
    ] = 100
    export: Annotated[
        Literal["alpaca", "messages", "sharegpt", "preference"] | None,
        Flag("output", "SHAPE", "write alpaca, messages, sharegpt or preference beside the result", how=True),
    ] = None
    reasoning: Annotated[
        Literal["field", "think", "drop"] | None,
        Flag("output", "field|think|drop", "how --export writes thoughts (messages: field; else drop)", how=True),
    ] = None
    push_to_hub: Annotated[
        Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None,
        Flag("output", "ORG/NAME", "upload the result as a private data set", how=True),
    ] = None
    fresh: Annotated[bool, Flag("output", "", "set an earlier run folder aside and begin anew", how=True)] = False

    @model_validator(mode="after")
    def _fit_together(self) -> "RunConfig":
        if self.result.suffix not in SUFFIXES:
            raise ValueError(f"--save-path must end in one of {', '.join(SUFFIXES)}, not {self.result.name!r}")
        if self.data_path and self.explore:
            raise ValueError("--data-path and --explore exclude each other: seeds come from one or from the other")
        for flag, paths in (("--data-path", (self.data_path or "",)), ("--decontaminate", self.decontaminate)):
            if any(holds_password(path) or _url_holds_secret(path) for path in paths):
                raise ValueError(f"{flag} holds a password: leave it out, and give credentials in the environment")
        if self.ray_address and "@" in self.ray_address:
            raise ValueError("--ray-address is HOST:PORT, without user or password")
        if not self.data_path and not self.explore and not self.offline:
            raise ValueError("--data-path is missing: a Hugging Face data set or a local file; or try --offline")
        if self.reasoning and not self.export:
            raise ValueError("--reasoning needs --export: it says how an export writes the thoughts")
        if self.reasoning == "field" and self.export != "messages":
            raise ValueError(f"--reasoning field needs --export messages: {self.export} has no such field")
        self._check_batches()
        self._check_engine()
        for name in LLM_FLAGS:
            config: LLMConfig | None = getattr(self, name)
            if self.max_cost is not None and config and (config.price_in is None or config.price_out is None):
                flag = name.replace("_", "-")
                raise ValueError(f"--max-cost needs prices: give price_in and price_out in --{flag}")
        self._check_examiner()
        return self

    def _check_examiner(self) -> None:
        if self.weak_llm_config and self.examine == "off":
            raise ValueError("--weak-llm-config needs the examiner, who grades its answers: leave out --examine off")
        if self.answers > 1 and self.examine != "all":
            raise ValueError("--answers needs --examine all: the examiner says which answer is the best")
        if self.export == "preference" and self.answers == 1:
            raise ValueError("--export preference needs --answers 2 or more: pairs are made of answers graded apart")
        if "easy" in self.drop and not self.weak_llm_config:
            raise ValueError("--drop easy needs --weak-llm-config: easy is what a weak LLM answers rightly")
        if (marks := {*get_args(OfExaminer)} & {*self.drop}) and self.examine != "all":
            raise ValueError(f"--drop {min(marks)} needs --examine all: it is the examiner's mark")
        if (labels := {*get_args(OfJudge)} & {*self.drop}) and self.judge != "all":
            raise ValueError(f"--drop {min(labels)} needs --judge all: it is the judge's label")

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

    def _check_batches(self) -> None:
        if self.batch_api == "off":
            given = {"--batch-folder": self.batch_folder, "--batch-fallback": self.batch_fallback,
                     "--cancel-batches": self.cancel_batches}  # fmt: skip
            for flag in (flag for flag, value in given.items() if value):
                raise ValueError(f"{flag} needs --batch-api final or all")
        elif self.offline:
            raise ValueError("--batch-api is for LLMs that take their time; --offline answers at once")
        elif self.engine == "ray":
            raise ValueError("--batch-api needs --engine local: a provider's batches need no cluster")
        elif self.batch_folder and self.cancel_batches:
            raise ValueError("--cancel-batches is for batches at a provider; of --batch-folder delete the files")
        elif self.max_cost is not None and not all(config.max_tokens for config in self.llm_configs):
            raise ValueError(
                "--max-cost with --batch-api needs max_tokens in the llm-configs: it bounds a batch's cost"
            )

    @property
    def in_batches(self) -> bool:
        """Whether requests go into batches at all."""
        return self.batch_api != "off" and not self.replay

    @property
    def falls_back(self) -> bool:
        """Whether requests that batches leave out are asked live in the end."""
        return self.batch_fallback == "live" or (self.batch_fallback is None and not self.batch_folder)

    @property
    def asks_live(self) -> bool:
        """Whether anything may be sent to a server, for which keys are needed."""
        in_files = self.batch_folder and self.batch_api == "all" and not self.falls_back
        return not (self.offline or self.replay or in_files)

    @property
    def result(self) -> Path:
        """The result file; of one in an object store only its name, as a path in the current folder of this machine."""
        return Path(PurePosixPath(self.save_path).name if is_url(self.save_path) else self.save_path)

    @property
    def in_partitions(self) -> bool:
        """Whether the result is a folder of Parquet files, as those who work on clusters want it."""
        return self.engine == "ray" and self.result.suffix == ".parquet"

    @property
    def rejects(self) -> str:
        """The file, or the folder of partitions, that holds the rows that are not in the result."""
        return self.on_store(self.run_folder / ("rejects" if self.in_partitions else "rejects.jsonl"))

    def on_store(self, path: Path) -> str:
        """Return the path or URL of a large file of a cluster; `path` is the result, or lies beside it or below."""
        if not is_url(self.save_path):
            return str(path)
        return f"{self.save_path.rpartition('/')[0]}/{Path(os.path.relpath(path, self.result.parent)).as_posix()}"

    @property
    def run_folder(self) -> Path:
        return self.result.with_suffix(".run")

    @property
    def keeps_generations(self) -> bool:
        """Whether every generation is a row of its own: as in the paper, the default for Evol-Instruct."""
        kept = self.method == EVOL_INSTRUCT if self.keep_generations is None else self.keep_generations
        return kept and self.generations > 0

    @property
    def learns(self) -> bool:
        """Whether a method is to be learned, for at least a step."""
        return self.method == "auto" and self.max_steps > 0

    def judges(self, final: bool) -> bool:
        """Return whether an LLM labels rewrites, in learning or in the `final` run."""
        return self.judge == "all" or (self.judge == "dev" and not final)

    def examines(self, final: bool) -> bool:
        """Return whether an LLM grades answers, in learning or in the `final` run."""
        return self.examine == "all" or (self.examine == "dev" and not final)

    @property
    def judges_alike(self) -> bool:
        """Whether rows of the final run are judged and examined just as those of learning are."""
        return self.judge != "dev" and self.examine != "dev"

    def runs(self) -> list["RunConfig"]:
        """Return the run of every method of `--compare`, of which only the first explores; without it, the one run."""
        if not self.compare:
            return [self]
        runs = [self.model_copy(update={"method": name, "compare": ()}) for name in self.compare]
        return [runs[0], *(run.model_copy(update={"explore": ()}) for run in runs[1:])]

    def row_key(self, row_id: int, generation: int | None) -> int:
        """Return the key that sorts rows by id, then by generation where these are kept."""
        return row_id * max(1, self.generations) + (generation or 1) - 1

    @property
    def groups_at_once(self) -> int:
        """Groups of ten rows under way: enough that the endpoint never waits for a slow row; with batches, all."""
        if self.in_batches:
            return sys.maxsize
        return 64 if self.batch_size == "auto" else max(4, self.batch_size)

    @property
    def longest_silence(self) -> float:
        """Seconds within which a healthy worker has done a group of rows: eight calls, and an outage waited for."""
        return max(600.0, *(8 * llm.timeout + 60 * llm.outage_minutes for llm in self.llm_configs))

    @property
    def llm_configs(self) -> tuple[LLMConfig, ...]:
        """The configurations of all LLMs of the run."""
        return tuple(filter(None, (getattr(self, name) for name in LLM_FLAGS)))

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The environment variables that hold the keys of all LLMs."""
        return tuple(c.api_key_env or DEEPSEEK_KEY for c in self.llm_configs)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that other machines need: keys of all LLMs, and what opens the Hub."""
        return (*self.key_variables, "MY_HF_TOKEN", "HF_TOKEN", "HF_ENDPOINT")

    def for_worker(self, workers: int, requests: int | None) -> "RunConfig":
        """Return the configuration of one of `workers`, with its own `requests` in flight and share of all rates."""
        shares: dict[str, Any] = {"batch_size": requests or "auto"}
        for name in LLM_FLAGS:
            config: LLMConfig | None = getattr(self, name)
            if config is None:
                continue
            rates = {rate: getattr(config, rate) for rate in ("rpm", "tpm")}
            shares[name] = config.model_copy(update={rate: value and value / workers for rate, value in rates.items()})
        return self.model_copy(update=shares)

    def determining(self) -> dict[str, Any]:
        """Return the settings that change what comes out, as JSON values: a run is told apart by these."""
        settings = self.model_dump(mode="json", exclude=HOW_NOT_WHAT)
        for name in LLM_FLAGS:
            config: LLMConfig | None = getattr(self, name)
            settings[name] = config and config.model_dump(mode="json", exclude=LLM_HOW_NOT_WHAT)
        return settings


LLM_FLAGS = ("evol_llm_config", "optim_llm_config", "weak_llm_config")
HOW_NOT_WHAT = {name for name, flag in marked(RunConfig, Flag).items() if flag.how}
REPEATABLE = {name for name, flag in marked(RunConfig, Flag).items() if flag.repeatable}
# The settings that a replay takes from its recording, and of an llm-config the keys.
FROM_RECORDINGS = {
    **{name: () for name in RunConfig.model_fields if name not in HOW_NOT_WHAT},
    **dict.fromkeys(LLM_FLAGS, tuple(LLMConfig.model_fields.keys() - LLM_HOW_NOT_WHAT - {"base_url"})),
}
