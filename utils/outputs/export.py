"""The result in the shapes that trainers take, as a second file beside the native records (`--export`).

    alpaca      {"instruction", "input", "output"}, and "system" where a seed has a system prompt
    messages    {"messages": [{"role", "content"}, ...]}
    sharegpt    {"conversations": [{"from", "value"}, ...]} of system, human and gpt
    preference  {"prompt": [{"role", "content"}, ...], "chosen": [{...}], "rejected": [{...}]}

What they are to TRL (https://huggingface.co/docs/trl/dataset_formats):

- messages is its *conversational language modeling* type as it stands. The last message is always the response, so
  that `{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}` is its *conversational
  prompt-completion* type.
- alpaca is none of its types. `input` is always empty (a seed's own input is part of its instruction), so that
  instruction renamed to prompt and output to completion have the form of its *standard prompt-completion* type; but
  TRL joins these two as they are, without template or blank: for TRL choose messages.
- sharegpt is what its `maybe_convert_to_chatml` turns into messages, though it leaves the names human and gpt to the
  chat template. The system prompt is the first turn: a column beside the turns would be lost there.

- preference is its *conversational preference* type with explicit prompt: the response is chosen, each of the row's
  answers with a worse grade rejected (`--answers`); a row whose answers are graded alike gives no pair.

A row is the conversation that its answer was asked for with: the context of its seed (system prompt, earlier turns),
the instruction, the response. So turns of user and assistant alternate, after at most one of the system, as
LLaMA-Factory, axolotl and chat templates want it. Alpaca has no place for earlier turns.

What the model thought before it answered (`--reasoning`):
    field    `reasoning_content` beside `content`, which the templates of Qwen and DeepSeek read (messages alone)
    think    <think>…</think> in front of the response
    drop     nothing
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from utils.files.writing import Columns, write_rows
from utils.schema import GRADES, Message

log = logging.getLogger(__name__)

Row = dict[str, Any]
Thoughts = Literal["field", "think", "drop"]

SHAREGPT_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """An evolved row with what was said before it."""

    instruction: str
    response: str
    context: tuple[Message, ...] = ()
    reasoning: str = ""

    @property
    def turns(self) -> tuple[Message, ...]:
        return (*self.context, Message("user", self.instruction), Message("assistant", self.response))

    @property
    def system(self) -> str:
        return next((turn.content for turn in self.context if turn.role == "system"), "")

    @property
    def has_earlier(self) -> bool:
        return any(turn.role != "system" for turn in self.context)


def export_path(result: Path, shape: str) -> Path:
    """Return the path of the result in another shape: `x.alpaca.json` beside `x.json`."""
    return result.with_name(f"{result.stem}.{shape}{result.suffix}")


def export_rows(path: Path, shape: str, records: Callable[[], Iterable[Row]], thoughts: Thoughts | None = None) -> int:
    """Write native records in another shape, row by row, as `.json`, `.jsonl` or `.parquet`; return how many.

    `shape` is one of SHAPES, or preference. `thoughts` None means `field` for messages, `drop` for the others. Each
    call of `records` gives all records from the first on. Raises DataError where the file cannot be written; a former
    one is then intact.
    """
    if shape == "preference":
        return write_rows(path, (pair for record in records() for pair in _pairs(record, thoughts)), PREFERENCE)
    make, columns = SHAPES[shape]
    thoughts = thoughts or ("field" if shape == "messages" else "drop")

    def conversations() -> Iterable[Conversation]:
        return (_conversation(record, thoughts) for record in records())

    if shape == "alpaca":
        columns = _alpaca_columns(conversations())
    if shape == "messages" and any(conversation.reasoning for conversation in conversations()):
        make, columns = _messages_with_reasoning, MESSAGES_WITH_REASONING
    rows = (make(conversation) for conversation in conversations())
    return write_rows(path, ({name: row[name] for name in columns} for row in rows), columns)


def _conversation(record: Row, thoughts: Thoughts) -> Conversation:
    context = tuple(Message(turn["role"], turn["content"]) for turn in record["context"])
    response, reasoning = record["response"], record.get("reasoning") or ""
    if reasoning and thoughts == "think":
        response = f"<think>\n{reasoning}\n</think>\n\n{response}"
    return Conversation(record["instruction"], response, context, reasoning if thoughts == "field" else "")


def _pairs(record: Row, thoughts: Thoughts | None) -> Iterator[Row]:
    """Yield a pair of the response and each answer with a worse grade; answers without a grade make no pair."""
    chosen = _conversation(record, thoughts or "drop").turns
    for answer in record["answers"]:
        worse = {**record, "response": answer["text"], "reasoning": answer["reasoning"]}
        if record["grade"] in GRADES and answer["grade"] in GRADES[GRADES.index(record["grade"]) + 1 :]:
            rejected = _conversation(worse, thoughts or "drop").turns
            turns = {"prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]}
            yield {name: [asdict(turn) for turn in of_name] for name, of_name in turns.items()}


def _alpaca(row: Conversation) -> Row:
    return {"instruction": row.instruction, "input": "", "output": row.response, "system": row.system}


def _messages(row: Conversation) -> Row:
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in row.turns]}


def _messages_with_reasoning(row: Conversation) -> Row:
    """Return a row with reasoning in every assistant turn, if only "", as types are taken from the first rows."""
    messages = [
        {"role": turn.role, "content": turn.content} | ({"reasoning_content": ""} if turn.role == "assistant" else {})
        for turn in row.turns
    ]
    messages[-1]["reasoning_content"] = row.reasoning
    return {"messages": messages}


def _sharegpt(row: Conversation) -> Row:
    turns = ({"from": SHAREGPT_NAMES[turn.role], "value": turn.content} for turn in row.turns)
    return {"conversations": list(turns)}


def _alpaca_columns(rows: Iterable[Conversation]) -> Columns:
    """Return the columns of alpaca, the same in all rows as `datasets` needs; warn of turns that the shape loses."""
    has_system, losing = False, 0
    for row in rows:
        has_system = has_system or bool(row.system)
        losing += row.has_earlier
    if losing:
        log.warning(
            "--export alpaca has no place for turns before the instruction, which %d rows have: "
            "messages and sharegpt keep them",
            losing,
        )
    columns = SHAPES["alpaca"][1]
    return {**columns, "system": str} if has_system else columns


PREFERENCE: Columns = {name: [{"role": str, "content": str}] for name in ("prompt", "chosen", "rejected")}
MESSAGES_WITH_REASONING: Columns = {"messages": [{"role": str, "content": str, "reasoning_content": str}]}
SHAPES: dict[str, tuple[Callable[[Conversation], Row], Columns]] = {
    "alpaca": (_alpaca, {"instruction": str, "input": str, "output": str}),
    "messages": (_messages, {"messages": [{"role": str, "content": str}]}),
    "sharegpt": (_sharegpt, {"conversations": [{"from": str, "value": str}]}),
}
