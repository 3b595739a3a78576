"""Rows of a store, counted and streamed."""

from random import Random

from tests.builders import answered, evolved, seed
from utils.files.row_store import RowStore
from utils.rows.counts import RowCounts
from utils.rows.records import StoredRow, evolved_records, rejected_records, set_aside_row, stored_row
from utils.schema import PASSED, RowOutcome, SetAside, failed, unscored

VERDICTS = (PASSED, failed("lost"), failed("near_copy"), unscored("unavailable"))


def record(row_id: int, verdict, rounds: int) -> StoredRow:
    trajectory = evolved(seed(id=row_id), *(f"x{number}" for number in range(rounds)))
    return stored_row(RowOutcome(trajectory, verdict, None, answered(trajectory)), "m")


def records(count: int) -> list[StoredRow]:
    """Two generations of each seed, and some rows that are no seeds."""
    random = Random(count)
    made = [[record(n, random.choice(VERDICTS), rounds) for rounds in (1, 2)] for n in range(count)]
    made[3:3] = [[set_aside_row(SetAside(100, "", "empty"))]]
    return [one for pair in made for one in pair]


def test_every_row_is_counted_by_outcome_and_reason(tmp_path):
    with RowStore(tmp_path / "rows") as rows:
        rows.put_many(enumerate([record(0, PASSED, 0), record(1, PASSED, 2), record(1, failed("lost"), 1)]))
        counts = RowCounts.of(rows)
    assert (counts.total, counts.by_reason("evolved"), counts.by_reason("eliminated")) == (3, {"": 2}, {"lost": 1})


def test_the_rows_of_result_and_rejects_are_those_that_are_counted(tmp_path):
    with RowStore(tmp_path / "rows") as rows:
        rows.put_many(enumerate(records(5)))
        assert len(list(evolved_records(rows))) == RowCounts.of(rows).by_reason("evolved").total()
        assert len(list(evolved_records(rows))) + len(list(rejected_records(rows))) == RowCounts.of(rows).total == 11
