"""The seed set: usable seeds and rows set aside, on a row store.

Rows flow as a stream: `records.py` reads them, `load_seeds` tells usable ones from those to set aside and puts both
on a row store, `SeedSet` gives them back. Only their numbers and 16 bytes per distinct instruction stay in memory (a
single object of JSON is the exception: it is read whole).
"""

import logging
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from utils.config import RunConfig
from utils.errors import DataError
from utils.files.row_store import RowStore
from utils.files.writing import Columns
from utils.rows.held_out import draw_held_out
from utils.rows.records import CONTEXT
from utils.rows.summary import BenchmarkSummary
from utils.schema import Message, SeedInstruction, Seeds, SetAside
from utils.seeds.kept import KeptColumns
from utils.seeds.records import records_of
from utils.seeds.rows import RowReader, digest
from utils.seeds.source import SeedSource, plain_names
from utils.seeds.tables import BATCH

log = logging.getLogger(__name__)

TEST_RUN_ROWS = 10
OTHER_COLUMN = "name the column of the instructions with --instruction-field"
REMEDIES = {
    "contaminated": "choose other seeds, or check what --decontaminate names",
    "tool_use": "calls of tools cannot be evolved; choose another data set",
    "unknown_shape": 'write a chat as {"messages": [{"role": "user", "content": …}, …]}, or ' + OTHER_COLUMN,
}

# --- The set ------------------------------------------------------------------------------------


class Benchmarks(Protocol):
    """Benchmarks that must stay out (utils/text/decontamination.py)."""

    def match(self, text: str) -> str | None:
        """Return the item that a text repeats, under the name of its benchmark; None for no item."""

    def summaries(self, rows: RowStore) -> list[BenchmarkSummary]:
        """Return what became of `rows` by benchmark."""


class SeedSet:
    """Usable seeds and rows set aside, on a row store. Made by `load_seeds`; close it to delete the row store.

    `ids` are those of the usable seeds, ascending; `total` counts all rows read; `benchmarks`, if there are any, are
    those whose items are not among the seeds.
    """

    def __init__(self, store: RowStore, benchmarks: Benchmarks | None = None) -> None:
        self.benchmarks = benchmarks
        self.ids = array("q")
        self._aside = array("q")
        self._spool = store
        self._reasons: Counter[str] = Counter()
        self._has_context = False
        self._kept = KeptColumns()

    def add(self, rows: Iterable[SeedInstruction | SetAside]) -> None:
        """Take rows in, in ascending order of their ids."""
        rows = iter(rows)
        while some := list(islice(rows, BATCH)):
            self._spool.put_many(map(self._filed, some))
            self._kept.take(row.extra for row in some if isinstance(row, SeedInstruction) and row.extra)

    def _filed(self, row: SeedInstruction | SetAside) -> tuple[int, list[Any]]:
        if isinstance(row, SetAside):
            self._aside.append(row.id)
            self._reasons[row.reason] += 1
            return row.id, [row.text, row.reason, row.note]
        self.ids.append(row.id)
        self._has_context = self._has_context or bool(row.context)
        return row.id, [row.text, row.reference, [(turn.role, turn.content) for turn in row.context], row.extra]

    @property
    def columns(self) -> Columns:
        """The columns that the result has because of these seeds: their context, and what is kept of their rows."""
        kept = self._kept.columns
        return (CONTEXT if self._has_context else {}) | ({"extra": kept} if kept else {})

    @property
    def contaminated(self) -> int:
        """How many seeds were set aside because they repeat an item of a benchmark."""
        return self._reasons["contaminated"]

    def aside_by_reason(self) -> str:
        """Return how many rows were set aside for which reasons, as the end of a sentence; empty where none was."""
        counts = ", ".join(f"{reason} {count}" for reason, count in self._reasons.most_common())
        return f"; set aside: {counts}" if counts else ""

    @property
    def total(self) -> int:
        return len(self.ids) + len(self._aside)

    def __len__(self) -> int:
        return len(self.ids)

    def get(self, ids: Iterable[int]) -> list[SeedInstruction]:
        """Return the seeds of `ids`, in their order. Raises KeyError for a row that was never read."""
        return [_seed(row_id, *self._spool.get(row_id)) for row_id in ids]

    def __iter__(self) -> Iterator[SeedInstruction]:
        for start in range(0, len(self.ids), BATCH):
            yield from self.get(self.ids[start : start + BATCH])

    def held_out(self, config: RunConfig) -> frozenset[int]:
        """Return the ids of the seeds that `--hold-out` keeps out of learning and of the result."""
        return draw_held_out(self.ids, config.hold_out, config.seed)

    def split(self, config: RunConfig) -> tuple[list[int], list[int]]:
        """Draw train and dev ids as `split_seeds`, of the seeds that are not held out."""
        held_out = self.held_out(config)
        ids = [row_id for row_id in self.ids if row_id not in held_out] if held_out else self.ids
        return split_seeds(ids, config.train_size, config.dev_size, config.seed)

    def of_run(self, config: RunConfig) -> Seeds:
        """Return the seeds that a run works on: all, or with `--test-run` the first `TEST_RUN_ROWS`."""
        return self.get(self.ids[:TEST_RUN_ROWS]) if config.test_run else self

    def aside_of_run(self, config: RunConfig) -> Iterable[SetAside]:
        """Return the rows set aside that a run accounts for: all, or with `--test-run` none."""
        return () if config.test_run else self.set_aside

    @property
    def set_aside(self) -> Iterator[SetAside]:
        """The rows that are no seeds, in order; a fresh iterator each time."""
        return (SetAside(row_id, *self._spool.get(row_id)) for row_id in self._aside)

    def close(self) -> None:
        self._spool.close()

    def __enter__(self) -> "SeedSet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _seed(row_id: int, text: str, reference: str | None, context: list[Any], extra: dict[str, Any]) -> SeedInstruction:
    return SeedInstruction(row_id, text, reference, tuple(Message(*turn) for turn in context), extra)


