"""From a row of a data set to a seed instruction, or to the reason why it is none."""

import json
import unicodedata
from hashlib import blake2b
from typing import Any, NamedTuple

from utils.dataset.source import SeedSource
from utils.schema import SeedInstruction

ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}


class SetAside(NamedTuple):
    """A row that cannot be a seed; `reason` is `empty`, `duplicate`, `not_text` or `no_user_turn`."""

    id: int
    text: str
    reason: str


class _Turn(NamedTuple):
    role: str
    content: str


def read_row(row_id: int, row: dict[str, Any], source: SeedSource, column: str) -> SeedInstruction | SetAside:
    """A row of `source`, whose instructions stand in `column`, as a seed, or set aside with the reason."""
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


def digest(instruction: str) -> bytes:
    """Sixteen bytes that are the same for equal instructions (after Unicode NFC, blanks taken as one)."""
    plain = " ".join(unicodedata.normalize("NFC", instruction).split())
    return blake2b(plain.encode(), digest_size=16).digest()
