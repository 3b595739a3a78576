"""The command around a run: arguments, checks in their order, errors as one line, exit codes.

What a run *is* comes in as functions, so that nothing here knows the roles.
"""

import asyncio
import logging
import shlex
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.config import RunConfig
from utils.errors import AutoEvolError, BudgetReached, DataError, EndpointError, Interrupted, RetentionError
from utils.files.storage import store_of
from utils.llm import check_keys
from utils.outputs.writing import check_apart, check_outputs
from utils.process.environment import load_environment
from utils.process.logs import complain, set_up_logging
from utils.process.scratch import scratch_folder
from utils.process.stopping import Stop
from utils.process.streams import complete_streams, say, settle_streams
from utils.rows.summary import Summary
from utils.run.arguments import parse_arguments, typed, wants_json
from utils.run.run_folder import RunFolder, check_output, check_partitions
from utils.seeds import SeedSet, SeedSource, load_seeds
from utils.urls import is_url

log = logging.getLogger("auto-evol")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


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
    complete_streams()
    set_up_logging("info", wants_json(argv))  # what is wrong with the flags is told as they want it told
    try:
        with Stop() as stop:
            return _run_command(typed(argv), job, stop)
    finally:
        settle_streams()


def _run_command(argv: Sequence[str], job: Job, stop: Stop) -> int:
    command = shlex.join(["sh", "main.sh", *without_repetition(argv)])
    try:
        config = parse_arguments(argv)
        set_up_logging(config.log_level, config.log_format == "json")
        load_environment(config.key_variables)
        execute(config, job, command, stop)
    except AutoEvolError as exc:
        complain(str(exc))
        return exc.exit_code
    except MemoryError:
        complain("out of memory: give this machine more of it, or the program smaller files")
        return DataError.exit_code
    except KeyboardInterrupt:
        when = "at the end; the same command goes on" if stop.began else "before anything was asked; start again"
        complain(f"interrupted {when} with: {command}")
        return Interrupted.exit_code
    return 0


def without_repetition(argv: Sequence[str]) -> list[str]:
    """The flags without those that a later one overrides."""
    flags: list[list[str]] = []
    for word in argv:
        if word.startswith("--") or not flags:
            flags.append([])
        flags[-1].append(word)
    last = {words[0]: words for words in flags if words[0] != "--explore"}
    return [word for words in flags if last.get(words[0], words) is words for word in words]


def execute(config: RunConfig, job: Job, command: str, stop: Stop) -> None:
    """Check in this order, before anything costs: data set, output path, key. Then work, and say what came of it."""
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
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
            text, summary = asyncio.run(stop.stoppable(job.work(config, seeds, folder, scratch)))
        except (Interrupted, BudgetReached) as exc:
            kept = f"{len(folder.journal)} answers" if config.engine == "local" else "all answers"
            raise type(exc)(f"{exc}; {kept} are kept, continue with: {command}") from exc
        if config.export_journal:
            folder.journal.export(config.export_journal, config.determining())
    say(text)
    if summary:
        check_outcome(config, summary)


def similar_seeds(config: RunConfig, seeds: SeedSet) -> str:
    """How many seeds repeat others, told before anything costs; empty with `--max-overlap 1`."""
    if config.max_overlap == 1:
        return ""
    from utils.text.near_duplicates import near_duplicates_among  # numpy, which the start of the program can spare

    similar = near_duplicates_among(seeds, config.max_overlap)
    log.info(similar)
    return similar


def check_result(config: RunConfig) -> None:
    """Say before anything costs where the result, or the journal, could not be written."""
    check_output(config.result, "--save-path", config.in_partitions)
    check_apart(config)
    if config.in_partitions:
        is_remote = is_url(config.save_path)
        store = store_of(config.save_path)
        check_partitions(store, config.save_path)
        if is_remote:
            store.write(".written", b"")
            store.delete([".written"])
    if config.export_journal:
        check_output(config.export_journal, "--export-journal")


def seed_sources(config: RunConfig) -> list[SeedSource]:
    """The data set of the flags; offline and without one, the built-in examples, Korean first."""
    if config.data_path:
        return [SeedSource(**{field: getattr(config, field) for field in SeedSource.__dataclass_fields__})]
    return [SeedSource(str(EXAMPLES / name)) for name in ("seed_ko.jsonl", "seed_en.jsonl")]


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
