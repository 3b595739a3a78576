"""The rows of a run, read from its files as a stream."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from utils.errors import DataError
from utils.rows.held_out import HELD_OUT
from utils.rows.records import StoredRow
from utils.seeds import SeedSource, iter_records

LONGEST = 20_000  # characters of a text that are kept in memory
BATCH = 1_000
OUTCOMES = ("evolved", HELD_OUT, "eliminated", "set_aside", "unavailable")


class Text(NamedTuple):
    """The beginning of a text, and how many characters follow it in the file."""

    shown: str
    missing: int = 0

    def cut(self, limit: int) -> "Text":
        return Text(self.shown[:limit], self.missing + max(0, len(self.shown) - limit))


class Step(NamedTuple):
    """An instruction after a round, and the method of that round, where the file says it."""

    text: Text
    method_id: str | None


class Other(NamedTuple):
    """An answer that was not chosen, and its grade."""

    text: Text
    grade: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the result or of the rejects; `attempts` is None where the file does not say it."""

    id: int
    generation: int
    outcome: str
    reason: str
    labels: tuple[str, ...]
    attempts: int | None
    seed: Text
    reference: Text | None
    steps: tuple[Step, ...]
    answer: Text | None
    reply: Text | None
    note: Text | None = None
    context: Text | None = None
    others: tuple[Other, ...] = ()

    def texts(self) -> list[Text]:
        """Return all texts of the row, those of the steps and of other answers last."""
        texts = (self.context, self.seed, self.reference, self.answer, self.reply, self.note)
        return [*filter(None, texts), *(step.text for step in self.steps), *(other.text for other in self.others)]


def read_rows(result: Path, rejects: Path, held_out: Path | None = None) -> Iterator[Row]:
    """Yield all rows of a run, in seed order. Raises DataError where a file cannot be read or holds other records."""
    kept = _rows(result, _evolved)
    lost = _rows(rejects, _rejected) if rejects.exists() else iter(())
    apart = _rows(held_out, _held_out) if held_out else iter(())
    return heapq.merge(kept, lost, apart, key=lambda row: (row.id, row.generation))


def rows_of(records: Iterable[StoredRow]) -> Iterator[Row]:
    """Yield a row for each record of a row store, which is where a run keeps its rows until it writes the files."""
    for row in records:
        yield {"evolved": _evolved, HELD_OUT: _held_out}.get(row.outcome, _rejected)(row.record)


def _rows(path: Path, make: Callable[[dict[str, Any]], Row]) -> Iterator[Row]:
    try:
        for record in iter_records(SeedSource(str(path), keep_columns=("all",))):
            yield make(record)
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror or exc}; run again to restore it") from exc
    except (LookupError, TypeError, ValueError) as exc:
        raise DataError(f"{path} holds no records of a run ({type(exc).__name__}); run again to restore it") from exc


def _evolved(record: dict[str, Any]) -> Row:
    return Row(
        id=int(record["id"]),
        generation=int(record["generation"]),
        outcome="evolved",
        reason="",
        labels=(*map(str, record["labels"] or ()), *([str(record["grade"])] if record.get("grade") else [])),
        attempts=None,
        seed=_text(record["seed_instruction"]),
        reference=_optional(record["seed_response"]),
        steps=tuple(Step(_text(stage["instruction"]), stage["method_id"]) for stage in record["stages"] or ()),
        answer=_optional(record["response"]),
        reply=None,
        context=_said_before(record.get("context")),
        others=_not_chosen(record.get("answers"), record["response"]),
    )


def _held_out(record: dict[str, Any]) -> Row:
    return replace(_evolved(record), outcome=HELD_OUT)


def _rejected(record: dict[str, Any]) -> Row:
    last = _optional(record["instruction"])
    return Row(
        id=int(record["id"]),
        generation=int(record["generation"]),
        outcome=str(record["outcome"]),
        reason=str(record["reason"]),
        labels=(),
        attempts=int(record["attempts"]),
        seed=_text(record["seed_instruction"]),
        reference=None,
        steps=() if last is None else (Step(last, None),),
        answer=_optional(record["response"]),
        reply=_optional(record["reply"]),
        note=_optional(record["note"]),
    )


def _said_before(turns: Any) -> Text | None:
    return _text("\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in turns)) if turns else None


def _not_chosen(answers: Any, response: Any) -> tuple[Other, ...]:
    """Return all sampled answers but the one that is the row's response."""
    others = [Other(_text(answer["text"]), answer["grade"] or None) for answer in answers or ()]
    chosen = next((n for n, answer in enumerate(answers or ()) if answer["text"] == response), None)
    return tuple(other for n, other in enumerate(others) if n != chosen)


def _text(value: Any) -> Text:
    return Text("" if value is None else str(value)).cut(LONGEST)


def _optional(value: Any) -> Text | None:
    return None if value is None else _text(value)
