"""Rows counted in parts add up to rows counted at once."""

from random import Random

from tests.builders import evolved, seed
from utils.files.row_store import RowStore
from utils.rows.counts import Finished, RowCounts
from utils.rows.records import StoredRow, set_aside_row, stored_row
from utils.schema import PASSED, Answer, RowOutcome, SetAside, failed, unscored

VERDICTS = (PASSED, failed("lost"), failed("near_copy"), unscored("unavailable"))


def record(row_id: int, verdict, rounds: int) -> StoredRow:
    trajectory = evolved(seed(id=row_id), *(f"x{number}" for number in range(rounds)))
    return stored_row(RowOutcome(trajectory, verdict, None, Answer(trajectory, "a")), "m")


def records(count: int) -> list[StoredRow]:
    """Two generations of each seed, and some rows that are no seeds."""
    random = Random(count)
    made = [[record(n, random.choice(VERDICTS), rounds) for rounds in (1, 2)] for n in range(count)]
    made[3:3] = [[set_aside_row(SetAside(100, "", "empty"))]]
    return [one for pair in made for one in pair]


def test_it_counts_rows_seeds_and_methods():
    counts = RowCounts.of([record(0, PASSED, 0), record(1, PASSED, 2), record(1, failed("lost"), 1)])
    assert dict(counts.rows) == {("evolved", "", 0): 1, ("evolved", "", 2): 1, ("eliminated", "lost", 1): 1}
    assert (counts.seeds, dict(counts.methods)) == (2, {"method-of-tests": 1})
    assert counts.by_reason("eliminated") == {"lost": 1}
    assert counts.by_generation() == {0: {"evolved": 1}, 2: {"evolved": 1}, 1: {"eliminated": 1}}


def test_what_is_on_a_spool_is_counted_and_streamed(tmp_path):
    with RowStore(tmp_path / "rows") as rows:
        rows.put_many(enumerate(records(5)))
        finished = Finished.on(rows)
        assert len(list(finished.evolved())) == finished.counts.by_reason("evolved").total()
        assert len(list(finished.evolved())) + len(list(finished.rejected())) == 11
