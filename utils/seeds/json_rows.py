"""JSON in all shapes that seed sets come in, read as a stream where that is possible.

    lines            an object per line, or a list per line that is a chat
    values           objects or chats one after another, over any number of lines
    an array         of objects, or of chats
    an object        around a list of rows; or around one per split; columns, as lists or by index; or a single row

The suffix does not decide which; for an object that stands alone it tells a line from a file.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any, TextIO

from utils.errors import DataError
from utils.files.lines import LONGEST, lines_of, too_long
from utils.seeds.conventions import CHATS, COLUMNS, SPLITS
from utils.seeds.encodings import decoded, encoding_of, head_of, wrong_encoding
from utils.seeds.files import CHUNK, File
from utils.seeds.source import Row, SeedSource, names
from utils.seeds.turns import is_chat, is_turn

BLANK = re.compile(r"[ \t\r\n\ufeff]*")
CHAT = CHATS[0]  # the column that a row which is a bare chat is read as having


def read_json(file: File, source: SeedSource) -> Iterator[Row]:
    """Yield the rows of a JSON file of any shape above. Raises DataError for no JSON, or nothing like rows in it."""
    with file.opened() as stream, decoded(stream, source.encoding, errors="replace") as text:
        window = _Window(text)
        first = window.token()
        is_lines = first not in ("", "[") and _is_lines(window, file)
    if source.split and (first == "[" or is_lines):
        raise _no_splits(file)
    if is_lines:
        yield from _lines(file, source)
    elif first:
        with file.opened() as stream, decoded(stream, source.encoding) as text:
            window = _Window(text)
            yield from _array(window, file) if first == "[" else _values(window, file, source)


def _is_lines(window: "_Window", file: File) -> bool:
    """Tell whether a file that does not begin with a list is JSON lines: its first line is an object, or broken.

    An object that stands alone is a line unless the file's name ends in .json, or it is one around lists of rows.
    """
    line, rest = window.line()
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as exc:
        # An object that goes on in the next line is one of several values; any other error is in a line of JSON lines.
        return not (rest and isinstance(exc, json.JSONDecodeError) and exc.pos >= len(line.rstrip()))
    return isinstance(parsed, dict) and (rest or (file.suffix != ".json" and not _wrapped(parsed)))


def _lines(file: File, source: SeedSource) -> Iterator[Row]:
    with file.opened() as stream:
        encoding = encoding_of(head_of(stream), source.encoding)
        if encoding not in ("utf-8", "utf-8-sig"):
            text = decoded(stream, source.encoding)
            yield from _parsed_lines(lines_of(text, file.shown), str, file, encoding)
        else:
            yield from _parsed_lines(lines_of(stream, file.shown), lambda raw: raw.decode("utf-8-sig"), file, None)


def _parsed_lines(lines: Any, text_of: Callable[[Any], str], file: File, given: str | None) -> Iterator[Row]:
    for number, raw in enumerate(lines, 1):
        try:
            line = text_of(raw).strip()
        except UnicodeDecodeError as exc:
            raise wrong_encoding(f"line {number} of {file.shown}", exc, given) from exc
        if line:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as exc:
                raise _torn(line, f"line {number} of {file.shown}", exc) from exc
            yield row if isinstance(row, dict) else row_of(row, f"line {number} of {file.shown}")


def _value(window: "_Window", where: str) -> Any:
    """Return the next value of a window. Raises DataError, which says `where`, if it is not valid JSON."""
    try:
        return window.value()
    except UnicodeError:
        raise
    except (ValueError, RecursionError) as exc:
        raise _torn("{", where, exc) from exc


def _torn(text: str, where: str, exc: ValueError | RecursionError) -> DataError:
    reason = exc.msg if isinstance(exc, json.JSONDecodeError) else "a number too long, or nested too deeply"
    remedy = "correct it or take it out" if text[:1] in "[{" else "correct it; a table's name must end in .csv or .tsv"
    return DataError(f"{where} is not valid JSON ({reason}): {remedy}")


def row_of(value: Any, where: str) -> Row:
    """Return a value as a row: an object as it is, a bare chat in an object. Raises DataError for anything else."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and (is_chat(value) or _is_bare_chat(value)):
        return {CHAT: value}
    raise DataError(f'{where} is not an object of named fields: write it as {{"instruction": …}}')


def _is_bare_chat(value: list[Any]) -> bool:
    """Tell whether a list is a chat without roles: two or more strings, by turns of user and assistant, or pairs."""
    return bool(value) and (
        all(isinstance(item, list) for item in value)
        or (len(value) > 1 and all(isinstance(item, str) for item in value))
    )


# --- A stream of values ------------------------------------------------------------------------


