"""From what stands in a column to the turns of a conversation, whatever convention they are written in."""

import json
import re
import unicodedata
from ast import literal_eval
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from utils.schema import Message
from utils.seeds.conventions import (
    CALL_KEYS,
    CHATS,
    CONTENT_KEYS,
    LISTS,
    NOT_TEXT,
    PAIRS,
    PARTS,
    ROLE_KEYS,
    ROLES,
    TOOL_USE,
    UNKNOWN_SHAPE,
    WRITTEN,
)

REASONS = (TOOL_USE, NOT_TEXT, UNKNOWN_SHAPE)
ZERO_WIDTH = "\u200b\u2060\ufeff\u180e"
BLANK = "\u3164\u2800\u115f\u1160\uffa0"  # fillers that count as printable
_NO_COMMA = re.compile(r"\}\s*\n\s*\{")  # between turns, as numpy prints them


class Turn(NamedTuple):
    """A turn of a conversation. `role` is user, assistant or system, or a reason of REASONS to set the row aside."""

    role: str
    content: str


class Ask(NamedTuple):
    """A user's turn in its context, with the answer to it, if there is one."""

    text: str
    context: tuple[Message, ...]
    answer: str | None


# --- Reading them -------------------------------------------------------------------------------


def turns_of(value: Any) -> list[Turn]:
    """Return the turns of a chat in order; a list of strings or of pairs is one of user and assistant by turns."""
    if isinstance(value, dict):
        value = _list_of(value)
    if not isinstance(value, list):
        return [Turn(UNKNOWN_SHAPE, "")]
    items = [item for item in value if item is not None]
    if all(isinstance(item, str) for item in items):
        return [Turn("assistant" if number % 2 else "user", clean(text)) for number, text in enumerate(items)]
    return [turn for item in items for turn in _turns_of_item(item)]


def _list_of(value: dict[str, Any]) -> Any:
    """Return the chat inside an object, the dicts that an object of lists stands for, or else a list of the object."""
    if inner := next((value[name] for name in CHATS if name in value), None):
        return inner
    if value and all(isinstance(part, list) for part in value.values()):
        return [dict(zip(value, parts, strict=False)) for parts in zip(*value.values(), strict=False)]
    return [value]


def _turns_of_item(item: Any) -> Iterator[Turn]:
    if isinstance(item, list) and 0 < len(item) <= 2 and all(text is None or isinstance(text, str) for text in item):
        if len(item) == 2 and (role := role_of(item[0])) in ROLES.values():
            yield Turn(role, clean(item[1] or ""))
        else:
            yield from map(Turn, ("user", "assistant"), (clean(text or "") for text in item))
    elif not isinstance(item, dict):
        yield Turn(NOT_TEXT if isinstance(item, (int, float)) else UNKNOWN_SHAPE, "")
    elif (key := _first(ROLE_KEYS, item)) and isinstance(item[key], str):
        yield _turn(item, role_of(item[key]))
    elif pair := next((pair for pair in PAIRS if pair[0] in item), None):
        for role, name in zip(("user", "assistant"), pair, strict=True):
            yield _content(role, item.get(name))
    else:
        yield Turn(UNKNOWN_SHAPE, "")


def _turn(item: dict[str, Any], role: str) -> Turn:
    if any(item.get(key) for key in CALL_KEYS):
        return Turn(TOOL_USE, "")
    key = _first(CONTENT_KEYS, item)
    return _content(role, item[key]) if key else Turn(UNKNOWN_SHAPE, "")


def _first(names: Iterable[str], item: dict[str, Any]) -> str | None:
    """Return the first of `names` with a value in `item`, else the first that is there; None if none is."""
    there = [name for name in names if name in item]
    return next((name for name in there if item[name] is not None), there[0] if there else None)


def role_of(name: Any) -> str:
    """Return user, assistant or system for the name of a role in a data set, or a reason to set the row aside."""
    return ROLES.get(name.strip(" \t\n<>|[]:*#").lower(), UNKNOWN_SHAPE) if isinstance(name, str) else UNKNOWN_SHAPE


