"""The rows of a run as the page browses them: all of a small run, of a large one a sample that shows every outcome.

Files are read as a stream. Which rows are drawn depends on their ids alone, so that a page made again is the same.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from utils.dataset import READERS
from utils.errors import DataError
from utils.measures.sample import Sample, rank
from utils.schema import BREADTH

SHOWN = 1_000  # rows in the page, where there are more
EACH = 20  # rows at least of each reason and label
KEPT = (20_000, 5_000, 1_000)  # characters of one text in the page: the first limit that fits the budget
BUDGET = 6_000_000  # characters of all texts in the page
UNAVAILABLE = ("unavailable", "unjudged")
OUTCOMES = ("evolved", "eliminated", "set_aside", "unavailable")


class Text(NamedTuple):
    """The beginning of a text, and how many characters follow it in the file."""

    shown: str
    missing: int = 0

    def cut(self, limit: int) -> "Text":
        return Text(self.shown[:limit], self.missing + max(0, len(self.shown) - limit))


class Step(NamedTuple):
    """An instruction after a round, and the method of that round, where it is known."""

    text: Text
    method_id: str | None

    @property
    def is_new_task(self) -> bool:
        return self.method_id == BREADTH


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the result or of the rejects."""

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

    @property
    def kinds(self) -> list[str]:
        """What the page filters by: every kind that there is shall be found in a sample."""
        return [f"{self.outcome}:{self.reason}", *(f"label:{label}" for label in self.labels)]

    @property
    def rank(self) -> int:
        return rank(f"row:{self.id}:{self.generation}")

    def texts(self) -> Iterator[Text]:
        """All its texts."""
        yield from (step.text for step in self.steps)
        yield from (text for text in (self.seed, self.reference, self.answer, self.reply) if text is not None)


def _text(value: Any) -> Text | None:
    return None if value is None else Text(str(value)).cut(KEPT[0])


def _evolved(record: dict[str, Any]) -> Row:
    return Row(
        id=int(record["id"]),
        generation=int(record["generation"]),
        outcome="evolved",
        reason="",
        labels=tuple(record["labels"] or ()),
        attempts=None,
        seed=_text(record["seed_instruction"]) or Text(""),
        reference=_text(record["seed_response"]),
        steps=tuple(Step(Text(s["instruction"]).cut(KEPT[0]), s["method_id"]) for s in record["stages"] or ()),
        answer=_text(record["response"]),
        reply=None,
    )


def _rejected(record: dict[str, Any]) -> Row:
    last = _text(record["instruction"])
    return Row(
        id=int(record["id"]),
        generation=int(record["generation"]),
        outcome=_outcome(record),
        reason=str(record["reason"]),
        labels=(),
        attempts=int(record["attempts"]),
        seed=_text(record["seed_instruction"]) or Text(""),
        reference=None,
        steps=() if last is None else (Step(last, None),),
        answer=_text(record["response"]),
        reply=_text(record["reply"]),
    )


def _outcome(record: dict[str, Any]) -> str:
    if record["attempts"] == 0:
        return "set_aside"
    return "unavailable" if record["reason"] in UNAVAILABLE else "eliminated"


@dataclass
class Rows:
    """What one pass over all rows has counted, and the sample of them, in seed order."""

    total: int = 0
    seeds: int = 0
    sample: list[Row] = field(default_factory=list)
    by_generation: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_method: Counter[str] = field(default_factory=Counter)
    """Rewrites in the result, by the method that made the last stage."""


def read_rows(result: Path, rejects: Path) -> Rows:
    """All rows of a run, counted, and a sample. Raises DataError where a file cannot be read or holds other records."""
    rows, drawn = Rows(), RowSample()
    last_id = None
    both = heapq.merge(_read(result, _evolved), _read(rejects, _rejected), key=lambda row: (row.id, row.generation))
    for row in both:
        rows.total += 1
        rows.seeds += row.id != last_id
        last_id = row.id
        rows.by_generation[row.generation][row.outcome] += 1
        if row.outcome == "evolved" and row.steps:
            rows.by_method[row.steps[-1].method_id or ""] += 1
        drawn.add(row)
    rows.sample = _within_budget(drawn.rows())
    return rows


def _read(path: Path, make: Any) -> Iterator[Row]:
    try:
        for record in _records(path):
            yield make(record)
    except (LookupError, TypeError, ValueError) as exc:
        raise DataError(f"{path} holds no records of a run ({type(exc).__name__}); run again to restore it") from exc
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror or exc}; run again to restore it") from exc


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists() and path.name == "rejects.jsonl":
        return
    if path.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        with ParquetFile(path) as file:
            for batch in file.iter_batches(SHOWN):
                yield from batch.to_pylist()
    else:
        yield from READERS[path.suffix](path)


class RowSample:
    """Draws up to about `SHOWN` rows: evolved ones and others in equal numbers if both abound, some of each kind."""

    def __init__(self) -> None:
        self._evolved: Sample[Row] = Sample(SHOWN)
        self._others: Sample[Row] = Sample(SHOWN)
        self._kinds: dict[str, Sample[Row]] = defaultdict(lambda: Sample(EACH))

    def add(self, row: Row) -> None:
        chance = row.rank
        (self._evolved if row.outcome == "evolved" else self._others).add(chance, row)
        for kind in row.kinds:
            self._kinds[kind].add(chance, row)

    def rows(self) -> list[Row]:
        """The rows drawn, in seed order."""
        evolved, others = self._evolved.values(), self._others.values()
        room = max(SHOWN // 2, SHOWN - len(evolved))
        others = others[:room]
        groups = (evolved[: SHOWN - len(others)], others, *(kind.values() for kind in self._kinds.values()))
        drawn = {(row.id, row.generation): row for group in groups for row in group}
        return [drawn[key] for key in sorted(drawn)]


def _within_budget(rows: list[Row]) -> list[Row]:
    """Rows whose texts are cut so far that all of them fit the page."""
    for limit in KEPT:
        cut = [_cut(row, limit) for row in rows]
        if sum(len(text.shown) for row in cut for text in row.texts()) <= BUDGET:
            break
    return cut


def _cut(row: Row, limit: int) -> Row:
    def short(text: Text | None) -> Text | None:
        return None if text is None else text.cut(limit)

    return Row(
        *(row.id, row.generation, row.outcome, row.reason, row.labels, row.attempts),
        seed=row.seed.cut(limit),
        reference=short(row.reference),
        steps=tuple(Step(step.text.cut(limit), step.method_id) for step in row.steps),
        answer=short(row.answer),
        reply=short(row.reply),
    )


def row_data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as the page's script takes them."""
    return [_row_data(row) for row in rows]