class _Window:
    """A JSON text seen through a window that grows only as far as one value needs."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decode = json.JSONDecoder().raw_decode

    def token(self) -> str:
        """Return the next character that is not blank, without taking it; empty at the end."""
        while True:
            blank = BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text) or not self._grow():
                return self._text[self._at : self._at + 1]

    def take(self) -> str:
        """Take the next character that is not blank."""
        token = self.token()
        self._at += 1
        return token

    def line(self) -> tuple[str, bool]:
        """Return the rest of the line, without taking it, and whether anything but blanks follows it."""
        while (end := self._text.find("\n", self._at)) < 0 and self._grow():
            pass
        while end >= 0 and not self._text[end:].strip() and self._grow():
            end = self._text.find("\n", self._at)
        line = self._text[self._at :] if end < 0 else self._text[self._at : end]
        return line, end >= 0 and bool(self._text[end:].strip())

    def value(self) -> Any:
        """Take the JSON value that begins at the next token. Raises ValueError or RecursionError if it is not valid."""
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
        if len(rest) > LONGEST:
            raise too_long("a record, or an object around all of them,")
        more = self._file.read(max(CHUNK, len(rest)))  # doubled each time: a huge value costs linear time
        self._text, self._at = rest + more, 0
        return bool(more)


def _array(window: _Window, file: File) -> Iterator[Row]:
    """Yield the rows of an array; if its first item is a turn or a string, it is one chat, and others may follow it."""
    window.take()
    items: list[Any] = []
    closing = window.token() == "]" and window.take()
    for number in count(1):
        if closing == "]":
            break
        where = f"record {number} of {file.shown}"
        item = _value(window, where)
        if number == 1 and (is_turn(item) or isinstance(item, str)):
            items = [item, *_rest_of_list(window, file)]
            break
        yield row_of(item, where)
        closing = window.take()
        if closing not in (",", "]"):
            raise DataError(f"{file.shown} is not valid JSON: neither a comma nor the end follows record {number}")
    if items:
        others = _chats(window, file)
        second = next(others, None)
        if second is None and not is_chat(items):
            raise DataError(
                f'record 1 of {file.shown} is not an object of named fields: write it as {{"instruction": …}}'
            )
        yield row_of(items, f"record 1 of {file.shown}")
        yield from chain([second] if second else [], others)
    elif window.token():
        raise DataError(f"{file.shown} is not valid JSON: text follows the end of its array")


def _rest_of_list(window: _Window, file: File) -> Iterator[Any]:
    while (token := window.take()) == ",":
        yield _value(window, f"record 1 of {file.shown}")
    if token != "]":
        raise DataError(f"{file.shown} is not valid JSON: neither a comma nor the end follows in its first list")


def _chats(window: _Window, file: File) -> Iterator[Row]:
    for number in count(2):
        if not window.token():
            return
        where = f"record {number} of {file.shown}"
        yield row_of(_value(window, where), where)


def _values(window: _Window, file: File, source: SeedSource) -> Iterator[Row]:
    """Yield objects, or chats, that stand one after another; of a single object, the rows that it holds."""
    first = _value(window, file.shown)
    if not window.token():
        yield from _rows_of_object(row_of(first, file.shown), file, source)
        return
    yield row_of(first, f"record 1 of {file.shown}")
    yield from _chats(window, file)


# --- An object that stands alone ---------------------------------------------------------------


def _rows_of_object(obj: Row, file: File, source: SeedSource) -> Iterator[Row]:
    if lists := _wrapped(obj):
        return iter(_split_of(lists, file, source))
    if source.split:
        raise _no_splits(file)
    if obj and all(isinstance(value, dict) for value in obj.values()) and not _is_row(obj, source):
        columns: dict[str, Sequence[Any]] = {name: list(value.values()) for name, value in obj.items()}
        aligned = len({tuple(value) for value in obj.values()}) == 1
    else:
        columns = obj
        aligned = all(isinstance(v, list) for v in obj.values()) and len({len(v) for v in obj.values()}) == 1
        aligned = aligned and not any(is_chat(value) for value in obj.values())
    if aligned:
        return transposed(columns)
    if _is_row(obj, source):
        return iter([obj])
    raise DataError(f"{file.shown} is neither an array of records nor columns of equal length: write it as [{{…}}, …]")


def _is_row(obj: Row, source: SeedSource) -> bool:
    """Tell whether an object is a row: it has a column with a single instruction, or a single chat."""
    known = (source.instruction_field,) if source.instruction_field else COLUMNS["instruction"]
    return any(isinstance(obj.get(name), str) or is_chat(obj.get(name)) for name in known)


def _wrapped(obj: Row) -> dict[str, list[Row]]:
    """Return the lists of rows, by name, in an object around them; none if it is itself a row, or holds columns."""
    lists = {name: value for name, value in obj.items() if isinstance(value, list) and _are_rows(value)}
    is_row = any(isinstance(obj.get(name), str) for name in COLUMNS["instruction"])
    return {} if is_row or any(name in CHATS and not _hold_columns(lists[name]) for name in lists) else lists


def _are_rows(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(item, dict) for item in value) and not is_chat(value)


def _hold_columns(rows: list[Row]) -> bool:
    return any(name in rows[0] for name in (*CHATS, "instruction"))


def _no_splits(file: File) -> DataError:
    return DataError(f"{file.shown} has no splits: leave out --split")


def _split_of(lists: dict[str, list[Row]], file: File, source: SeedSource) -> list[Row]:
    """Return the rows of the only list, of the list that `--split` names, or of the one for training.

    Where each row of an only list lies in an object under `row`, as the Hub's viewer gives it, it is taken out.
    """
    if len(lists) == 1 and not source.split:
        rows = next(iter(lists.values()))
        return [row["row"] for row in rows] if all(isinstance(row.get("row"), dict) for row in rows) else rows
    split = source.split or next((name for name in lists if name in SPLITS["train"]), None)
    if split not in lists:
        asked = f"has no split {split!r}; it has" if split else "has several lists of rows:"
        raise DataError(f"{file.shown} {asked} {names(list(lists))}: name one of them with --split")
    return lists[split]


def transposed(columns: dict[str, Sequence[Any]]) -> Iterator[Row]:
    """Yield the rows of a table that is given as columns of equal length."""
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