def load_seeds(sources: Sequence[SeedSource], spool_path: Path, benchmarks: Benchmarks | None = None) -> SeedSet:
    """Read the seeds of one or more sources onto a row store at `spool_path`.

    An id is a row's position from 0 (with `--turn all`, a seed's) and runs on from source to source. Of seeds with
    equal instructions and contexts (a run of blanks counts as one) the first is kept. One that repeats an item of the
    `benchmarks` is set aside. Unused columns are logged.
    Raises DataError if a source cannot be read, is empty, lacks a column, or if no row at all is usable.
    """
    seeds = SeedSet(RowStore(spool_path), benchmarks)
    try:
        rows = _unique(_read(sources))
        seeds.add(_screened(rows, benchmarks) if benchmarks else rows)
        if not seeds:
            raise none_usable(sources, seeds.total, (row.reason for row in islice(seeds.set_aside, BATCH)))
    except BaseException:
        seeds.close()
        raise
    log.info("%d rows read, %d usable as seeds%s", seeds.total, len(seeds), seeds.aside_by_reason())
    return seeds


def _read(sources: Sequence[SeedSource]) -> Iterator[SeedInstruction | SetAside]:
    row_id = 0
    for source in sources:
        reader = RowReader(source)
        for row in seeds_of(source, reader, row_id):
            yield row
            row_id = row.id + 1
        if unused := reader.columns.unused():
            log.info("columns not used: %s", plain_names(unused))


def seeds_of(source: SeedSource, reader: RowReader, row_id: int = 0) -> Iterator[SeedInstruction | SetAside]:
    """Yield what `reader` makes of the rows of a source, ids from `row_id` on. Raises DataError as `load_seeds`."""
    before = row_id
    for row in records_of(source, reader):
        found = reader.read(row_id, row)
        row_id += len(found)
        yield from found
    if row_id == before:
        raise DataError(f"{source.data_path} holds no rows: choose another file or data set")
    reader.columns.check()


def _unique(rows: Iterable[SeedInstruction | SetAside]) -> Iterator[SeedInstruction | SetAside]:
    seen: set[bytes] = set()
    for row in rows:
        if isinstance(row, SeedInstruction):
            key = digest(row)
            if key in seen:
                row = SetAside(row.id, row.text, "duplicate")
            seen.add(key)
        yield row


def _screened(
    rows: Iterable[SeedInstruction | SetAside], benchmarks: Benchmarks
) -> Iterator[SeedInstruction | SetAside]:
    for row in rows:
        note = benchmarks.match(row.text) if isinstance(row, SeedInstruction) else None
        yield SetAside(row.id, row.text, "contaminated", note) if note else row


def none_usable(sources: Sequence[SeedSource], total: int, reasons: Iterable[str]) -> DataError:
    """Return the error for sources without a single usable row; `reasons` are why rows were set aside."""
    reasons, where = sorted(set(reasons)), ", ".join(source.data_path for source in sources)
    remedy = next((REMEDIES[reason] for reason in reasons if reason in REMEDIES), OTHER_COLUMN)
    return DataError(f"none of the {total} rows of {where} is usable as a seed ({', '.join(reasons)}): {remedy}")


def split_seeds(ids: Sequence[int], train_size: int, dev_size: int, seed: int) -> tuple[list[int], list[int]]:
    """Draw disjoint train and dev ids, in a fixed order that depends on `ids`, the sizes and `seed` alone.

    Raises DataError if there are fewer ids than both need.
    """
    if train_size + dev_size > len(ids):
        raise DataError(
            f"--train-size {train_size} and --dev-size {dev_size} need {train_size + dev_size} seeds, but only "
            f"{len(ids)} are usable: lower them, or choose a larger seed set"
        )
    drawn = random.Random(f"{seed}:split").sample(range(len(ids)), train_size + dev_size)
    picked = [ids[i] for i in drawn]
    return picked[:train_size], picked[train_size:]
