"""Which rows the page shows: all of a small run, of a large one a sample in which every outcome is found.

What is drawn depends on the ids of rows alone, so that a page made again is the same. Memory holds the sample only.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from utils.files.row_store import RowStore
from utils.outputs.report.rows import LONGEST, Row, Step, Text, rows_of
from utils.outputs.report.word_diff import word_pieces
from utils.rows.records import stored_rows
from utils.schema import BREADTH
from utils.text.measures.sample import Sample, row_rank

SHOWN = 1_000  # rows in the page, where there are more
EACH = 20  # rows at least of each reason and label
LIMITS = (LONGEST, 5_000, 1_000)  # characters of one text in the page: the first that lets all texts fit the budget
BUDGET = 6_000_000  # characters of all texts

Piece = list[Any]  # [kind, text] of word_diff.py, or ["…", characters that are missing]


@dataclass
class Survey:
    """What one pass over all rows has counted, and the sample of them, in seed order."""

    total: int = 0
    seeds: int = 0
    by_generation: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_method: Counter[str] = field(default_factory=Counter)
    sample: list[Row] = field(default_factory=list)
    limit: int = LONGEST

    @property
    def is_cut(self) -> bool:
        """Whether any text of the sample is not there to its end."""
        return any(text.missing for row in self.sample for text in row.texts())


def survey(rows: Iterable[Row]) -> Survey:
    """Count `rows`, given in seed order, by generation, outcome and method of the last stage, and draw a sample."""
    seen, drawn, last_id = Survey(), RowSample(), None
    for row in rows:
        seen.total += 1
        seen.seeds += row.id != last_id
        last_id = row.id
        seen.by_generation[row.generation][row.outcome] += 1
        if row.outcome == "evolved" and row.steps:
            seen.by_method[row.steps[-1].method_id or ""] += 1
        drawn.add(row)
    sample = drawn.rows()
    seen.limit = next((limit for limit in LIMITS if _size(sample, limit) <= BUDGET), LIMITS[-1])
    seen.sample = [_cut(row, seen.limit) for row in sample]
    return seen


def survey_of(rows: RowStore) -> Survey:
    """Survey the rows of a run from its row store, as of a run whose result is not one file."""
    return survey(rows_of(row for _, row in stored_rows(rows)))


class RowSample:
    """Draws about `SHOWN` rows: evolved ones and others in equal numbers where both abound, and some of each kind."""

    def __init__(self) -> None:
        self._evolved: Sample[Row] = Sample(SHOWN)
        self._others: Sample[Row] = Sample(SHOWN)
        self._kinds: dict[str, Sample[Row]] = defaultdict(lambda: Sample(EACH))

    def add(self, row: Row) -> None:
        chance = row_rank(row.id, row.generation)
        (self._evolved if row.outcome == "evolved" else self._others).add(chance, row)
        for kind in (f"{row.outcome}:{row.reason}", *row.labels):
            self._kinds[kind].add(chance, row)

    def rows(self) -> list[Row]:
        """Return the rows drawn, in seed order."""
        evolved, others = self._evolved.values(), self._others.values()
        others = others[: max(SHOWN // 2, SHOWN - len(evolved))]
        groups = (evolved[: SHOWN - len(others)], others, *(kind.values() for kind in self._kinds.values()))
        drawn = {(row.id, row.generation): row for group in groups for row in group}
        return [drawn[key] for key in sorted(drawn)]


def _size(rows: Iterable[Row], limit: int) -> int:
    return sum(min(len(text.shown), limit) for row in rows for text in row.texts())


def _cut(row: Row, limit: int) -> Row:
    return replace(
        row,
        seed=row.seed.cut(limit),
        reference=row.reference and row.reference.cut(limit),
        steps=tuple(Step(step.text.cut(limit), step.method_id) for step in row.steps),
        answer=row.answer and row.answer.cut(limit),
        reply=row.reply and row.reply.cut(limit),
        note=row.note and row.note.cut(limit),
        context=row.context and row.context.cut(limit),
        others=tuple(other._replace(text=other.text.cut(limit)) for other in row.others),
    )


def row_data(row: Row) -> dict[str, Any]:
    """Return a row as the page's script takes it: texts as pieces, that of a stage compared with the stage before.

    A stage that made a new instruction (in-breadth evolving) is not compared.
    """
    stages, parent = [], row.seed
    for step in row.steps:
        is_new = step.method_id == BREADTH
        stages.append([step.method_id, _plain(step.text) if is_new else _changed(parent, step.text)])
        parent = step.text
    return {
        "id": row.id,
        "generation": row.generation,
        "outcome": row.outcome,
        "reason": row.reason,
        "labels": row.labels,
        "attempts": row.attempts,
        "seed": _plain(row.seed),
        "reference": _plain(row.reference),
        "stages": stages,
        "answer": _plain(row.answer),
        "reply": _plain(row.reply),
        "note": _plain(row.note),
        "context": _plain(row.context),
        "others": [[other.grade, _plain(other.text)] for other in row.others],
    }


def _plain(text: Text | None) -> list[Piece] | None:
    return None if text is None else _with_rest([["=", text.shown]], text)


def _changed(old: Text, new: Text) -> list[Piece]:
    return _with_rest([list(piece) for piece in word_pieces(old.shown, new.shown)], new)


def _with_rest(pieces: list[Piece], text: Text) -> list[Piece]:
    return [*pieces, ["…", text.missing]] if text.missing else pieces
