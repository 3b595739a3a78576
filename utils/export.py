"""The result in the shapes that trainers take, as a second file beside the native records (`--export`).

    alpaca      {"instruction", "input", "output"}, and "system" where a seed has a system prompt
    messages    {"messages": [{"role", "content"}, ...]}
    sharegpt    {"conversations": [{"from", "value"}, ...]} of system, human and gpt

What they are to TRL (https://huggingface.co/docs/trl/dataset_formats):

- messages is its *conversational language modeling* type as it stands. The last message is always the response, so
  that `{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}` is its *conversational
  prompt-completion* type.
- alpaca is none of its types. `input` is always empty (a seed's own input is part of its instruction), so that
  instruction renamed to prompt and output to completion have the form of its *standard prompt-completion* type; but
  TRL joins these two as they are, without template or blank: for TRL choose messages.
- sharegpt is what its `maybe_convert_to_chatml` turns into messages, though it leaves the names human and gpt to the
  chat template. The system prompt is the first turn: a column beside the turns would be lost there.

A chat seed's system prompt and the turns before its instruction are kept; what followed its response answered a text
that is no longer there, and is left out. Alpaca has no place for turns before the instruction.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from utils.results import Columns, write_rows

log = logging.getLogger(__name__)

Row = dict[str, Any]

# Roles that can speak before the first user turn. `extra` does not say where its turns stood: those up to the next
# user turn or call of a tool stood before the instruction.
BEFORE_USER = ("assistant", "system", "developer")
SHAREGPT_NAMES = {"user": "human", "assistant": "gpt"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a training conversation; roles as they are in the seed set, of which tools have their own."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """An evolved row with what its seed's chat began with."""

    instruction: str
    response: str
    system: str = ""
    earlier: tuple[Turn, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        system = (Turn("system", self.system),) if self.system else ()
        return (*system, *self.earlier, Turn("user", self.instruction), Turn("assistant", self.response))


def export_path(result: Path, shape: str) -> Path:
    """Where the result in another shape lies: `x.alpaca.json` beside `x.json`."""
    return result.with_name(f"{result.stem}.{shape}{result.suffix}")


def export_rows(path: Path, shape: str, records: Callable[[], Iterable[Row]], extra_of: Callable[[int], Row]) -> int:
    """Write native records in another shape, row by row, as `.json`, `.jsonl` or `.parquet`; return how many.

    `shape` is one of SHAPES. `records` begins anew at each call; `extra_of` gives the `extra` of the seed with an id.
    Raises DataError where the file cannot be written; a former one is then intact.
    """
    make, columns = SHAPES[shape]

    def conversations() -> Iterable[Conversation]:
        return (_conversation(record, extra_of(record["id"])) for record in records())

    if shape == "alpaca":
        columns = _alpaca_columns(conversations())
    rows = (make(conversation) for conversation in conversations())
    return write_rows(path, ({name: row[name] for name in columns} for row in rows), columns)


def _conversation(record: Row, extra: Row) -> Conversation:
    others = (Turn(turn["role"], turn["content"]) for turn in extra.get("turns", ()))
    earlier = tuple(takewhile(lambda turn: turn.role in BEFORE_USER, others))
    return Conversation(record["instruction"], record["response"], extra.get("system", ""), earlier)


def _alpaca(row: Conversation) -> Row:
    return {"instruction": row.instruction, "input": "", "output": row.response, "system": row.system}


def _messages(row: Conversation) -> Row:
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in row.turns]}


def _sharegpt(row: Conversation) -> Row:
    turns = ({"from": SHAREGPT_NAMES.get(turn.role, turn.role), "value": turn.content} for turn in row.turns)
    return {"conversations": list(turns)}


def _alpaca_columns(rows: Iterable[Conversation]) -> Columns:
    """The columns must be known before the first row: `datasets` wants the same ones in all of them."""
    has_system, losing = False, 0
    for row in rows:
        has_system = has_system or bool(row.system)
        losing += bool(row.earlier)
    if losing:
        log.warning(
            "--export alpaca has no place for turns before the instruction, which %d rows have: "
            "messages and sharegpt keep them",
            losing,
        )
    columns = SHAPES["alpaca"][1]
    return {**columns, "system": str} if has_system else columns


SHAPES: dict[str, tuple[Callable[[Conversation], Row], Columns]] = {
    "alpaca": (_alpaca, {"instruction": str, "input": str, "output": str}),
    "messages": (_messages, {"messages": [{"role": str, "content": str}]}),
    "sharegpt": (_sharegpt, {"conversations": [{"from": str, "value": str}]}),
}
