"""What every run writes: its methods, its result, its rejects, its summary."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from utils.files.row_store import RowStore
from utils.files.storage import store_of
from utils.files.writing import Columns, write_parts, write_rows
from utils.rows.counts import RowCounts
from utils.rows.held_out import HELD_OUT, held_out_path, hold_out
from utils.rows.records import (
    ANSWERS,
    EVOLVED,
    REJECTED,
    evolved_records,
    method_record,
    rejected_records,
    result_records,
)
from utils.rows.summary import Summary, summarize
from utils.run.context import RunContext
from utils.run.run_folder import Folder
from utils.schema import Learned, RowOutcome, SeedGrades
from utils.seeds import SeedSet


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has come to its end: its rows, the columns of its result, its methods and its summary."""

    rows: RowStore
    columns: Columns
    learned: Learned
    summary: Summary


def write_methods(folder: Folder, learned: Learned, complexity: Callable[[Sequence[RowOutcome]], float | None]) -> None:
    """Write every measured method to `methods.jsonl`, and the text of the best one to `best_method.txt`.

    `complexity` gives the score of a method's outcomes by the code of the paper's authors. Where the run draws from the
    operations of Evol-Instruct, none is the best one, and there is no `best_method.txt`.
    """
    tried = ((candidate, complexity(candidate.score.outcomes)) for candidate in learned.history)
    folder.write_lines("methods.jsonl", (method_record(candidate, score) for candidate, score in tried))
    best = learned.methods[0]
    if best.name is None:  # only the operations of Evol-Instruct have names
        folder.write("best_method.txt", best.text + "\n")


def write_result(
    ctx: RunContext, folder: Folder, rows: RowStore, seeds: SeedSet, learned: Learned, grades: SeedGrades | None
) -> Ran:
    """Write result, rejects and summary of `rows`, which holds what became of every row; return them with the run.

    With `--hold-out` the rows held out get a file of their own. `seeds` say which columns and which benchmarks there
    are; `grades` are those of answers to seeds, if there is a weak LLM. Raises DataError where a file cannot be
    written.
    """
    config, each = ctx.config, ctx.display.each
    hold_out(rows, seeds.held_out(config), config)
    counts = RowCounts.of(rows, learned.seen)
    columns = EVOLVED | seeds.columns | (ANSWERS if config.answers > 1 else {})
    kept, held_out = (counts.by_reason(outcome).total() for outcome in ("evolved", HELD_OUT))
    evolved = each("writing: rows", result_records(evolved_records(rows), columns), kept)
    lost = each("writing: rejects", rejected_records(rows), counts.total - kept - held_out)
    if config.in_partitions:
        write_parts(store_of(config.on_store(folder.result)), evolved, columns)
        write_parts(store_of(config.on_store(folder.path / "rejects")), lost, REJECTED)
    else:
        write_rows(folder.result, evolved, columns, through_link=True)
        folder.write_lines("rejects.jsonl", lost)
    if config.hold_out:
        path, records = held_out_path(folder.result), result_records(evolved_records(rows, HELD_OUT), columns)
        if config.in_partitions:
            write_parts(store_of(config.on_store(path)), records, columns)
        else:
            write_rows(path, records, columns)
    benchmarks = seeds.benchmarks.summaries(rows) if seeds.benchmarks else ()
    seconds = time.monotonic() - ctx.started
    summary = summarize(counts, learned, ctx.ledger, seconds, config, grades, benchmarks)
    folder.write("summary.json", summary.model_dump_json(indent=2) + "\n")
    return Ran(rows, columns, learned, summary)
