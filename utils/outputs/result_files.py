"""What every run writes: its methods, its result, its rejects, its summary."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.files.storage import store_of
from utils.files.writing import Columns, write_parts, write_rows
from utils.rows.counts import Finished
from utils.rows.records import EVOLVED, REJECTED, method_record, result_records
from utils.rows.summary import Summary, summarize
from utils.run.context import RunContext
from utils.run.run_folder import Folder
from utils.schema import Candidate, Method, RowOutcome


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has come to its end: its rows, the columns of its result, its methods and its summary."""

    finished: Finished
    columns: Columns
    methods: Sequence[Method]
    history: Sequence[Candidate]
    summary: Summary


def write_methods(
    folder: Folder,
    methods: Sequence[Method],
    history: Sequence[Candidate],
    complexity: Callable[[Sequence[RowOutcome]], float | None],
) -> None:
    """Write every measured method to `methods.jsonl`, and the text of the best one, `methods[0]`, to `best_method.txt`.

    `complexity` gives the score of a method's outcomes by the code of the paper's authors. Where the run draws from the
    operations of Evol-Instruct, none is the best one, and there is no `best_method.txt`.
    """
    tried = ((candidate, complexity(candidate.score.outcomes)) for candidate in history)
    folder.write_lines("methods.jsonl", (method_record(candidate, score) for candidate, score in tried))
    if methods[0].name is None:  # only the operations of Evol-Instruct have names
        folder.write("best_method.txt", methods[0].text + "\n")


def write_result(
    ctx: RunContext,
    folder: Folder,
    rows: RowStore,
    of_seeds: Columns,
    methods: Sequence[Method],
    history: Sequence[Candidate],
) -> Ran:
    """Write result, rejects and summary of `rows`, which holds what became of every row; return them with the run.

    `of_seeds` are the columns that only some seed sets need. Raises DataError where a file cannot be written.
    """
    finished, columns, each = Finished.on(rows), EVOLVED | of_seeds, ctx.display.each
    counts = finished.counts
    kept = counts.by_reason("evolved").total()
    evolved = each("writing: rows", result_records(finished.evolved(), columns), kept)
    lost = each("writing: rejects", finished.rejected(), counts.rows.total() - kept)
    config: RunConfig = ctx.config
    if config.in_partitions:
        write_parts(store_of(config.on_store(folder.result)), evolved, columns)
        write_parts(store_of(config.on_store(folder.path / "rejects")), lost, REJECTED)
    else:
        write_rows(folder.result, evolved, columns, through_link=True)
        folder.write_lines("rejects.jsonl", lost)
    summary = summarize(counts, methods, history, ctx.ledger, time.monotonic() - ctx.started)
    folder.write("summary.json", summary.model_dump_json(indent=2) + "\n")
    return Ran(finished, columns, methods, history, summary)
