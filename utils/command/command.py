"""The command around a run: arguments, checks in their order, errors as one line, exit codes."""

import asyncio
import logging
import shlex
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from utils.command.arguments import flag_of, parse_arguments, typed, wants_json
from utils.command.recording import use_prompts_of
from utils.config import REPEATABLE, RunConfig
from utils.errors import AutoEvolError, BudgetReached, DataError, EndpointError, Interrupted, RetentionError, Waiting
from utils.files.storage import store_of
from utils.llm import check_keys
from utils.llm.batch.records import Records
from utils.outputs.writing import check_apart, check_outputs
from utils.process.environment import load_environment
from utils.process.logs import complain, set_up_logging
from utils.process.scratch import scratch_folder
from utils.process.stopping import Stop
from utils.process.streams import complete_streams, flush_streams, say
from utils.prompts import all_prompts
from utils.rows.held_out import held_out_path
from utils.rows.summary import Summary, Told
from utils.run.run_folder import RunFolder, check_output, check_partitions
from utils.seeds import SeedSet, SeedSource, load_seeds
from utils.text.decontamination import benchmarks_of
from utils.urls import is_url

T = TypeVar("T")
log = logging.getLogger("auto-evol")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Command:
    """A command line that is being carried out; made by `open_command`.

    `scratch` is a folder for as long as it lasts, `exit_code` what the process is to end with (utils/errors.py).
    """

    def __init__(self, argv: Sequence[str], stop: Stop, resources: ExitStack) -> None:
        self.exit_code = 0
        goes_on = [word for word in typed(argv) if word != "--cancel-batches"]
        self.command = shlex.join(["sh", "main.sh", *without_repetition(goes_on)])
        self._similar = ""
        self._argv, self._stop, self._resources = argv, stop, resources

    def read(self) -> tuple[RunConfig, SeedSet | None]:
        """Read and check the flags, and load their data set; None where exploring has yet to find it.

        Raise ConfigError for flags, and DataError for a data set, that cannot be used.
        """
        self._config = config = parse_arguments(self._argv)
        use_prompts_of(config.replay)
        set_up_logging(config.log_level, config.log_format == "json")
        load_environment(config.key_variables)
        self.scratch = self._resources.enter_context(scratch_folder())
        benchmarks = benchmarks_of(config)  # read before anything costs, also where the seeds are yet to be found
        if config.explore:
            return config, None
        stored = self.scratch / "seeds.sqlite"
        seeds = self._resources.enter_context(load_seeds(seed_sources(config), stored, benchmarks))
        for run in config.runs():
            if run.learns:
                seeds.split(config)
        self._similar = similar_seeds(config, seeds)
        if benchmarks:
            self._similar += f"\nseeds that repeat an item of a benchmark: {seeds.contaminated:,}, set aside"
        return config, seeds

    def say_plan(self, plan: str) -> None:
        """Say what was planned, and how many seeds repeat others."""
        say("\n".join(filter(None, (plan, self._similar.strip()))))

    def open_folder(self) -> RunFolder:
        """Check output paths and keys, in this order and before anything costs; then open the run folder.

        Raise DataError for a path or folder, and EndpointError for a key, that cannot be used.
        """
        check_result(self._config)
        check_outputs(self._config)
        check_keys(self._config)
        return self._resources.enter_context(RunFolder(self._config))

    def wait(self, folder: RunFolder, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` and return what it returns. Where a signal or the budget ends it, the error says how to go on."""
        try:
            return asyncio.run(self._stop.stoppable(work))
        except (Interrupted, BudgetReached, Waiting) as exc:
            kept = "all answers" if self._config.engine == "ray" else f"{len(folder.journal)} answers"
            under_way = self._under_way(folder)
            raise type(exc)(f"{exc}; {kept} are kept, continue with: {self.command}{under_way}") from exc

    def _under_way(self, folder: RunFolder) -> str:
        """Say which batches go on at the provider, and how to cancel them; empty where there are none."""
        if not self._config.in_batches or self._config.batch_folder:
            return ""
        names = [batch.id or batch.name for batch in Records(folder.journal).unread()]
        shown = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}"
        return f"; still under way at the provider: {shown}, to be cancelled with --cancel-batches" if names else ""

    def end(self, folder: RunFolder, told: Told) -> None:
        """Export the journal if it is asked for, and say what came of the run. Raise what `check_outcome` raises."""
        if self._config.export_journal:
            made_with = {"settings": self._config.determining(), "prompts": all_prompts()}
            folder.journal.export(self._config.export_journal, made_with)
        say(told.text)
        if told.summary:
            check_outcome(self._config, told.summary)

    def fail(self, exc: BaseException) -> None:
        """Say an error in one line, and have the process end with its exit code."""
        if isinstance(exc, Waiting):
            say(str(exc))
            return
        complain(self._in_words(exc))
        kinds = {MemoryError: DataError, KeyboardInterrupt: Interrupted}
        self.exit_code = (exc if isinstance(exc, AutoEvolError) else kinds[type(exc)]).exit_code

    def _in_words(self, exc: BaseException) -> str:
        if isinstance(exc, MemoryError):
            return "out of memory: give this machine more of it, or the program smaller files"
        if isinstance(exc, KeyboardInterrupt):
            begun = self._stop.began
            when = "at the end; the same command goes on" if begun else "before anything was asked; start again"
            return f"interrupted {when} with: {self.command}"
        return str(exc)


@contextmanager
def open_command(argv: Sequence[str]) -> Iterator[Command]:
    """Carry out the flags `argv`: every error inside ends as one line on stderr and in `exit_code`."""
    complete_streams()
    set_up_logging("info", wants_json(argv))  # so that errors in the flags have the format that these ask for
    try:
        with Stop() as stop:
            resources = ExitStack()
            command = Command(argv, stop, resources)
            try:
                with resources:
                    yield command
            except (AutoEvolError, MemoryError, KeyboardInterrupt) as exc:
                command.fail(exc)
    finally:
        flush_streams()


def without_repetition(argv: Sequence[str]) -> list[str]:
    """Return the flags without those that a later one of the same name overrides, but all of a repeatable one."""
    flags: list[list[str]] = []
    for word in argv:
        if word.startswith("--") or not flags:
            flags.append([])
        flags[-1].append(word)
    repeatable = {flag_of(name) for name in REPEATABLE}
    last = {words[0]: words for words in flags if words[0] not in repeatable}
    return [word for words in flags if last.get(words[0], words) is words for word in words]


def similar_seeds(config: RunConfig, seeds: SeedSet) -> str:
    """Return, and log, a line on how many seeds nearly repeat others; empty with `--max-overlap 1`."""
    if config.max_overlap == 1:
        return ""
    from utils.text.near_duplicates import near_duplicates_among  # numpy, which the start of the program can spare

    similar = near_duplicates_among(seeds, config.max_overlap)
    log.info(similar)
    return similar


def check_result(config: RunConfig) -> None:
    """Raise DataError, before anything costs, where the result or the exported journal could not be written."""
    check_output(config.result, "--save-path", config.in_partitions)
    check_apart(config)
    if config.in_partitions:
        is_remote = is_url(config.save_path)
        store = store_of(config.save_path)
        check_partitions(store, config.save_path)
        if config.hold_out:
            held_out = config.on_store(held_out_path(config.result))
            check_partitions(store_of(held_out), held_out)
        if is_remote:
            store.write(".written", b"")
            store.delete([".written"])
    if config.export_journal:
        check_output(config.export_journal, "--export-journal")
    if config.batch_folder:
        check_output(config.batch_folder / "round-0001.jsonl", "--batch-folder")


def seed_sources(config: RunConfig) -> list[SeedSource]:
    """Return the data set of the flags; offline and without one, the built-in examples, Korean first."""
    if config.data_path:
        return [SeedSource(**{field: getattr(config, field) for field in SeedSource.__dataclass_fields__})]
    return [SeedSource(str(EXAMPLES / name)) for name in ("seed_ko.jsonl", "seed_en.jsonl")]


def check_outcome(config: RunConfig, summary: Summary) -> None:
    """Raise EndpointError where no row survived and some got no answer; RetentionError where none or too few did."""
    if summary.unavailable and not summary.evolved and not summary.eliminated:
        raise EndpointError("not a single row was answered, see run.log; check the endpoint and run again")
    if not summary.evolved:
        went = f" ({summary.unavailable} got no answer: run again)" if summary.unavailable else ""
        raise RetentionError(
            f"nothing survived: none of {summary.rows_in} rows{went}; see {config.rejects} for the reasons"
        )
    if config.min_retention is not None and summary.retention < config.min_retention:
        raise RetentionError(
            f"retention {summary.retention:.3f} is below --min-retention {config.min_retention:g}; "
            f"see {config.rejects} for the reasons"
        )
