"""Tables: CSV with whatever delimiter, Parquet and Arrow. Every value of a CSV is the text that stands there."""

import csv
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from utils.errors import DataError
from utils.files.lines import LONGEST, lines_of
from utils.files.storage import brief
from utils.seeds.conventions import COLUMNS, DELIMITERS
from utils.seeds.encodings import decoded
from utils.seeds.files import CHUNK, File, looks_like
from utils.seeds.source import Columns, Row, SeedSource, names

if TYPE_CHECKING:
    from pyarrow import RecordBatch

log = logging.getLogger(__name__)

BATCH = 1000  # rows of a table at a time
USUAL = {".csv": ",", ".tsv": "\t"}


def read_csv(file: File, source: SeedSource) -> Iterator[Row]:
    """Yield the rows of delimited text with a header, values as texts. Raises DataError with the line that is wrong."""
    csv.field_size_limit(LONGEST)  # the default refuses long texts
    with file.opened() as stream, decoded(stream, source.encoding, newline="") as text:
        lines = lines_of(text, file.shown)
        first = next((line for line in lines if line.strip()), "")
        if first.lstrip("\ufeff")[:1] in ("{", "["):
            raise DataError(f"{file.shown} holds JSON, no table: rename it to end in .jsonl or .json")
        delimiter = _delimiter(first, file, source)
        rows = csv.reader(_with_first(first, lines), delimiter=delimiter, strict=True)
        try:
            yield from _records(rows, file)
        except csv.Error as exc:
            message = f"{file.shown} is not valid CSV near line {rows.line_num} ({exc}): correct its quotes"
            raise DataError(message) from exc


def _with_first(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str, file: File, source: SeedSource) -> str:
    """Return the delimiter that gives the header most columns of known names.

    Of equals it is one that occurs in the header, if any does, and the usual one of the suffix, if that is among them.
    """
    known = {*source.named.values(), *(name for named in COLUMNS.values() for name in named)}
    usual = USUAL[file.suffix]

    def worth(delimiter: str) -> tuple[int, bool, bool]:
        fields = next(csv.reader([header], delimiter=delimiter), [])
        return len(known.intersection(field.strip() for field in fields)), len(fields) > 1, delimiter == usual

    best = max(DELIMITERS, key=worth)
    if best != usual:
        log.info("%s: its columns are separated by %r", file.shown, best)
    return best


def _records(rows: Iterator[list[str]], file: File) -> Iterator[Row]:
    header = next(rows, [])
    check_names(header, file)
    for row in rows:
        if len(row) == len(header):
            yield dict(zip(header, row, strict=True))
        elif row:
            more = f"{'more' if len(row) > len(header) else 'fewer'} fields than its header"
            number = rows.line_num  # type: ignore[attr-defined]  # of a csv.reader, whose type has no name
            raise DataError(
                f"line {number} of {file.shown} has {more} ({len(row)}, not {len(header)}): "
                "put quotes around texts with a delimiter or a line break in them"
            )


def check_names(header: Sequence[str], file: File) -> None:
    """Raise DataError where two columns have the same name; empty names do not count."""
    if twice := [name for name, times in Counter(header).items() if times > 1 and name]:
        raise DataError(f"{file.shown} has more than one column {names(twice)}: rename all of that name but one")


def read_table(file: File, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a Parquet or Arrow file, with the needed columns. Raises DataError where it cannot be read."""
    import pyarrow

    try:
        for batch in _parquet(file, columns) if file.suffix == ".parquet" else _arrow(file, columns):
            yield from batch.to_pylist()
        pyarrow.default_memory_pool().release_unused()
    except pyarrow.ArrowException as exc:
        kind = "Parquet" if file.suffix == ".parquet" else "Arrow"
        raise DataError(f"{file.shown} is not a valid {kind} file ({brief(exc)}): write or copy it again") from exc
    except OSError as exc:
        raise DataError(f"cannot read {file.shown} ({exc.strerror or brief(exc)}): check the file") from exc


def _parquet(file: File, columns: Columns) -> Iterator["RecordBatch"]:
    from pyarrow.parquet import ParquetFile

    with file.seekable() as stream:
        _check_kind(file, stream.read(16), ".parquet")
        with ParquetFile(stream, buffer_size=CHUNK, pre_buffer=False) as table:  # not a whole row group
            needed = _needed(file, columns, table.schema_arrow.names)
            yield from table.iter_batches(BATCH, columns=needed, use_threads=False)


def _arrow(file: File, columns: Columns) -> Iterator["RecordBatch"]:
    """Yield batches of a file in Arrow's file format, or in its stream format, as `datasets` writes it."""
    import pyarrow.ipc as ipc

    with file.seekable() as stream:
        head = stream.read(16)
        stream.seek(0)
        _check_kind(file, head, ".arrow")
        table = ipc.open_file(stream) if head.startswith(b"ARROW1") else ipc.open_stream(stream)
        needed = _needed(file, columns, table.schema.names)
        batches = table if hasattr(table, "read_next_batch") else map(table.get_batch, range(table.num_record_batches))
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH).select(needed)


def _check_kind(file: File, head: bytes, meant: str) -> None:
    """Raise DataError where a file begins as one of another kind does, or as a text."""
    kind = looks_like(head)
    if kind not in (None, meant):
        raise file.misnamed(kind)
    if kind is None and head and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        raise DataError(f"{file.shown} holds text, no {meant}: rename it to end in .jsonl, .json, .csv or .tsv")


def _needed(file: File, columns: Columns, header: list[str]) -> list[str]:
    check_names(header, file)
    return columns.needed(header)
