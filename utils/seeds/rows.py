"""From a row of a data set to seed instructions, or to the reason why it is none."""

import json
from hashlib import blake2b
from itertools import chain
from typing import Any

from utils.schema import SeedInstruction, SetAside
from utils.seeds.conventions import BRACKETS, CHATS, NO_INPUT, NOT_TEXT, UNKNOWN_SHAPE
from utils.seeds.source import ALL, Columns, Layout, Row, SeedSource, getter, no_column
from utils.seeds.turns import REASONS, Ask, Turn, asks, chat_in, clean, is_whole, joined, shows, turns_of

EMPTY, NO_USER_TURN = "empty", "no_user_turn"


class RowReader:
    """Reads the rows of one source, each by its own columns, and knows in the end which were not used."""

    def __init__(self, source: SeedSource) -> None:
        self.columns = Columns(source)
        self._source = source
        self._can_be_read: bool | None = None  # None before the first row of a file

    def read(self, row_id: int, row: Row) -> list[SeedInstruction | SetAside]:
        """Turn a row into a seed (with `--turn all`, one per user's turn, ids from `row_id` on), or set it aside."""
        layout = self.columns.layout(row)
        column, value = self._take(layout, "instruction", row)
        self._can_be_read = self._can_be_read or column is not None
        found = self._found(layout, row, column, value)
        if isinstance(found, str):
            return [SetAside(row_id, _shown(value), found)]
        extra = self._kept(layout, row) if self._source.keep_columns else {}
        return [SeedInstruction(row_id + n, ask.text, ask.answer, ask.context, extra) for n, ask in enumerate(found)]

    def end_of_file(self, where: str) -> None:
        """Raise DataError where no row since the last call had a column that can hold an instruction."""
        if self._can_be_read is False:
            name = self._source.instruction_field
            wanted = repr(name) if name else "'instruction' (nor 'messages', 'conversations', 'prompt', 'question')"
            raise no_column(where, wanted, list(self.columns.names), "--instruction-field")
        self._can_be_read = None

    def _take(self, layout: Layout, what: str, row: Row, taken: str | None = None) -> tuple[str | None, Any]:
        """Return name and value of the first column of a kind that holds something, and count it as used.

        If none does, they are those of the first one there is, or None.
        `taken` is a column that is used for something else.
        """
        first, value = None, None
        for name, get in layout.of[what]:
            if name != taken:
                found = get(row)
                holds = _holds(found) and not (what == "instruction" and isinstance(found, int | float))
                if holds or first is None:
                    first, value = name, found
                if holds:
                    break
        if first:
            self.columns.use(first)
        return first, value

    def _found(self, layout: Layout, row: Row, column: str | None, value: Any) -> list[Ask] | str:
        """Return the user's turns of a row that become seeds, or the reason why there are none."""
        if layout.of["media"] and any(_holds(get(row)) for _, get in layout.of["media"]):
            return NOT_TEXT
        if (chat := chat_in(value, column, column == self._source.instruction_field)) is not None:
            turns = turns_of(chat)
        elif column in CHATS and column != self._source.instruction_field and isinstance(value, str):
            return UNKNOWN_SHAPE
        elif (text := _text_in(value)) is None:
            return NOT_TEXT
        elif not shows(text):
            return EMPTY
        else:
            turns = [Turn("user", text)]
        if layout.of["input"] and (chat is None or self._source.input_field):
            turns = _with_input(turns, self._take(layout, "input", row, column)[1])
        turns = self._with_answer(layout, row, column, turns)
        if layout.of["system"] or layout.of["history"]:
            turns = [*self._before(layout, row, column), *turns]
        return self._chosen(turns, text_last=chat is None or column not in CHATS)

    def _before(self, layout: Layout, row: Row, column: str | None) -> list[Turn]:
        """Return the system prompt and the earlier turns that a row holds in columns of their own."""
        turns = []
        if layout.of["system"]:
            system = _as_text(self._take(layout, "system", row, column)[1])
            turns += [Turn("system", system)] if system else []
        if layout.of["history"]:
            name, value = self._take(layout, "history", row, column)
            chat = chat_in(value, name)
            turns += turns_of(chat) if chat else []
        return turns

    def _with_answer(self, layout: Layout, row: Row, column: str | None, turns: list[Turn]) -> list[Turn]:
        """Add the answer that has a column of its own; if that holds a whole conversation, return that instead."""
        if not layout.of["response"]:
            return turns
        name, value = self._take(layout, "response", row, column)
        chat = chat_in(value, name)
        if chat is not None:
            answer = turns_of(chat)
            if any(turn.role == "user" for turn in answer):
                return answer
        else:
            answer = [Turn("assistant", text)] if (text := _as_text(value)) else []
        ends_with_answer = bool(turns) and turns[-1].role == "assistant"
        if ends_with_answer and answer and self._source.response_field:
            return [*turns[:-1], *answer]
        return turns if ends_with_answer else [*turns, *answer]

    def _chosen(self, turns: list[Turn], text_last: bool) -> list[Ask] | str:
        """Return the user's turns that `--turn` means, or the reason why there are none.

        The last one is the last with an answer, if any has one, but with `text_last` simply the last.
        """
        if reason := next((turn.role for turn in turns if turn.role in REASONS), None):
            return reason
        found = asks(turns)
        if not found:
            return EMPTY if any(turn.role == "user" for turn in turns) else NO_USER_TURN
        if self._source.turn != "last":
            return found if self._source.turn == "all" else found[:1]
        answered = [ask for ask in found if ask.answer]
        return (found if text_last or not answered else answered)[-1:]

    def _kept(self, layout: Layout, row: Row) -> dict[str, Any]:
        names = layout.rest if ALL in self._source.keep_columns else self._source.keep_columns
        return {name: _plain(get(row)) for name in names if (get := getter(name, row))}


# --- Values of columns ----------------------------------------------------------------------------


def _holds(value: Any) -> bool:
    """Tell whether there is anything in a value; NaN is how pandas writes a missing text."""
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    return value is not None and value == value and value not in ([], {})


def _text_in(value: Any) -> str | None:
    """Return a value as a clean text, empty for a missing one; None if it is no text, or has lost half a character."""
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        return None
    text = clean(value)
    return text if text is value or is_whole(value) else None


def _as_text(value: Any) -> str | None:
    """Return whatever stands in a column as text; None if there is nothing in it."""
    if not _holds(value):
        return None
    text = clean(value if isinstance(value, str) else _shown(value))
    return text if text.strip() else None


def _shown(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return clean(json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it, with clean texts; None for NaN."""
    if value != value:
        return None
    return json.loads(clean(json.dumps(value, ensure_ascii=False, default=str)))


def _with_input(turns: list[Turn], value: Any) -> list[Turn]:
    """Append an input, unless it is one of NO_INPUT, to the last user's turn after a blank line, as Alpaca does."""
    text = None if isinstance(value, (list, dict)) else _as_text(value)
    place = max((number for number, turn in enumerate(turns) if turn.role == "user"), default=None)
    if text is None or place is None or text.strip(BRACKETS).lower() in NO_INPUT:
        return turns
    return [*turns[:place], Turn("user", joined(turns[place].content, text)), *turns[place + 1 :]]


def digest(seed: SeedInstruction) -> bytes:
    """Return 16 bytes that are the same for equal instructions in equal contexts (a run of blanks counts as one)."""
    said = chain.from_iterable((message.role, message.content) for message in seed.context) if seed.context else ()
    plain = "\0".join([" ".join(text.split()) for text in (*said, seed.text)])
    return blake2b(plain.encode(), digest_size=16).digest()
