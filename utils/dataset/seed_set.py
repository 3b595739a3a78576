"""The seed set: usable seeds and rows set aside, on a spool.

Rows flow as a stream: `iter_records` reads them, `load_seeds` tells usable ones from those to set aside and puts both
on a spool, `SeedSet` gives them back. Only their numbers and 16 bytes per distinct instruction stay in memory (a
`.json` file of columns is the exception: it is read whole).
"""

import logging
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from utils.dataset.files import BATCH, SUFFIXES, WILD, files_of, rows_of
from utils.dataset.hub import data_files, dataset_rows
from utils.dataset.rows import SetAside, digest, read_row
from utils.dataset.source import SeedSource, instruction_column
from utils.errors import DataError
from utils.schema import SeedInstruction
from utils.spool import Spool
from utils.storage import is_url

log = logging.getLogger(__name__)

PEEK = 100  # rows in which the columns are looked for


# --- Rows as a stream ---------------------------------------------------------------------------


def iter_records(source: SeedSource) -> Iterator[dict[str, Any]]:
    """The rows of `source` as a stream, each a dict by column; unneeded columns of tables are left out.

    A path that exists wins over a Hub name. Raises DataError for all that can be wrong with either.
    """
    if not _is_files(source):
        return dataset_rows(source)
    return chain.from_iterable(rows_of(file, source) for file in files_of(_local(source.data_path)))


def pieces_of(source: SeedSource) -> list[SeedSource]:
    """`source` in pieces that can be read one by one and that together give its rows in the same order.

    Mostly the files that it is made of; where it cannot be taken apart, itself.
    """
    files = files_of(_local(source.data_path)) if _is_files(source) else data_files(source)
    return [replace(source, data_path=file.path, split=None, subset=None) for file in files] or [source]


def _local(data_path: str) -> str:
    return data_path if is_url(data_path) else str(Path(data_path).expanduser())


def _is_files(source: SeedSource) -> bool:
    """Whether files are meant, as against a folder or a Hub data set. Raises DataError where neither can be."""
    if not source.data_path:
        raise DataError("--data-path is empty: give it a file, a folder, or a Hub data set (ORG/NAME)")
    path = Path(source.data_path).expanduser()
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as exc:
        raise DataError(f"cannot read {path} ({exc.strerror}): check --data-path and its permissions") from exc
    if is_folder and path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path} is a folder, where a file is expected: give --data-path a file in it")
    if is_folder or not (exists or _means_file(source.data_path)):
        return False
    if not exists and not is_url(source.data_path) and not WILD.search(source.data_path):
        raise DataError(f"there is no file {path}: give --data-path a file, a folder, or a Hub data set (ORG/NAME)")
    if source.split or source.subset:
        raise DataError(f"{source.data_path} is no data set with splits and subsets: leave out --split and --subset")
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


def column_of(source: SeedSource) -> str:
    """The column of the instructions, as the first rows of `source` tell; DataError if it cannot be read."""
    return instruction_column(source, _opened(source)[0])


def _opened(source: SeedSource) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """The columns of the first rows, and all rows."""
    records = iter_records(source)
    first = list(islice(records, PEEK))
    if not first:
        raise DataError(f"{source.data_path} holds no rows: choose another file or data set")
    return list(dict.fromkeys(name for row in first for name in row)), chain(first, records)


# --- The set ------------------------------------------------------------------------------------


class SeedSet:
    """Usable seeds and rows set aside, on a spool. Made by `load_seeds`; close it to delete the spool.

    `ids` are those of the usable seeds, ascending; `total` counts all rows read.
    """

    def __init__(self, spool: Spool) -> None:
        self.ids = array("q")
        self._aside = array("q")
        self._spool = spool

    def add(self, rows: Iterable[SeedInstruction | SetAside]) -> None:
        """Take rows in, in ascending order of their ids."""
        self._spool.put_many(map(self._filed, rows))

    def _filed(self, row: SeedInstruction | SetAside) -> tuple[int, list]:
        if isinstance(row, SetAside):
            self._aside.append(row.id)
            return row.id, [row.text, row.reason]
        self.ids.append(row.id)
        return row.id, [row.text, row.reference, row.extra]

    @property
    def total(self) -> int:
        return len(self.ids) + len(self._aside)

    def __len__(self) -> int:
        return len(self.ids)

    def get(self, ids: Iterable[int]) -> list[SeedInstruction]:
        """The seeds of `ids`, in their order; KeyError for a row that was never read."""
        return [SeedInstruction(row_id, *self._spool.get(row_id)) for row_id in ids]

    def extra(self, row_id: int) -> dict[str, Any]:
        """What the seed of an id has besides."""
        return self.get([row_id])[0].extra

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


def load_seeds(sources: Sequence[SeedSource], spool_path: Path, limit: int | None = None) -> SeedSet:
    """Read seeds of one or more sources, of the first `limit` rows if that is given, onto a spool.

    An id is a row's position from 0 and runs on from source to source. Of equal instructions (after
    Unicode NFC, blanks taken as one) the first is kept. Raises DataError if a source cannot be read,
    is empty, lacks a column, or if no row at all is usable.
    """
    seeds = SeedSet(Spool(spool_path))
    try:
        rows = enumerate(chain.from_iterable(map(_row_readers, sources)))
        seeds.add(_unique(read(row_id) for row_id, read in islice(rows, limit)))
        if not seeds:
            raise none_usable(sources, seeds.total, (row.reason for row in islice(seeds.set_aside, BATCH)))
    except BaseException:
        seeds.close()
        raise
    log.info("%d rows read, %d usable as seeds", seeds.total, len(seeds))
    return seeds


def _row_readers(source: SeedSource) -> Iterator[Callable[[int], SeedInstruction | SetAside]]:
    """For each row of `source` what reads it, once its id is known."""
    columns, rows = _opened(source)
    column = instruction_column(source, columns)
    if column == "instruction" and not source.response_field and "response" not in columns:
        log.info("%s has no column 'response': its seeds go without (--response-field names one)", source.data_path)
    return (partial(read_row, row=row, source=source, column=column) for row in rows)


def _unique(rows: Iterable[SeedInstruction | SetAside]) -> Iterator[SeedInstruction | SetAside]:
    seen: set[bytes] = set()
    for row in rows:
        if isinstance(row, SeedInstruction):
            key = digest(row.text)
            if key in seen:
                row = SetAside(row.id, row.text, "duplicate")
            seen.add(key)
        yield row


def none_usable(sources: Sequence[SeedSource], total: int, reasons: Iterable[str]) -> DataError:
    """What is to be said where not a single row is a seed; `reasons` are why rows were set aside."""
    names = ", ".join(source.data_path for source in sources)
    return DataError(
        f"none of the {total} rows of {names} is usable as a seed ({', '.join(sorted(set(reasons)))}): "
        "name the column of the instructions with --instruction-field"
    )


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
