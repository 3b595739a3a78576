"""The command around a run: arguments, checks in their order, signals, errors as one line, exit codes.

What a run *is* comes in as functions, so that nothing here knows the roles.
"""

import asyncio
import io
import logging
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dotenv import load_dotenv

from utils.config import RunConfig, parse_arguments
from utils.dataset import SeedSet, SeedSource, load_seeds
from utils.errors import (
    AutoEvolError,
    BudgetReached,
    ConfigError,
    DataError,
    EndpointError,
    Interrupted,
    RetentionError,
)
from utils.llm import check_keys
from utils.logs import set_up_logging
from utils.outputs import check_outputs
from utils.run_folder import RunFolder, check_output, check_partitions
from utils.storage import is_url, store_of
from utils.summary import Summary

log = logging.getLogger("auto-evol")
T = TypeVar("T")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True, slots=True)
class Job:
    """What the command runs. `seeds` are None where exploring has yet to find them.

    `check` says before anything costs that the seeds or a method file will not do; `plan` is the text of `--plan`;
    `work` does the job in the run folder, with a scratch folder, and returns the text for stdout and a summary.
    """

    check: Callable[[RunConfig, SeedSet], None]
    plan: Callable[[RunConfig, SeedSet | None], str]
    work: Callable[[RunConfig, SeedSet | None, RunFolder, Path], Coroutine[Any, Any, tuple[str, Summary | None]]]


def run_command(argv: Sequence[str], job: Job) -> int:
    """Run `job` as the flags say; returns the exit code (utils/errors.py). Every error is one line on stderr."""
    command = shlex.join(["sh", "main.sh", *without_repetition(argv)])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, until `stoppable` takes over
    try:
        config = parse_arguments(argv)
        load_environment()
        set_up_logging(config.log_level, config.log_format == "json")
        execute(config, job, command)
    except AutoEvolError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print(f"error: interrupted before anything was asked; start again with: {command}", file=sys.stderr)
        return Interrupted.exit_code
    return 0


def without_repetition(argv: Sequence[str]) -> list[str]:
    """The flags without those that a later one overrides, and without what only repeats a default, as main.sh does."""
    flags: list[list[str]] = []
    for word in argv:
        if word.startswith("--") or not flags:
            flags.append([])
        flags[-1].append(word)
    defaults = {name: str(field.default) for name, field in RunConfig.model_fields.items()}
    last = {words[0]: words for words in flags if words[0] != "--explore"}
    return [
        word
        for words in flags
        if last.get(words[0], words) is words and defaults.get(words[0][2:].replace("-", "_")) != " ".join(words[1:])
        for word in words
    ]


def execute(config: RunConfig, job: Job, command: str) -> None:
    """Check in this order, before anything costs: data set, output path, key. Then work, and say what came of it."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="auto-evol-")))
        seeds = None
        if not config.explore:
            seeds = stack.enter_context(load_seeds(seed_sources(config), scratch / "seeds.sqlite"))
            job.check(config, seeds)
        similar = similar_seeds(config, seeds) if seeds else ""
        if config.plan:
            say(f"{job.plan(config, seeds)}\n{similar}".rstrip())
            return
        check_result(config)
        check_outputs(config)
        check_keys(config)
        folder = stack.enter_context(RunFolder(config))
        try:
            text, summary = asyncio.run(stoppable(job.work(config, seeds, folder, scratch)))
        except (Interrupted, BudgetReached) as exc:
            kept = f"{len(folder.journal)} answers" if config.engine == "local" else "all answers"
            raise type(exc)(f"{exc}; {kept} are kept, continue with: {command}") from exc
        if config.export_journal:
            folder.journal.export(config.export_journal, config.determining())
    say(text)
    if summary:
        check_outcome(config, summary)


def similar_seeds(config: RunConfig, seeds: SeedSet) -> str:
    """How many seeds are near copies of others, which is told before anything costs; empty with `--max-overlap 1`."""
    if config.max_overlap == 1:
        return ""
    from utils.overlap import near_copies_among  # numpy, which the start of the program can spare

    similar = near_copies_among(seeds, config.max_overlap)
    log.info(similar)
    return similar


def check_result(config: RunConfig) -> None:
    """Say before anything costs where the result, or the journal, could not be written."""
    check_output(config.result, "--save-path", config.in_partitions)
    if config.in_partitions:
        is_remote = is_url(config.save_path)
        store = store_of(config.save_path)
        check_partitions(store, config.save_path)
        if is_remote:
            store.write(".written", b"")
            store.delete([".written"])
    if config.export_journal:
        check_output(config.export_journal, "--export-journal")


def say(text: str) -> None:
    """Print to stdout. A path may hold what its encoding lacks, a reader have enough (`| head`), a disk be full."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except OSError as exc:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at the exit
        if not isinstance(exc, BrokenPipeError):
            raise DataError(f"cannot write to stdout: {exc.strerror}; the files of the run are complete") from exc


def seed_sources(config: RunConfig) -> list[SeedSource]:
    """The data set of the flags; offline and without one, the built-in examples, Korean first."""
    if config.data_path:
        fields = [field for field in SeedSource.__dataclass_fields__ if field != "result"]
        return [SeedSource(**{field: getattr(config, field) for field in fields}, result=config.save_path)]
    return [SeedSource(str(EXAMPLES / name)) for name in ("seed_ko.jsonl", "seed_en.jsonl")]


def load_environment() -> None:
    """Keys and tokens of `.env`, where the environment does not name them already."""
    try:
        load_dotenv(Path(".env"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("cannot read .env as UTF-8; write it anew, lines of NAME=value, or move it away") from exc


async def stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; Ctrl-C or SIGTERM cancels it, a second one ends the process at once."""
    task = asyncio.ensure_future(work)
    signalled = []

    def stop() -> None:
        if signalled:
            os._exit(Interrupted.exit_code)
        signalled.append(True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError as exc:
        raise Interrupted("interrupted") from exc


def check_outcome(config: RunConfig, summary: Summary) -> None:
    """Raises EndpointError when not a single row was answered, RetentionError when none or too few survived."""
    if summary.unavailable and not summary.evolved:
        raise EndpointError("not a single row was answered, see run.log; check the endpoint and run again")
    if not summary.evolved:
        raise RetentionError(f"nothing survived: none of {summary.rows_in} rows; see {config.rejects} for the reasons")
    if config.min_retention is not None and summary.retention < config.min_retention:
        raise RetentionError(
            f"retention {summary.retention:.3f} is below --min-retention {config.min_retention:g}; "
            f"see {config.rejects} for the reasons"
        )
