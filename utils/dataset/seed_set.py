"""The seed set: usable seeds and rows set aside, on a spool.

Rows flow as a stream: `iter_records` reads them, `load_seeds` tells usable ones from those to set aside and puts both
on a spool, `SeedSet` gives them back. Only their numbers and 16 bytes per distinct instruction stay in memory (a
single object of JSON is the exception: it is read whole).
"""

import logging
import os
import random
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from utils.dataset.encodings import wrong_encoding
from utils.dataset.files import SUFFIXES, TABLES, WILD, File, Splits, files_of
from utils.dataset.hub import fetched, folder_splits, hub_splits
from utils.dataset.json_rows import read_json
from utils.dataset.kept import KeptColumns
from utils.dataset.rows import RowReader, SetAside, digest
from utils.dataset.source import Row, SeedSource, names, plain_names
from utils.dataset.tables import BATCH, read_csv, read_table
from utils.errors import DataError
from utils.results import CONTEXT, Columns
from utils.schema import Message, SeedInstruction
from utils.spool import Spool
from utils.storage import is_url

log = logging.getLogger(__name__)

OTHER_COLUMN = "name the column of the instructions with --instruction-field"
REMEDIES = {
    "tool_use": "calls of tools cannot be evolved; choose another data set",
    "unknown_shape": 'write a chat as {"messages": [{"role": "user", "content": …}, …]}, or ' + OTHER_COLUMN,
}
PEEK = 100  # rows that are looked at where not all of them are read

# --- Rows as a stream ---------------------------------------------------------------------------


def iter_records(source: SeedSource) -> Iterator[Row]:
    """The rows of `source` as a stream, each a dict by column; unneeded columns of tables are left out.

    A path that exists wins over a Hub name. Raises DataError for all that can be wrong with either.
    """
    return _records(source, RowReader(source))


def look_into(source: SeedSource) -> None:
    """Raises DataError where the first rows of `source` cannot be read, or have no column of instructions."""
    reader = RowReader(source)
    for row in islice(_records(source, reader), PEEK):
        reader.read(0, row)
    reader.end_of_file(source.data_path)


def pieces_of(source: SeedSource) -> list[SeedSource]:
    """`source` in pieces that can be read one by one and that together give its rows in the same order.

    Mostly the files that it is made of; where a part of a split is meant, or of a file, itself.
    """
    parts, whole = _parts(source)
    if whole.split or any(start or stop is not None for _, start, stop in parts):
        return [source]
    files = [file for files, _, _ in parts for file in files]
    return [replace(whole, data_path=file.path, subset=None) for file in files]


def _records(source: SeedSource, reader: RowReader) -> Iterator[Row]:
    parts, source = _parts(source)
    for files, start, stop in parts:
        yield from islice(_rows_of_files(files, source, reader), start, stop)


def _rows_of_files(files: Iterable[File], source: SeedSource, reader: RowReader) -> Iterator[Row]:
    for file in files:
        yield from _rows_of(fetched(source, file), source, reader)
        reader.end_of_file(file.shown)


def _rows_of(file: File, source: SeedSource, reader: RowReader) -> Iterator[Row]:
    if not file.is_known:
        raise DataError(f"cannot tell what {file.shown} holds by its suffix: use one of {', '.join(SUFFIXES)}")
    if source.split and file.suffix not in (".json", ".jsonl", ".ndjson"):
        raise DataError(f"{file.shown} has no splits: leave out --split")
    try:
        if file.suffix in TABLES:
            yield from read_table(file, reader.columns)
        else:
            yield from read_csv(file, source) if file.suffix in (".csv", ".tsv") else read_json(file, source)
    except UnicodeError as exc:
        raise wrong_encoding(file.shown, exc, source.encoding) from exc


# --- Which files, and which of their rows ----------------------------------------------------------

Part = tuple[list[File], int, int | None]  # files, and the first row and the one behind the last that is meant


def _parts(source: SeedSource) -> tuple[list[Part], SeedSource]:
    """What `source` is made of, and what is left of it to say of each of these files."""
    source = source if is_url(source.data_path) else replace(source, data_path=os.path.expanduser(source.data_path))
    if _is_files(source):
        return [(files_of(source), 0, None)], source
    splits = folder_splits(source) if Path(source.data_path).is_dir() else hub_splits(source)
    if not splits:
        raise DataError(f"{source.data_path} holds no rows, or no files that can be read: choose another one")
    split = source.split or ("train" if "train" in splits or len(splits) != 1 else next(iter(splits)))
    rest = replace(source, split=None)
    if split in splits:
        return [(splits[split], 0, None)], rest
    if re.search(r"[\[+]", split):
        return _sliced(rest, splits, split), rest
    raise _no_split(source, splits, split)


def _sliced(source: SeedSource, splits: Splits, wanted: str) -> list[Part]:
    """The parts that a split like `train[:10%]+test[5:]` means, as `datasets` reads such."""
    from datasets import ReadInstruction

    def size(files: Iterable[File]) -> int:
        return sum(1 for _ in _rows_of_files(files, source, RowReader(source)))

    try:
        sizes = {split: size(files) for split, files in splits.items() if split in wanted}
        parts = ReadInstruction.from_spec(wanted).to_absolute(sizes)
    except (ValueError, AssertionError, KeyError) as exc:
        raise _no_split(source, splits, wanted) from exc
    return [(splits[part.splitname], part.from_ or 0, part.to) for part in parts]


