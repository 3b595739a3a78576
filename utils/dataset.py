"""Seed sets: rows of a local file or of a Hub data set become seed instructions.

Rows flow as a stream: `iter_records` reads them, `load_seeds` tells usable ones from those to set
aside and puts both on a spool, `SeedSet` gives them back. Only their numbers and 16 bytes per
distinct instruction stay in memory (a `.json` file of columns is the exception: it is read whole).

Whatever is wrong with the data is a DataError of one line that says what to do. Before `datasets`
is asked for a Hub name, one request asks the Hub itself: `datasets` would retry a dead network for
23 seconds, and serve an old copy from its cache for any reason, a wrong token too. Here an old copy is
served only if HF_HUB_OFFLINE=1 asks for it, or where the Hub answers but its files cannot be fetched;
both are logged as warnings.
"""

import csv
import json
import logging
import os
import random
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from utils.errors import DataError
from utils.schema import SeedInstruction
from utils.spool import Spool

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder

log = logging.getLogger(__name__)

BATCH = 1000  # rows of a table at a time
CHUNK = 1 << 20  # characters of a JSON array at a time
PEEK = 100  # rows in which the columns are looked for
HUB_TIMEOUT = 20.0  # seconds
INSTRUCTION_COLUMNS = ("instruction", "messages", "conversations")
ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}


@dataclass(frozen=True, slots=True)
class SeedSource:
    """Where seeds come from, as the flags say it; None stands for the default.

    The columns default to `instruction` (else `messages` or `conversations`), `response` and
    `input`; the split to `train`, else the only one.
    """

    data_path: str
    split: str | None = None
    subset: str | None = None
    instruction_field: str | None = None
    response_field: str | None = None
    input_field: str | None = None


# --- Rows --------------------------------------------------------------------------------------


def iter_records(source: SeedSource) -> Iterator[dict[str, Any]]:
    """The rows of `source` as a stream, each a dict by column; unneeded columns of tables are left out.

    A path that exists wins over a Hub name. Raises DataError for all that can be wrong with either.
    """
    if not source.data_path:
        raise DataError("--data-path is empty: give it a file, a folder, or a Hub data set (ORG/NAME)")
    path = Path(source.data_path).expanduser()
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as exc:
        raise DataError(f"cannot read {path} ({exc.strerror}): check --data-path and its permissions") from exc
    if is_folder and path.suffix.lower() not in SUFFIXES:
        return _dataset_rows(source, folder=path)
    if is_folder:
        raise DataError(f"{path} is a folder, where a file is expected: give --data-path a file in it")
    if exists:
        return _file_rows(source, path)
    if _means_file(source.data_path):
        raise DataError(f"there is no file {path}: give --data-path a file, a folder, or a Hub data set (ORG/NAME)")
    return _dataset_rows(source)


def _means_file(data_path: str) -> bool:
    """A Hub name is NAME or ORG/NAME; a dot in a name without ORG, or a known suffix, means a file."""
    path = Path(data_path)
    slashes = data_path.count("/")
    return (
        path.suffix.lower() in SUFFIXES or slashes > 1 or data_path[:1] in "/.~" or (not slashes and "." in data_path)
    )


def _file_rows(source: SeedSource, path: Path) -> Iterator[dict[str, Any]]:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"cannot tell what {path} holds by its suffix: use one of {', '.join(SUFFIXES)}")
    if source.split or source.subset:
        raise DataError(f"{path} is one file, without splits and subsets: leave out --split and --subset")
    try:
        yield from _read_parquet(source, path) if suffix == ".parquet" else READERS[suffix](path)
    except UnicodeDecodeError as exc:
        raise _not_utf8(str(path)) from exc
    except OSError as exc:
        raise DataError(f"cannot read {path} ({exc.strerror or exc}): check the file and its permissions") from exc


def _not_utf8(where: str) -> DataError:
    return DataError(f"{where} is not UTF-8: save it as UTF-8 (for Korean text: iconv -f CP949 -t UTF-8 OLD > NEW)")


