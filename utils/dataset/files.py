"""Files of rows: `.jsonl`, `.json`, `.csv` and `.parquet`, here or in an object store, one by one or by glob.

All but Parquet may be compressed (`.gz`, `.bz2`, `.zst`, `.lz4` behind the suffix).
"""

import csv
import glob
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from utils.dataset.source import SeedSource, needed
from utils.errors import DataError
from utils.storage import brief, file_system, is_url

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

BATCH = 1000  # rows of a table at a time
CHUNK = 1 << 20  # characters of a JSON array at a time
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class File:
    """A file of rows; `path` is a path of this machine or a URL, and what messages call it."""

    path: str

    @property
    def compressed(self) -> bool:
        return _name(self.path).lower().endswith(COMPRESSED)

    @property
    def suffix(self) -> str:
        """The suffix that tells the format, in lower case."""
        path = PurePosixPath(_name(self.path).lower())
        return path.with_suffix("").suffix if self.compressed else path.suffix

    @property
    def is_known(self) -> bool:
        """Whether its suffix tells how it is to be read."""
        return self.suffix in SUFFIXES and not (self.compressed and self.suffix == ".parquet")

    def binary(self) -> BinaryIO:
        """Its bytes, decompressed."""
        if not is_url(self.path) and not self.compressed:
            return open(self.path, "rb")
        from pyarrow.fs import LocalFileSystem

        system, path = file_system(self.path) if is_url(self.path) else (LocalFileSystem(), self.path)
        stream = system.open_input_stream(path, compression="detect" if self.compressed else None)
        return io.BufferedReader(stream, CHUNK)

    def text(self) -> TextIO:
        return io.TextIOWrapper(self.binary(), encoding="utf-8-sig")

    def parquet(self) -> "ParquetFile":
        from pyarrow.parquet import ParquetFile

        system, path = file_system(self.path) if is_url(self.path) else (None, self.path)
        return ParquetFile(path, filesystem=system, buffer_size=CHUNK, pre_buffer=False)  # not a whole row group


def _name(path: str) -> str:
    return path.partition("?")[0] if is_url(path) else path


# --- Which files a path means -------------------------------------------------------------------


def files_of(data_path: str) -> list[File]:
    """The files that a path, a glob or a URL means, in the order of their names.

    Raises DataError where there are none.
    """
    if is_url(data_path):
        found = _in_object_store(data_path)
    elif Path(data_path).exists() or not WILD.search(data_path):
        found = [data_path]
    else:
        found = sorted(path for path in glob.glob(data_path, recursive=True) if Path(path).is_file())
    if not found:
        raise DataError(f"no file fits {data_path}: check --data-path")
    return [File(path) for path in found]


def _in_object_store(url: str) -> list[str]:
    """A URL is a file, a folder, or a glob; then what comes before its first wildcard is the folder looked into.

    A question mark is no wildcard there: behind it stand options for pyarrow.
    """
    from pyarrow.fs import FileSelector, FileType

    address, question, query = url.partition("?")
    wild = WILD.search(address)
    base = address[: address.rindex("/", 0, wild.start())] if wild else address.rstrip("/")
    system, root = file_system(f"{base}{question}{query}")
    root = root.rstrip("/")
    try:
        info = system.get_file_info(root)
        if info.type == FileType.File and not wild:
            return [url]
        if info.type == FileType.NotFound:
            raise DataError(f"there is no {url}: check --data-path")
        infos = system.get_file_info(FileSelector(root, recursive=True))
    except OSError as exc:
        raise DataError(f"cannot read {url} ({brief(exc)}): check the address and the credentials") from exc
    inside = sorted(info.path.removeprefix(f"{root}/") for info in infos if info.type == FileType.File)
    fits = _pattern(address[len(base) + 1 :]).fullmatch if wild else _is_data
    return [f"{base}/{name}{question}{query}" for name in inside if fits(name)]


def _is_data(name: str) -> bool:
    """Whether a file of a folder is meant: hidden ones, and those that mark success, are not."""
    return File(name).is_known and not any(part.startswith((".", "_")) for part in name.split("/"))


def _pattern(wild: str) -> re.Pattern[str]:
    """A glob as a regular expression: `*` stays within a folder, `**/` is any number of folders."""
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(\*\*/|\*\*|\*|\[[^]/]+\])", wild)
    return re.compile("".join(rules.get(part) or (part if part[:1] == "[" else re.escape(part)) for part in parts))


# --- Reading them -------------------------------------------------------------------------------


def rows_of(file: File, source: SeedSource) -> Iterator[dict[str, Any]]:
    """The rows of a file as a stream; of a Parquet file only the columns that `source` needs.

    Raises DataError for all that can be wrong with it.
    """
    if not file.is_known:
        raise DataError(f"cannot tell what {file.path} holds by its suffix: use one of {', '.join(SUFFIXES)}")
    try:
        yield from _read_parquet(source, file) if file.suffix == ".parquet" else READERS[file.suffix](file)
    except UnicodeDecodeError as exc:
        raise not_utf8(file.path) from exc
    except EOFError as exc:
        raise DataError(f"{file.path} ends too early ({brief(exc)}): write or copy it again") from exc
    except OSError as exc:
        cause = exc.strerror or brief(exc)
        raise DataError(f"cannot read {file.path} ({cause}): check the file and its permissions") from exc


def not_utf8(where: str) -> DataError:
    return DataError(f"{where} is not UTF-8: save it as UTF-8 (for Korean text: iconv -f CP949 -t UTF-8 OLD > NEW)")


