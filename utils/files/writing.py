"""Files out: JSON, JSON lines and Parquet, streamed, and written whole or not at all."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from utils.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from utils.files.storage import Store

PARQUET_BATCH = 1_000
PART = 10_000  # rows of a file in a folder of files
SUCCESS = "_SUCCESS"  # as Hadoop and Spark mark that all files of a folder are there

# What a file's columns hold: str, int, a type of Arrow's, [what a list holds] or {what a struct's fields hold}.
Columns = dict[str, Any]


def temporary_of(path: Path) -> Path:
    """Return the path beside `path` at which its content is written before it takes its place."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def replacing(path: Path, through_link: bool = False) -> Iterator[Path]:
    """Yield the path of an empty temporary file beside `path`; afterwards rename it to `path`, or delete it on failure.

    A link or a pipe at the temporary path is removed first. If `path` itself is a link, the link is replaced; with
    `through_link`, the file that it leads to. Raises DataError where writing fails (no space, no permission); the old
    file is then intact.
    """
    target = Path(os.path.realpath(path)) if through_link else path
    temporary = temporary_of(target)
    try:
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as exc:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(exc, OSError):
            raise
        raise DataError(
            f"cannot write {path}: {exc.strerror or exc}; free space or check permissions, then run again"
        ) from exc


def write_rows(
    path: Path, rows: Iterable[dict[str, Any]], columns: Columns | None = None, through_link: bool = False
) -> int:
    """Write records to `.json` (one array), `.parquet` (needs `columns`) or else JSON lines; return how many."""
    with replacing(path, through_link) as temporary:
        if path.suffix == ".parquet":
            return _write_parquet(temporary, rows, columns or {})
        with temporary.open("w", encoding="utf-8") as file:
            return _write_json(file, rows) if path.suffix == ".json" else _write_lines(file, rows)


def write_parts(store: "Store", rows: Iterable[dict[str, Any]], columns: Columns) -> None:
    """Replace all files of a store by Parquet files of `PART` records each, and mark them as complete by `SUCCESS`."""
    former, written, rows = store.names(""), set[str](), iter(rows)
    store.delete([SUCCESS])  # from here on until the end the folder is not complete
    while (batch := list(islice(rows, PART))) or not written:
        written.add(name := f"part-{len(written):06}.parquet")
        store.write(name, parquet_bytes(batch, columns))
    store.delete(set(former) - written)
    store.write(SUCCESS, b"")


def _write_json(file: TextIO, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    file.write("[")
    for count, row in enumerate(rows, start=1):
        file.write((",\n" if count > 1 else "\n") + dumps(row))
    file.write("\n]\n")
    return count


def _write_lines(file: TextIO, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007
        file.write(dumps(row) + "\n")
    return count


def parquet_bytes(rows: Iterable[dict[str, Any]], columns: Columns) -> bytes:
    """Return the content of a Parquet file that holds the records `rows`."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    _write_parquet(sink, rows, columns)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def parquet_rows(content: bytes, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of a Parquet file with this content, with all columns or only `columns`."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with ParquetFile(pa.BufferReader(content)) as file:
        for batch in file.iter_batches(PARQUET_BATCH, columns=columns, use_threads=False):
            yield from batch.to_pylist()


def _write_parquet(sink: "Path | pa.BufferOutputStream", rows: Iterable[dict[str, Any]], columns: Columns) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(arrow_type(columns))
    count = 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def arrow_type(holds: Any) -> "pa.DataType":
    """Return Arrow's type for what a column holds, written as a value of `Columns`."""
    import pyarrow as pa

    if isinstance(holds, dict):
        return pa.struct([(name, arrow_type(kind)) for name, kind in holds.items()])
    if isinstance(holds, list):
        return pa.list_(arrow_type(holds[0]))
    if isinstance(holds, pa.DataType):
        return holds
    return pa.int64() if holds is int else pa.string()


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == PARQUET_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def dumps(value: Any) -> str:
    """Return `value` as JSON on one line, with characters beyond ASCII as they are."""
    return json.dumps(value, ensure_ascii=False)
