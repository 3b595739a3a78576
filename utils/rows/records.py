"""What becomes of a row, as the result and the rejects hold it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.files.writing import Columns, dumps
from utils.rows.held_out import HELD_OUT
from utils.schema import (
    Answer,
    Candidate,
    EvolvedRow,
    FirstAttempt,
    Reject,
    RowOutcome,
    SampledAnswer,
    SeedInstruction,
    SetAside,
)

ONLY_SOMETIMES = ("context", "extra", "answers")  # columns of the result that only some runs need
EVOLVED: Columns = {name: str for name in EvolvedRow.__dataclass_fields__ if name not in ONLY_SOMETIMES} | {
    **{"id": int, "generation": int, "labels": [str]},
    "stages": [{"instruction": str, "method_id": str}],
}

CONTEXT: Columns = {"context": [{"role": str, "content": str}]}  # of a result whose seeds have any
ANSWERS: Columns = {"answers": [{"text": str, "grade": str, "reasoning": str}]}  # of a result with --answers

REJECTED: Columns = dict.fromkeys(Reject.__dataclass_fields__, str) | {
    **dict.fromkeys(("id", "generation", "attempts"), int),
}


class StoredRow(NamedTuple):
    """A row as it lies in a row store until all rows are there: what became of it, and its record in a file.

    `outcome` is `evolved`, `held_out`, `eliminated`, `unavailable` or `set_aside`; the record of one that is held out
    is that of an evolved one. `first` is None for a row set aside.
    """

    outcome: str
    record: dict[str, Any]
    first: FirstAttempt | None = None

    @staticmethod
    def rejected(reject: Reject) -> "StoredRow":
        """Make the stored row of a reject."""
        return StoredRow(reject.outcome, asdict(reject))


KeyedRows = list[tuple[int, StoredRow]]  # by `RunConfig.row_key`


def stored_row(outcome: RowOutcome, model: str) -> StoredRow:
    """Return the stored row of an outcome: a result record or a reject; `model` evolved the row and answered it."""
    if outcome.verdict.passed:
        return StoredRow("evolved", asdict(evolved_row(outcome, model)), outcome.first)
    return StoredRow.rejected(reject(outcome))._replace(first=outcome.first)


def keyed_rows(outcomes: Iterable[RowOutcome], config: RunConfig, model: str) -> KeyedRows:
    """Return the stored rows of outcomes, each with its key."""
    return [(config.row_key(o.seed.id, o.generation), stored_row(o, model)) for o in outcomes]


def set_aside_rows(rows: Iterable[SetAside], config: RunConfig) -> Iterator[tuple[int, StoredRow]]:
    """Yield the stored rows of rows of the data set that are no seeds, each with its key."""
    return ((config.row_key(row.id, 1), set_aside_row(row)) for row in rows)


def set_aside_row(row: SetAside) -> StoredRow:
    """Return the stored row of a row of the data set that is no seed: empty, a duplicate, not a text."""
    return StoredRow.rejected(Reject(row.id, row.text, None, None, None, row.reason, "set_aside", 0, 0, row.note))


def dropped_row(row: StoredRow, reason: str, note: str | None = None) -> StoredRow:
    """Return the stored row of an evolved row that is eliminated in the end, for its instruction's likeness to others.

    Its first attempt stays what it was.
    """
    record = row.record
    texts = (record["seed_instruction"], record["instruction"], record["response"], None)
    reject = Reject(record["id"], *texts, reason, "eliminated", record["generation"], 1, note)
    return StoredRow.rejected(reject)._replace(first=row.first)


def crashed_row(seed: SeedInstruction, attempts: int) -> StoredRow:
    """Return the stored row of a seed whose group of rows crashed or blocked its process `attempts` times."""
    return StoredRow.rejected(Reject(seed.id, seed.text, None, None, None, "crashed", "eliminated", 0, attempts))


def stored_rows(rows: RowStore) -> Iterator[tuple[int, StoredRow]]:
    """Yield all rows of a store with their keys, in the order of keys."""
    return ((key, _stored(*value)) for key, value in rows.items())


def _stored(outcome: str, record: dict[str, Any], first: Sequence[Any] | None) -> StoredRow:
    """Make a stored row of what came back from the store, where a tuple is a list."""
    return StoredRow(outcome, record, FirstAttempt(*first) if first else None)


def row_of(rows: RowStore, key: int) -> StoredRow:
    """Return one row of a store."""
    return _stored(*rows.get(key))


def evolved_records(rows: RowStore, outcome: str = "evolved") -> Iterator[dict[str, Any]]:
    """Yield the records of the result file, or of the rows held out of it, in seed order."""
    return (row.record for _, row in stored_rows(rows) if row.outcome == outcome)


def result_records(records: Iterable[dict[str, Any]], columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield records of the result with just `columns`: a column that no row has a use for is left out."""
    kept = columns.get("extra")
    for record in records:
        row = {name: record[name] for name in columns}
        yield row | {"extra": _fitted(row["extra"], kept)} if kept else row