def _read_jsonl(file: File) -> Iterator[dict[str, Any]]:
    with file.binary() as lines:
        for number, raw in enumerate(lines, 1):
            try:
                line = raw.decode("utf-8-sig").strip()
            except UnicodeDecodeError as exc:
                raise not_utf8(f"line {number} of {file.path}") from exc
            if line:
                yield _parse_row(json.loads, line, f"line {number} of {file.path}")


def _parse_row(parse: Callable[..., Any], text: Any, where: str) -> dict[str, Any]:
    """What `parse(text)` gives, if it is a JSON object."""
    try:
        row = parse(text)
    except (ValueError, RecursionError) as exc:
        reason = exc.msg if isinstance(exc, json.JSONDecodeError) else "a number too long, or nested too deeply"
        raise DataError(f"{where} is not valid JSON ({reason}): correct it or take it out") from exc
    if not isinstance(row, dict):
        raise DataError(f'{where} is not an object of named fields: write it as {{"instruction": …}}')
    return row


def _read_json(file: File) -> Iterator[dict[str, Any]]:
    """An array of records, read as a stream; or columns; or one object around a list; or JSON Lines after all."""
    with file.text() as text:
        window = _Window(text)
        first = window.token()
        if first == "[":
            yield from _array_rows(window, file.path)
            return
    if not first:
        return
    if _is_json_lines(file):
        yield from _read_jsonl(file)
        return
    with file.text() as text:
        yield from _object_rows(_parse_row(json.loads, text.read(), file.path), file.path)


class _Window:
    """A JSON text seen through a window that grows only as far as one value needs."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decode = json.JSONDecoder().raw_decode

    def token(self) -> str:
        """The next character that is not blank, without taking it; empty at the end."""
        while True:
            self._at = BLANK.match(self._text, self._at).end()
            if self._at < len(self._text) or not self._grow():
                return self._text[self._at : self._at + 1]

    def take(self) -> str:
        """The next character that is not blank, taken."""
        token = self.token()
        self._at += 1
        return token

    def value(self) -> Any:
        """The JSON value that begins at the next token."""
        self.token()
        while True:
            try:
                value, self._at = self._decode(self._text, self._at)
                return value
            except json.JSONDecodeError as exc:
                cut_off = exc.msg.startswith("Unterminated") or exc.pos > len(self._text) - 16
                if not (cut_off and self._grow()):
                    raise

    def _grow(self) -> bool:
        rest = self._text[self._at :]
        more = self._file.read(max(CHUNK, len(rest)))  # doubled each time: a huge value costs linear time
        self._text, self._at = rest + more, 0
        return bool(more)


def _array_rows(window: _Window, path: str) -> Iterator[dict[str, Any]]:
    window.take()
    closing = window.token() == "]" and window.take()
    for number in count(1):
        if closing == "]":
            break
        yield _parse_row(_Window.value, window, f"record {number} of {path}")
        closing = window.take()
        if closing not in (",", "]"):
            raise DataError(f"{path} is not valid JSON: neither a comma nor the end follows record {number}")
    if window.token():
        raise DataError(f"{path} is not valid JSON: text follows the end of its array")


def _is_json_lines(file: File) -> bool:
    """Whether the first line is an object and there is a second one."""
    with file.text() as text:
        lines = (line for line in text if line.strip())
        first, second = next(lines, ""), next(lines, "")
    try:
        return bool(second) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _object_rows(obj: dict[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """Rows of one object: columns as lists, columns by index as pandas writes them, or one list of records."""
    lists = [value for value in obj.values() if isinstance(value, list)]
    if len(lists) == 1 and all(isinstance(row, dict) for row in lists[0]):
        return iter(lists[0])
    if obj and all(isinstance(value, dict) for value in obj.values()):
        columns = {name: list(value.values()) for name, value in obj.items()}
        aligned = len({tuple(value) for value in obj.values()}) == 1
    else:
        columns, aligned = obj, len(lists) == len(obj) and len({len(value) for value in lists}) == 1
    if not aligned:
        raise DataError(f"{path} is neither an array of records nor columns of equal length: write it as [{{…}}, …]")
    return transposed(columns)


def transposed(columns: dict[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Rows of a table of columns."""
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _read_csv(file: File) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # the default refuses long texts
    with io.TextIOWrapper(file.binary(), encoding="utf-8-sig", newline="") as text:
        rows = csv.DictReader(text, strict=True)
        try:
            for row in rows:
                if None in row:
                    raise DataError(
                        f"line {rows.line_num} of {file.path} has more fields than its header: quote commas"
                    )
                yield row
        except csv.Error as exc:
            message = f"{file.path} is not valid CSV near line {rows.line_num} ({exc}): correct its quotes"
            raise DataError(message) from exc


def _read_parquet(source: SeedSource, file: File) -> Iterator[dict[str, Any]]:
    import pyarrow

    try:
        with file.parquet() as table:
            columns = needed(source, table.schema_arrow.names)
            for batch in table.iter_batches(BATCH, columns=columns, use_threads=False):
                yield from batch.to_pylist()
        pyarrow.default_memory_pool().release_unused()
    except pyarrow.ArrowException as exc:
        raise DataError(f"{file.path} is not a valid Parquet file ({brief(exc)}): write or copy it again") from exc


BLANK = re.compile(r"[ \t\r\n]*")
READERS: dict[str, Callable[[File], Iterator[dict[str, Any]]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
}
SUFFIXES = (*READERS, ".parquet")
