"""The honest failure rate and the difficulty, from first attempts alone."""

from collections import Counter

import pytest

from tests.builders import answered, evolved, seed
from utils.files.row_store import RowStore
from utils.rows.counts import RowCounts
from utils.rows.figures import difficulty_summary, unseen_summary
from utils.rows.records import dropped_row, row_of, set_aside_row, stored_row
from utils.schema import PASSED, FirstAttempt, Outcome, RowOutcome, SeedGrades, SetAside, failed

RIGHT = FirstAttempt(Outcome.PASSED, None, "right", "wrong")
EASY = FirstAttempt(Outcome.FAILED, "easy", "right", "right")
LOST = FirstAttempt(Outcome.FAILED, "lost", None, None)
OPEN = FirstAttempt(Outcome.UNSCORED, "unjudged", "partly", "partly")


def counted(*attempts: tuple[bool, FirstAttempt]) -> RowCounts:
    return RowCounts(first=Counter(attempts))


def test_only_rows_that_learning_never_saw_and_that_could_be_judged_count():
    counts = counted((False, RIGHT), (False, RIGHT), (False, LOST), (False, OPEN), (True, LOST), (True, EASY))
    told = unseen_summary(counts)
    assert (told.rows, told.judged, told.failed, told.failures) == (4, 3, 1, {"lost": 1})
    assert told.failure_rate == pytest.approx(1 / 3)
    assert told.interval[0] < 1 / 3 < told.interval[1]


@pytest.mark.parametrize("attempts", [(), ((True, LOST),), ((False, OPEN),)])
def test_without_such_rows_there_is_no_rate(attempts):
    assert unseen_summary(counted(*attempts)) is None


def test_of_rewrites_those_count_that_both_llms_answered_whether_or_not_learning_saw_them():
    counts = counted((False, RIGHT), (True, EASY), (False, LOST), (False, OPEN))
    told = difficulty_summary(counts, SeedGrades(Counter(right=9, partly=1), Counter(right=7, wrong=3)))
    shares = (told.strong_seeds, told.weak_seeds, told.strong_rewrites, told.weak_rewrites)
    assert [(share.right, share.graded) for share in shares] == [(9, 10), (7, 10), (2, 3), (1, 3)]
    assert str(told).startswith("the weak model answers 70% [")


def test_nothing_graded_is_no_division():
    assert "none" in str(difficulty_summary(counted(), SeedGrades(Counter(), Counter())))


def test_what_is_eliminated_in_the_end_keeps_its_first_attempt(tmp_path):
    trajectory = evolved(seed(id=3), "x")
    row = RowOutcome(trajectory, PASSED, None, answered(trajectory, grade="right"), first=RIGHT)
    retried = RowOutcome(evolved(seed(id=4), "y"), failed("lost"), first=LOST)
    with RowStore(tmp_path / "rows") as rows:
        rows.put(3, stored_row(row, "m"))
        rows.put(4, stored_row(retried, "m"))
        rows.put(5, set_aside_row(SetAside(5, "", "empty")))
        rows.put(3, dropped_row(row_of(rows, 3), "near_copy"))
        counts = RowCounts.of(rows, seen={4})
    assert counts.first == {(False, RIGHT): 1, (True, LOST): 1}
    assert counts.by_reason("eliminated") == {"near_copy": 1, "lost": 1}