def _fitted(extra: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Return a row's kept values, one for each of `columns`, or None; in a column of texts, other values as JSON."""
    values = {name: extra.get(name) for name in columns}
    return {
        name: value if value is None or isinstance(value, str) or columns[name] is not str else dumps(value)
        for name, value in values.items()
    }


def rejected_records(rows: RowStore) -> Iterator[dict[str, Any]]:
    """Yield the records of `rejects.jsonl`, in seed order."""
    return (row.record for _, row in stored_rows(rows) if row.outcome not in ("evolved", HELD_OUT))


def generation_of(outcome: RowOutcome) -> int:
    """Return the round that a row is of: its own where every generation is a row, else its number of stages."""
    return len(outcome.trajectory.stages) if outcome.generation is None else outcome.generation


def evolved_row(outcome: RowOutcome, model: str) -> EvolvedRow:
    """Return the result record of a row that passed."""
    trajectory, seed = outcome.trajectory, outcome.seed
    return EvolvedRow(
        id=seed.id,
        instruction=trajectory.final,
        response=outcome.answer.text if outcome.answer else "",
        seed_instruction=seed.text,
        seed_response=seed.reference,
        generation=generation_of(outcome),
        method_id=trajectory.stages[-1].method_id if trajectory.stages else None,
        model=model,
        stages=list(trajectory.stages),
        labels=_labels(outcome),
        reasoning=outcome.answer.reasoning if outcome.answer else None,
        grade=_grade(outcome.answer),
        context=list(seed.context),
        extra=seed.extra,
        answers=[
            SampledAnswer(answer.text, _grade(answer), answer.reasoning)
            for answer in (outcome.answers.samples if outcome.answers else ())
        ],
    )


def _labels(outcome: RowOutcome) -> list[str]:
    """Return the judge's labels and the marks of the examiner, `easy` and `unstable`; `ok` where there are none.

    `unscored` stands for labels that the judge could not give; none at all where it was not asked.
    """
    finding, answers = outcome.finding, outcome.answers
    marks = [mark for mark in ("easy", "unstable") if answers and getattr(answers, mark)]
    if finding is None:
        return marks
    return [*(("unscored",) if finding.labels is None else finding.labels), *marks] or ["ok"]


def _grade(answer: Answer | None) -> str | None:
    """Return the examiner's grade, `unscored` if it could not give one; None where it was not asked."""
    return (answer.grade.value or "unscored") if answer and answer.grade else None


def reject(outcome: RowOutcome) -> Reject:
    """Return the reject of a row that was eliminated, or that got no answer."""
    trajectory = outcome.trajectory
    return Reject(
        id=outcome.seed.id,
        seed_instruction=outcome.seed.text,
        instruction=trajectory.rejected or (trajectory.final if trajectory.stages else None),
        response=outcome.answer.text if outcome.answer and outcome.answer.said is None else None,
        reply=outcome.answer.said if outcome.answer else trajectory.reply,
        reason=outcome.verdict.reason or "",
        outcome="eliminated" if outcome.verdict.failed else "unavailable",
        generation=generation_of(outcome),
        attempts=outcome.attempts,
        note=outcome.note or None,
    )


def method_record(candidate: Candidate, complexity: float | None) -> dict[str, Any]:
    """Return one line of `methods.jsonl`; `complexity` is the method's complexity score, None where it has none."""
    score, method = candidate.score, candidate.score.method
    return {
        "method_id": method.id,
        "parent_id": method.parent_id,
        "step": candidate.step,
        "draw": candidate.draw,
        "origin": method.origin,
        "text": method.text,
        "feedback": candidate.feedback,
        "judged": score.judged,
        "failed": score.failed,
        "unscored": score.unscored,
        "failure_rate": score.failure_rate,
        "interval": list(score.interval),
        "failures": dict(score.failures.most_common()),
        "complexity_score": complexity,
        "selected": candidate.selected,
    }
