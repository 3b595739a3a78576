"""The rows of a source as a stream: which files it is made of, which of their rows are meant, and reading them.

A file, a folder, a glob, an address and a Hub data set all become files, which one reader reads.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from utils.errors import DataError
from utils.seeds.encodings import wrong_encoding
from utils.seeds.files import SUFFIXES, TABLES, WILD, File, Splits, files_of
from utils.seeds.hub import fetched, folder_splits, hub_splits
from utils.seeds.json_rows import read_json
from utils.seeds.rows import RowReader
from utils.seeds.source import ALL_BUT_TRAIN, Row, SeedSource, names
from utils.seeds.tables import read_csv, read_table
from utils.urls import is_url


def iter_records(source: SeedSource) -> Iterator[Row]:
    """Yield the rows of `source`, each a dict by column; columns of tables that are not needed are left out.

    A path that exists wins over a Hub name. Raises DataError for all that can be wrong with either.
    """
    return records_of(source, RowReader(source))


def records_of(source: SeedSource, reader: RowReader) -> Iterator[Row]:
    """Yield the rows of `source` as `iter_records` does; tell `reader` the columns of tables, and where a file ends."""
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
    """Return the parts that `source` is made of, and the source to read them by: without a split that chose them."""
    source = source if is_url(source.data_path) else replace(source, data_path=os.path.expanduser(source.data_path))
    if _is_files(source):
        return [(files_of(source), 0, None)], replace(source, split=None) if source.split == ALL_BUT_TRAIN else source
    splits = folder_splits(source) if Path(source.data_path).is_dir() else hub_splits(source)
    if not splits:
        raise DataError(f"{source.data_path} holds no rows, or no files that can be read: choose another one")
    split = source.split or ("train" if "train" in splits or len(splits) != 1 else next(iter(splits)))
    rest = replace(source, split=None)
    if split == ALL_BUT_TRAIN:
        return [(splits[name], 0, None) for name in splits if name != "train" or len(splits) == 1], rest
    if split in splits:
        return [(splits[split], 0, None)], rest
    if re.search(r"[\[+]", split):
        return _sliced(rest, splits, split), rest
    raise _no_split(source, splits, split)


def _sliced(source: SeedSource, splits: Splits, wanted: str) -> list[Part]:
    """Return the parts that a split like `train[:10%]+test[5:]`, in the notation of `datasets`, means."""
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
    """Tell whether files are meant, and not a folder or a Hub data set. Raises DataError where neither can be."""
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
    """Tell whether a path that does not exist is meant as one of files; a Hub name is NAME or ORG/NAME.

    A known suffix, a wildcard, more slashes, a path's beginning, or a dot in a name without ORG means files.
    """
    path = Path(data_path)
    slashes = data_path.count("/")
    return (
        path.suffix.lower() in SUFFIXES
        or slashes > 1
        or data_path[:1] in "/.~"
        or (not slashes and "." in data_path)
        or bool(WILD.search(data_path))
    )
