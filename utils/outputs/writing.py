"""What a run writes beside its result: measures, other shapes, the report, and the upload."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from utils.config import EVOL_INSTRUCT, RunConfig
from utils.errors import DataError
from utils.files.row_store import RowStore
from utils.outputs.result_files import Ran
from utils.process.each import Each, in_silence
from utils.rows.held_out import held_out_path
from utils.rows.records import evolved_records, stored_rows
from utils.run.run_folder import Folder, check_output, is_run_file
from utils.seeds import SeedSource, benchmark_source
from utils.seeds.files import files_of, is_of_run_here
from utils.urls import is_url

if TYPE_CHECKING:
    from utils.text.measures.model import RunMeasures


def check_outputs(config: RunConfig) -> None:
    """Raise an AutoEvolError, before anything costs, where what is written beside the result could not be."""
    if config.hold_out:
        check_output(held_out_path(config.result), "--hold-out", config.in_partitions)
    if config.export:
        from utils.outputs.export import export_path

        check_output(export_path(config.result, config.export), "--export")
    if config.push_to_hub:
        from utils.outputs.hub import check_push

        check_push(config.push_to_hub)


def check_apart(config: RunConfig) -> None:
    """Raise DataError where a file to be written is one that is read, or that something else is written to."""
    written = [("--save-path", config.result)]
    if config.hold_out:
        written.append(("--hold-out", held_out_path(config.result)))
    if config.export:
        from utils.outputs.export import export_path

        written.append(("--export", export_path(config.result, config.export)))
    if config.export_journal:
        written.append(("--export-journal", config.export_journal))
    taken = list(_read(config))
    for number, (flag, path) in enumerate(written):
        for of_what, other in (*taken, *written[:number]):
            if _same(path, other):
                raise DataError(f"{flag} {path} would overwrite the file of {of_what}; choose another name")
        if is_run_file(config.run_folder, path):
            raise DataError(f"{flag} {path} would overwrite a file of the run folder; choose another name")


def _read(config: RunConfig) -> Iterator[tuple[str, Path]]:
    """Yield the local files that a run reads, each after the name that an error calls it by (mostly a flag)."""
    named = [("--data-path", config.data_path or "")]
    named += [("--decontaminate", benchmark_source(name).data_path) for name in config.decontaminate]
    for flag, path in named:
        if path and not is_url(path):
            with suppress(DataError):  # raised again when they are read
                source = SeedSource(os.path.expanduser(path))
                yield from ((flag, Path(file.path)) for file in files_of(source))
    for flag, names in (("--method", (config.method,)), ("--compare", config.compare)):
        yield from ((flag, Path(name)) for name in names if name not in ("auto", EVOL_INSTRUCT))
    if config.replay:
        yield "--replay", config.replay
    yield "keys", Path(".env")


def _same(path: Path, other: Path) -> bool:
    """Tell whether both paths mean one file, there already or not, or `path` is a file inside the folder `other`.

    What a run has written does not count as inside: it is not read with the folder.
    """
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    if not (path.exists() and other.exists()):
        return False
    if path.samefile(other):
        return True
    inside = other.is_dir() and path.resolve().is_relative_to(other.resolve())
    return inside and not is_of_run_here(str(path))


async def write_outputs(config: RunConfig, folder: Folder, ran: Ran, each: Each = in_silence) -> None:
    """Export, measure, report and upload, as the flags say, after the result itself has been written.

    `each` shows the progress of measures and report.
    """
    rows, repo = ran.rows, config.push_to_hub if ran.summary.evolved else None
    if config.export:
        from utils.outputs.export import export_path, export_rows

        path, evolved = export_path(folder.result, config.export), partial(evolved_records, rows)
        export_rows(path, config.export, evolved, config.reasoning)
    if config.no_report and not repo:
        return
    measures = _measures(folder, rows, each)
    if not config.no_report:
        from utils.outputs.report import write_report
        from utils.outputs.report.texts import language_of_locale

        lang = config.lang or language_of_locale(os.environ)
        write_report(folder.path, folder.result, lang, rows if config.in_partitions else None, each)
    if repo:
        await _upload(config, repo, folder, ran, measures)


def _measures(folder: Folder, rows: RowStore, each: Each) -> "RunMeasures":
    """Measure complexity and diversity of the rows for report and card, write `measures.json`, return the measures."""
    from utils.text.measures.run import measure_run

    stored = (row for _, row in each("measuring: rows", stored_rows(rows), len(rows)))
    measures = measure_run(stored, each=each)
    folder.write("measures.json", measures.model_dump_json(indent=2) + "\n")
    return measures


async def _upload(config: RunConfig, repo: str, folder: Folder, ran: Ran, measures: "RunMeasures") -> None:
    from utils.outputs.card import card, language_shares
    from utils.outputs.hub import check_push, push

    languages = language_shares(record["instruction"] for record in evolved_records(ran.rows))
    text = card(ran.summary, config, ran.learned.methods, languages, measures, ran.columns)
    # In a thread, so that Ctrl-C is heard while the network is slow.
    await asyncio.to_thread(push, folder.result, repo, check_push(repo), text)