def _no_split(source: SeedSource, splits: Splits, split: str) -> DataError:
    return DataError(
        f"{source.data_path} has no split {split!r}; it has {names(list(splits))}: name one of them with --split"
    )


def _is_files(source: SeedSource) -> bool:
    """Whether files are meant, as against a folder or a Hub data set. Raises DataError where neither can be."""
    if not source.data_path:
        raise DataError("--data-path is empty: give it a file, a folder, or a Hub data set (ORG/NAME)")
    path = Path(source.data_path)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as exc:
        raise DataError(f"cannot read {path} ({exc.strerror}): check --data-path and its permissions") from exc
    if is_folder or not (exists or _means_file(source.data_path)):
        return False
    if not exists and not is_url(source.data_path) and not WILD.search(source.data_path):
        raise DataError(f"there is no file {path}: give --data-path a file, a folder, or a Hub data set (ORG/NAME)")
    if source.subset:
        raise DataError(f"{source.data_path} is no data set with subsets: leave out --subset")
    return True


def _means_file(data_path: str) -> bool:
    """A Hub name is NAME or ORG/NAME; a dot in a name without ORG, a known suffix or a wildcard means files."""
    path = Path(data_path)
    slashes = data_path.count("/")
    return (
        path.suffix.lower() in SUFFIXES
        or slashes > 1
        or data_path[:1] in "/.~"
        or (not slashes and "." in data_path)
        or bool(WILD.search(data_path))
    )


# --- The set ------------------------------------------------------------------------------------


class SeedSet:
    """Usable seeds and rows set aside, on a spool. Made by `load_seeds`; close it to delete the spool.

    `ids` are those of the usable seeds, ascending; `total` counts all rows read.
    """

    def __init__(self, spool: Spool) -> None:
        self.ids = array("q")
        self._aside = array("q")
        self._spool = spool
        self._reasons: Counter[str] = Counter()
        self._has_context = False
        self._kept = KeptColumns()

    def add(self, rows: Iterable[SeedInstruction | SetAside]) -> None:
        """Take rows in, in ascending order of their ids."""
        rows = iter(rows)
        while some := list(islice(rows, BATCH)):
            self._spool.put_many(map(self._filed, some))
            self._kept.take(row.extra for row in some if isinstance(row, SeedInstruction) and row.extra)

    def _filed(self, row: SeedInstruction | SetAside) -> tuple[int, list]:
        if isinstance(row, SetAside):
            self._aside.append(row.id)
            self._reasons[row.reason] += 1
            return row.id, [row.text, row.reason]
        self.ids.append(row.id)
        self._has_context = self._has_context or bool(row.context)
        return row.id, [row.text, row.reference, [(turn.role, turn.content) for turn in row.context], row.extra]

    @property
    def columns(self) -> Columns:
        """The columns that the result has because of these seeds: their context, and what is kept of their rows."""
        kept = self._kept.columns
        return (CONTEXT if self._has_context else {}) | ({"extra": kept} if kept else {})

    def aside_by_reason(self) -> str:
        """How many rows were set aside for which reasons, to be put behind a sentence; empty where none was."""
        counts = ", ".join(f"{reason} {count}" for reason, count in self._reasons.most_common())
        return f"; set aside: {counts}" if counts else ""

    @property
    def total(self) -> int:
        return len(self.ids) + len(self._aside)

    def __len__(self) -> int:
        return len(self.ids)

    def get(self, ids: Iterable[int]) -> list[SeedInstruction]:
        """The seeds of `ids`, in their order; KeyError for a row that was never read."""
        return [_seed(row_id, *self._spool.get(row_id)) for row_id in ids]

    def __iter__(self) -> Iterator[SeedInstruction]:
        for start in range(0, len(self.ids), BATCH):
            yield from self.get(self.ids[start : start + BATCH])

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


def _seed(row_id: int, text: str, reference: str | None, context: list, extra: dict[str, Any]) -> SeedInstruction:
    return SeedInstruction(row_id, text, reference, tuple(Message(*turn) for turn in context), extra)


def load_seeds(sources: Sequence[SeedSource], spool_path: Path) -> SeedSet:
    """Read the seeds of one or more sources onto a spool.

    An id is a row's position from 0 (where every turn is a seed, a seed's) and runs on from source to source. Of seeds
    with equal instructions and contexts (blanks taken as one) the first is kept. What columns were not used is told.
    Raises DataError if a source cannot be read, is empty, lacks a column, or if no row at all is usable.
    """
    seeds = SeedSet(Spool(spool_path))
    try:
        seeds.add(_unique(_read(sources)))
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
        reader, before = RowReader(source), row_id
        for row in _records(source, reader):
            found = reader.read(row_id, row)
            row_id += len(found)
            yield from found
        if row_id == before:
            raise DataError(f"{source.data_path} holds no rows: choose another file or data set")
        reader.columns.check()
        if unused := reader.columns.unused():
            log.info("columns not used: %s", plain_names(unused))


def _unique(rows: Iterable[SeedInstruction | SetAside]) -> Iterator[SeedInstruction | SetAside]:
    seen: set[bytes] = set()
    for row in rows:
        if isinstance(row, SeedInstruction):
            key = digest(row)
            if key in seen:
                row = SetAside(row.id, row.text, "duplicate")
            seen.add(key)
        yield row


def none_usable(sources: Sequence[SeedSource], total: int, reasons: Iterable[str]) -> DataError:
    """What is to be said where not a single row is a seed; `reasons` are why rows were set aside."""
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