def _read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8-sig").strip()
            except UnicodeDecodeError as exc:
                raise _not_utf8(f"line {number} of {path}") from exc
            if line:
                yield _parse_row(json.loads, line, f"line {number} of {path}")


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


def _read_json(path: Path) -> Iterator[dict[str, Any]]:
    """An array of records, read as a stream; or columns; or one object around a list; or JSON Lines after all."""
    with path.open(encoding="utf-8-sig") as file:
        window = _Window(file)
        first = window.token()
        if first == "[":
            yield from _array_rows(window, path)
            return
        file.seek(0)
        whole = file.read() if first and not _is_json_lines(file) else ""
    if whole:
        yield from _object_rows(_parse_row(json.loads, whole, str(path)), path)
    elif first:
        yield from _read_jsonl(path)


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


def _array_rows(window: _Window, path: Path) -> Iterator[dict[str, Any]]:
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


def _is_json_lines(file: TextIO) -> bool:
    """Whether the first line is an object and there is a second one; the file is then back at its start."""
    lines = (line for line in file if line.strip())
    first, second = next(lines, ""), next(lines, "")
    file.seek(0)
    try:
        return bool(second) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _object_rows(obj: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
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
    return _transposed(columns)


def _transposed(columns: dict[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # the default refuses long texts
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            for row in rows:
                if None in row:
                    raise DataError(f"line {rows.line_num} of {path} has more fields than its header: quote commas")
                yield row
        except csv.Error as exc:
            raise DataError(f"{path} is not valid CSV near line {rows.line_num} ({exc}): correct its quotes") from exc


def _read_parquet(source: SeedSource, path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, buffer_size=CHUNK, pre_buffer=False) as file:  # not a whole row group in memory
            columns = _needed(source, file.schema_arrow.names)
            for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
                yield from batch.to_pylist()
        pyarrow.default_memory_pool().release_unused()
    except pyarrow.ArrowException as exc:
        raise DataError(f"{path} is not a valid Parquet file ({_brief(exc)}): write or copy it again") from exc


BLANK = re.compile(r"[ \t\r\n]*")
READERS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
}
SUFFIXES = (*READERS, ".parquet")


# --- The Hub -----------------------------------------------------------------------------------


def _dataset_rows(source: SeedSource, folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a Hub data set, or of a folder of data files, in batches of a memory-mapped table."""
    log.info("reading %s %s", "the folder" if folder else "the Hub data set", source.data_path)
    token = _token()
    _silence()
    try:
        name, revision = (str(folder.resolve()), None) if folder else (source.data_path, _revision(source, token))
        dataset = _dataset(source, name, revision, token)
        for batch in dataset.select_columns(_needed(source, dataset.column_names)).iter(BATCH):
            yield from _transposed(batch)
    except DataError:
        raise
    except Exception as exc:  # datasets lets through whatever its readers, pyarrow and the network raise
        raise _dataset_error(source, folder, exc, token) from exc


def _token() -> str | None:
    """MY_HF_TOKEN, or None: huggingface_hub then looks for the usual ones itself."""
    for name in ("MY_HF_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if not re.fullmatch(r"[!-~]*", os.environ.get(name, "").strip()):
            raise DataError(f"{name} holds characters that no token has: copy it again, or unset it")
    return os.environ.get("MY_HF_TOKEN", "").strip() or None


def _silence() -> None:
    """Progress bars and log lines of these libraries would drown ours; what matters comes as an error."""
    import datasets
    import huggingface_hub.utils

    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()
    for name, level in (
        ("datasets", logging.CRITICAL),
        ("huggingface_hub", logging.CRITICAL),
        ("httpx2", logging.WARNING),
    ):
        logging.getLogger(name).setLevel(level)


def _revision(source: SeedSource, token: str | None) -> str | None:
    """The commit that the Hub has now, None if the user chose to stay offline. One request, no retries."""
    import datasets
    import httpx2
    from huggingface_hub import HfApi, errors

    name = source.data_path
    if datasets.config.HF_HUB_OFFLINE:
        log.warning("HF_HUB_OFFLINE is set: %s is the copy in the cache, which may be old", name)
        return None
    try:
        return HfApi().dataset_info(name, token=token, timeout=HUB_TIMEOUT).sha
    except errors.GatedRepoError as exc:
        raise _gated(name) from exc
    except errors.HfHubHTTPError as exc:
        raise DataError(
            _refusal(name, exc.response.status_code, isinstance(exc, errors.RepositoryNotFoundError))
        ) from exc
    except errors.HFValidationError as exc:
        raise DataError(f"{name!r} is no file here, and no name of a Hub data set (ORG/NAME): correct it") from exc
    except (httpx2.TransportError, httpx2.InvalidURL, OSError) as exc:
        raise _unreachable(name, exc) from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise DataError(f"what HF_ENDPOINT names does not answer as a Hub does, asked for {name}: correct it") from exc


def _refusal(name: str, status: int, unknown: bool) -> str:
    if unknown or status == 404:
        return (
            f"there is no data set {name} on the Hub (and no such file here), or it is private: check the name "
            "(ORG/NAME), or set MY_HF_TOKEN to a token that may read it"
        )
    if status in (401, 403):
        return f"the Hub refuses the token ({status}), asked for {name}: correct MY_HF_TOKEN or HF_TOKEN, or unset it"
    if status == 429:
        return f"the Hub takes no more requests for now (429), asked for {name}: wait, or set MY_HF_TOKEN"
    return f"the Hub failed ({status}), asked for {name}: try again later, or give --data-path a local file"


def _gated(name: str) -> DataError:
    return DataError(f"{name} is gated: accept its terms on its page, then set MY_HF_TOKEN to a token of that account")


def _unreachable(name: str, exc: Exception) -> DataError:
    return DataError(
        f"cannot reach the Hub for {name} ({type(exc).__name__}): check the network, set HF_ENDPOINT to a mirror, set "
        "HF_HUB_OFFLINE=1 to use a copy in the cache, or give --data-path a local file"
    )


def _dataset(source: SeedSource, name: str, revision: str | None, token: str | None) -> "Dataset":
    builder = _builder(source, name, token)
    if revision and Path(builder.cache_dir).name != revision:
        log.warning("the Hub's present version of %s cannot be fetched: using an older copy of the cache", name)
    builder.download_and_prepare()
    splits = list(builder.info.splits or ())
    split = source.split or ("train" if "train" in splits or len(splits) != 1 else splits[0])
    try:
        return builder.as_dataset(split)
    except (ValueError, AssertionError) as exc:
        raise DataError(
            f"{source.data_path} has no split {split!r}; it has {_names(splits)}: name one of them with --split"
        ) from exc


def _builder(source: SeedSource, name: str, token: str | None) -> "DatasetBuilder":
    import datasets

    try:
        return datasets.load_dataset_builder(name, source.subset, token=token)
    except ValueError as exc:
        subsets = datasets.get_dataset_config_names(name, token=token)
        if source.subset in subsets or subsets == ["default"]:
            raise
        problem = f"has no subset {source.subset!r}; it has" if source.subset else "has several subsets:"
        raise DataError(f"{source.data_path} {problem} {_names(subsets)}: name one of them with --subset") from exc


def _dataset_error(source: SeedSource, folder: Path | None, exc: Exception, token: str | None) -> DataError:
    """What an error of `datasets` means once the Hub has said that the data set is there."""
    import datasets
    import httpx2
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

    name = source.data_path
    causes = list(_causes(exc))
    if any(isinstance(cause, UnicodeError) for cause in causes):
        return _not_utf8(f"a file of {name}")
    if isinstance(exc, DatasetNotFoundError):
        return _gated(name)
    if isinstance(exc, (EmptyDatasetError, DataFilesNotFoundError, StopIteration)):
        return DataError(f"{name} holds no rows, or no files that can be read: choose another one")
    if isinstance(exc, (ConnectionError, httpx2.HTTPError, FileNotFoundError)) and not folder:
        if datasets.config.HF_HUB_OFFLINE:
            return DataError(f"HF_HUB_OFFLINE is set, and the cache holds no copy of {name}: unset it")
        return DataError(f"the files of {name} cannot be fetched ({type(exc).__name__}): try again later")
    return DataError(
        f"{name} cannot be read ({_brief(causes[-1], token)}): correct it, or give --data-path a local file"
    )


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc:
        yield exc
        exc = exc.__cause__


def _brief(exc: BaseException, token: str | None = None) -> str:
    """Kind and first words of a foreign error, on one line, without the token."""
    text = " ".join(f"{type(exc).__name__}: {exc}".split())
    for secret in (token, os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN")):
        text = text.replace(secret, "***") if secret else text
    return text[:160]


# --- Columns -----------------------------------------------------------------------------------


def _instruction_column(source: SeedSource, columns: Iterable[str]) -> str:
    """The column that holds the instruction; DataError if it, or another that a flag names, is missing."""
    columns = list(columns)
    named = {
        "--instruction-field": source.instruction_field,
        "--response-field": source.response_field,
        "--input-field": source.input_field,
    }
    for flag, name in named.items():
        if name is not None and name not in columns:
            raise _no_column(source, repr(name), columns, flag)
    column = source.instruction_field or next((name for name in INSTRUCTION_COLUMNS if name in columns), None)
    if column is None:
        raise _no_column(source, "'instruction' (nor 'messages' or 'conversations')", columns, "--instruction-field")
    return column


def _no_column(source: SeedSource, name: str, columns: Sequence[str], flag: str) -> DataError:
    return DataError(f"{source.data_path} has no column {name}; it has {_names(columns)}: name one of them with {flag}")


def _needed(source: SeedSource, columns: Sequence[str]) -> list[str]:
    """The columns worth reading, in their order; embeddings and pictures beside them are not."""
    column = _instruction_column(source, columns)
    wanted = {column, source.response_field or "response", source.input_field or "input"}
    return [name for name in columns if name in wanted]


def _names(names: Sequence[str]) -> str:
    """Names for a message: quoted, so that they stay on its line, and not too many."""
    shown = ", ".join(repr(name[:60]) for name in names[:20])
    return f"{shown}, … ({len(names)})" if len(names) > 20 else shown or "none"


# --- From a row to a seed ----------------------------------------------------------------------


class SetAside(NamedTuple):
    """A row that cannot be a seed; `reason` is `empty`, `duplicate`, `not_text` or `no_user_turn`."""

    id: int
    text: str
    reason: str


class _Turn(NamedTuple):
    role: str
    content: str


def _read_row(row_id: int, row: dict[str, Any], source: SeedSource, column: str) -> SeedInstruction | SetAside:
    value = row.get(column)
    if isinstance(value, (list, dict)):
        return _read_chat(row_id, value, row, source)
    if _is_missing(value):
        return SetAside(row_id, "", "empty")
    if not isinstance(value, str):
        return SetAside(row_id, _text_of(value) or "", "not_text")
    reference = _text_of(row.get(source.response_field or "response"))
    return _checked(SeedInstruction(row_id, _joined(value, row.get(source.input_field or "input")), reference), value)


def _read_chat(row_id: int, value: Any, row: dict[str, Any], source: SeedSource) -> SeedInstruction | SetAside:
    """First user turn and first assistant turn after it; the system prompt and all other turns go to `extra`."""
    turns = _turns(value)
    if turns is None:
        return SetAside(row_id, _text_of(value) or "", "not_text")
    ask = next((i for i, turn in enumerate(turns) if turn.role == "user"), None)
    if ask is None:
        return SetAside(row_id, _text_of(value) or "", "no_user_turn")
    reply = next((i for i in range(ask + 1, len(turns)) if turns[i].role == "assistant"), None)
    system = next((i for i, turn in enumerate(turns) if turn.role == "system"), None)
    others = [turn._asdict() for i, turn in enumerate(turns) if i not in (ask, reply, system)]
    extra: dict[str, Any] = {"system": turns[system].content} if system is not None else {}
    extra |= {"turns": others} if others else {}
    reference = row.get(source.response_field) if source.response_field else reply is not None and turns[reply].content
    text = _joined(turns[ask].content, row.get(source.input_field) if source.input_field else None)
    return _checked(SeedInstruction(row_id, text, _text_of(reference or None), extra), turns[ask].content)


def _turns(value: Any) -> list[_Turn] | None:
    """Turns of `[{role, content}]` or `[{from, value}]`, also as a dict of lists; None if it is neither."""
    if isinstance(value, dict) and value and all(isinstance(part, list) for part in value.values()):
        value = [dict(zip(value, parts, strict=False)) for parts in zip(*value.values(), strict=False)]
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        return None
    turns = []
    for turn in value:
        role, content = turn.get("role", turn.get("from")), _content(turn.get("content", turn.get("value")))
        if not isinstance(role, str) or content is None:
            return None
        turns.append(_Turn(ROLES.get(role.lower(), role.lower()), content))
    return turns


def _content(value: Any) -> str | None:
    """The text of a turn, `""` for a turn without (a call of a tool), None if a part of it is no text."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        return "\n".join(parts) if all(isinstance(part, str) for part in parts) else None
    return _writable(value) if isinstance(value, str) else "" if value is None else None


def _checked(seed: SeedInstruction, instruction: str) -> SeedInstruction | SetAside:
    if not any(char.isprintable() and not char.isspace() for char in instruction):
        return SetAside(seed.id, seed.text, "empty")
    if _writable(seed.text) != seed.text:
        return SetAside(seed.id, _writable(seed.text), "not_text")
    return seed


def _joined(instruction: str, extra_input: Any) -> str:
    """Alpaca's form: an input that is not empty follows the instruction after a blank line."""
    text = _text_of(extra_input)
    return f"{instruction}\n\n{text}" if text and text.strip().lower() != "<noinput>" else instruction


def _text_of(value: Any) -> str | None:
    """A value of a column as text; None if there is nothing in it."""
    if _is_missing(value):
        return None
    if isinstance(value, (list, dict)):
        return _writable(json.dumps(value, ensure_ascii=False, default=str))
    text = _writable(str(value))
    return text if text.strip() else None


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # NaN is how pandas writes a missing text


def _writable(text: str) -> str:
    """`text` with halves of surrogate pairs, which no UTF-8 file can hold, replaced by question marks."""
    return text.encode("utf-8", "replace").decode()


# --- The seed set ------------------------------------------------------------------------------


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
            raise DataError(_none_usable(sources, seeds))
    except BaseException:
        seeds.close()
        raise
    log.info("%d rows read, %d usable as seeds", seeds.total, len(seeds))
    return seeds


def _row_readers(source: SeedSource) -> Iterator[Callable[[int], SeedInstruction | SetAside]]:
    """For each row of `source` what reads it, once its id is known."""
    records = iter_records(source)
    first = list(islice(records, PEEK))
    if not first:
        raise DataError(f"{source.data_path} holds no rows: choose another file or data set")
    columns = dict.fromkeys(name for row in first for name in row)
    column = _instruction_column(source, columns)
    if column == "instruction" and not source.response_field and "response" not in columns:
        log.info("%s has no column 'response': its seeds go without (--response-field names one)", source.data_path)
    for row in chain(first, records):
        yield lambda row_id, row=row: _read_row(row_id, row, source, column)


def _unique(rows: Iterable[SeedInstruction | SetAside]) -> Iterator[SeedInstruction | SetAside]:
    seen: set[bytes] = set()
    for row in rows:
        if isinstance(row, SeedInstruction):
            plain = " ".join(unicodedata.normalize("NFC", row.text).split())
            digest = blake2b(plain.encode(), digest_size=16).digest()
            if digest in seen:
                row = SetAside(row.id, row.text, "duplicate")
            seen.add(digest)
        yield row


def _none_usable(sources: Sequence[SeedSource], seeds: SeedSet) -> str:
    reasons = sorted({row.reason for row in islice(seeds.set_aside, BATCH)})
    names = ", ".join(source.data_path for source in sources)
    return (
        f"none of the {seeds.total} rows of {names} is usable as a seed ({', '.join(reasons)}): "
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
