"""The choice of the best method: exact arithmetic that never lets the failure rate rise."""

from random import Random

import pytest

from tests.builders import answered, evolved, rate, score, seed
from utils.schema import PASSED, RowOutcome, failed
from validator.score import best_of, complexity_score, leaders


def test_the_lowest_failure_rate_wins_whatever_the_margins():
    incumbent, better, worse = score("old", "fffp"), score("good", "fppp"), score("bad", "ffff")
    margins = {worse.method.id: 9, better.method.id: -9}
    assert best_of([incumbent, worse, better], margins) is better


@pytest.mark.parametrize(
    ("margins", "winner"),
    [
        ({}, 0),
        ({"one": 0, "two": 0}, 0),
        ({"one": -1, "two": -2}, 0),
        ({"one": 1, "two": 2}, 2),
        ({"one": 2, "two": 2}, 1),
    ],
)
def test_equals_are_told_apart_by_the_pairwise_judge_then_the_incumbent_stays(margins, winner):
    equals = [score("old", "fp"), score("one", "jp"), score("two", "pf")]
    by_id = {equal.method.id: margins[equal.method.text] for equal in equals if equal.method.text in margins}
    assert best_of(equals, by_id) is equals[winner]


def test_unscored_rows_are_counted_neither_for_nor_against_a_method():
    assert rate(score("a", "fpuu")) == rate(score("b", "fp"))
    assert best_of([score("old", "ffpp"), half := score("new", "fuup")], {half.method.id: 1}) is half
    assert best_of([score("old", "ffppp"), score("new", "fpuuu")], {}).method.text == "old"


def test_a_method_of_which_nothing_could_be_judged_never_wins_over_one_that_was_judged():
    unknown, bad = score("unknown", "uuu"), score("bad", "fff")
    assert unknown.failure_rate is None
    assert best_of([unknown, bad], {unknown.method.id: 5}) is bad
    assert best_of([bad, unknown], {unknown.method.id: 5}) is bad


def test_equal_rates_are_equal_exactly():
    third, also = score("a", "fpp"), score("b", "ffpppp" + "u")
    assert leaders([third, also]) == [third, also]
    assert leaders([third, score("c", "f" * 34 + "p" * 66)]) == [third]


def test_over_any_steps_the_failure_rate_never_rises():
    random = Random(7)
    for _ in range(200):
        best, rates = score("initial", "".join(random.choices("fjpu", k=8)) + "p"), []
        for step in range(5):
            rivals = [score(f"{step} {n}", "".join(random.choices("fjpu", k=9))) for n in range(3)]
            margins = {rival.method.id: random.randint(-9, 9) for rival in rivals}
            best = best_of([best, *rivals], margins)
            rates.append(rate(best))
        assert rates == sorted(rates, reverse=True)


def test_what_the_judge_saw_is_told_apart_from_what_rules_saw():
    mixed = score("m", "fjjpu")
    assert (mixed.failed, mixed.by_judge, mixed.judged, mixed.unscored) == (3, 2, 4, 1)
    assert mixed.failure_rate == 0.75
    assert mixed.interval[0] < 0.75 < mixed.interval[1]
    assert mixed.failures == {"stagnant": 2, "refusal": 1}


def test_the_complexity_score_is_the_share_of_successes_times_the_ratio_of_lengths():
    def row(text: str, answer: str | None, verdict=PASSED) -> RowOutcome:
        trajectory = evolved(seed("s"), text)
        return RowOutcome(trajectory, verdict, None, answered(trajectory, answer) if answer is not None else None)

    rows = [
        row("ab", "x" * 10),
        row("abcd", "x" * 20),
        row("abcdef", "x" * 6, failed("refusal")),
        row("zz", None, failed("lost")),
    ]
    assert complexity_score(rows) == pytest.approx(2 / 4 * 36 / 12)
    assert complexity_score([row("zz", None, failed("lost"))]) is None
    assert complexity_score([]) is None