def _content(role: str, value: Any) -> Turn:
    """Return a turn with the text of its content; without a text (as the call of a tool may be) it is empty."""
    if value is None or isinstance(value, str):
        return Turn(role, clean(value or ""))
    parts = value if isinstance(value, list) else [value]
    texts = []
    for part in parts:
        kind, text = _part(part)
        if kind in REASONS:
            return Turn(kind, "")
        texts += [text] if kind else []
    return Turn(role, clean("\n".join(texts)))


def _part(part: Any) -> tuple[str | None, str]:
    if isinstance(part, str):
        return "text", part
    if not isinstance(part, dict):
        return NOT_TEXT, ""
    kind = PARTS.get(str(part.get("type") or ""), NOT_TEXT)
    text = part.get("text")
    return (kind, text) if isinstance(text, str) else (NOT_TEXT if kind == "text" else kind, "")


def chat_in(value: Any, column: str | None, by_flag: bool = False) -> list[Any] | dict[str, Any] | None:
    """Return the chat that a value is, or holds as text; None where it is something else.

    A list of strings or of pairs is one only in a column that holds such, or that a flag names.
    """
    if isinstance(value, str) and (column in WRITTEN or by_flag):
        value, by_flag = _parsed(value), False
    if not isinstance(value, (list, dict)):
        return None
    return value if column in LISTS or by_flag or is_chat(value) else None


def _parsed(text: str) -> Any:
    """Parse a list or an object written as JSON, or as Python prints it; return None where a text is neither."""
    text = text.strip()
    if text[:1] not in ("[", "{"):
        return None
    for parse, written in ((json.loads, text), (literal_eval, text), (literal_eval, _NO_COMMA.sub("}, {", text))):
        try:
            return parse(written)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def is_chat(value: Any) -> bool:
    """Tell whether a value is a list of turns that name their roles, one such turn, or an object around them."""
    turns = _list_of(value) if isinstance(value, dict) else value
    return isinstance(turns, list) and bool(turns) and all(map(is_turn, turns))


def is_turn(value: Any) -> bool:
    return (
        isinstance(value, dict) and any(key in value for key in ROLE_KEYS) and any(key in value for key in CONTENT_KEYS)
    )


# --- Making sense of them -----------------------------------------------------------------------


def asks(turns: Iterable[Turn]) -> list[Ask]:
    """Return the user's turns, each with what was said before it and the answer right after it.

    Turns of one role that follow each other are joined, system prompts merged; empty turns count for nothing, and
    what an assistant says before any user is dropped.
    """
    system = ""
    said: list[Message] = []
    found: list[Ask] = []
    for role, content in turns:
        if not shows(content):
            continue
        if role == "system":
            system = joined(system, content)
        elif role == "user":
            again = bool(said) and said[-1].role == "user"
            text = joined(said.pop().content, content) if again else content
            before = (Message("system", system), *said) if system else tuple(said)
            found[len(found) - again :] = [Ask(text, before, None)]
            said.append(Message("user", text))
        elif said:
            text = joined(said.pop().content, content) if said[-1].role == "assistant" else content
            found[-1] = found[-1]._replace(answer=text)
            said.append(Message("assistant", text))
    return found


def joined(*texts: str | None) -> str:
    """Join texts with a blank line between them, as Alpaca puts an input behind its instruction; drop empty ones."""
    return "\n\n".join(text for text in texts if text)


def shows(text: str) -> bool:
    """Tell whether there is anything to see in a text."""
    return any(char.isalnum() or (char.isprintable() and not char.isspace()) for char in text if char not in BLANK)


def clean(text: str) -> str:
    """Return a text as it is sent and written: NFC, without NUL and without zero-width characters at its ends.

    Halves of surrogate pairs, which no UTF-8 file can hold, become question marks.
    """
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    if not is_whole(text):
        text = text.encode("utf-8", "replace").decode()
    return (text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)).strip(ZERO_WIDTH)


def is_whole(text: str) -> bool:
    """Tell whether a text has no halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
