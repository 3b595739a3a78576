"""Pruning is lossless: over random outcome tables the winner is the same as when everything is measured."""

from hypothesis import given
from hypothesis import strategies as st

from utils.schema import (
    PASSED,
    Candidate,
    CandidateScore,
    Method,
    RowOutcome,
    SeedInstruction,
    Trajectory,
    Verdict,
    failed,
    unscored,
)
from validator.race import Race, bounds, likely_failures_first
from validator.score import leaders

VERDICTS = {"p": PASSED, "f": failed("lost"), "u": unscored("unavailable")}


def outcome(number: int, mark: str) -> RowOutcome:
    verdict: Verdict = VERDICTS[mark]
    return RowOutcome(Trajectory(SeedInstruction(number, f"seed {number}")), verdict)


def score(name: str, marks: str) -> CandidateScore:
    return CandidateScore(Method(name, "test"), tuple(outcome(number, mark) for number, mark in enumerate(marks)))


def run_race(incumbent: CandidateScore, full: list[CandidateScore], size: int, width: int) -> list[CandidateScore]:
    """What the race has measured of every candidate, by the rules of the race alone."""
    rows = len(incumbent.outcomes)
    starts = list(range(0, rows, size))
    race = Race(incumbent, range(len(full)), [min(size, rows - start) for start in starts], width)
    while work := race.next_round():
        for candidate, groups in work.items():
            assert len(race.outcomes(candidate)) == groups.start * size  # no row is measured twice
            race.tell(candidate, groups, full[candidate].outcomes[groups.start * size : groups.stop * size])
    return [CandidateScore(c.method, race.outcomes(number)) for number, c in enumerate(full)]


tables = st.integers(1, 23).flatmap(
    lambda rows: st.lists(st.text("pppffu", min_size=rows, max_size=rows), min_size=2, max_size=6)
)


@given(tables, st.integers(1, 7), st.integers(1, 12))
def test_winner_and_ties_are_those_of_the_full_measurement(table: list[str], size: int, width: int) -> None:
    incumbent, *full = [score(f"method {number}", marks) for number, marks in enumerate(table)]
    pruned = run_race(incumbent, full, size, width)
    wanted = [c.method.id for c in leaders([incumbent, *full])]
    found = [c.method.id for c in leaders([incumbent, *pruned])]
    assert found == wanted
    complete = {c.method.id: c.outcomes for c in full}
    assert all(c.outcomes == complete[c.method.id] for c in pruned if c.method.id in wanted)


@given(st.text("pfu", max_size=12), st.text("pfu", max_size=12))
def test_bounds_hold_whatever_the_rest_brings(seen: str, rest: str) -> None:
    from validator.score import exact_rate

    lowest, highest = bounds(score("m", seen).outcomes, len(seen + rest))
    assert lowest <= exact_rate(score("m", seen + rest)) <= highest


def test_a_hopeless_candidate_is_not_measured_to_the_end() -> None:
    incumbent = score("incumbent", "p" * 46 + "f" * 4)
    hopeless, better = score("hopeless", "f" * 50), score("better", "p" * 49 + "f")
    pruned = run_race(incumbent, [hopeless, better], size=10, width=1)
    assert [len(c.outcomes) for c in pruned] == [10, 50]


def test_rows_that_failed_most_often_come_first_and_others_keep_their_order() -> None:
    rows = [SeedInstruction(number, "x") for number in range(5)]
    history = [Candidate(0, 0, score("first", "pppfp")), Candidate(1, 0, score("second", "pfufp"))]
    assert [row.id for row in likely_failures_first(rows, history)] == [3, 1, 0, 2, 4]
