"""The portfolio: the winner, and methods that are as good as it and differ from it in effect."""

from itertools import permutations

import pytest

from tests.builders import evolved, seed
from utils.schema import PASSED, Candidate, CandidateScore, Method, Rewrite, RowOutcome, Trajectory, failed, unscored
from validator.portfolio import choose_portfolio, likeness_of

ROWS = 40
VOICES = {
    "a": "Say which causes lie behind it and how strong each of them is.",
    "a2": "Say which causes lie behind it and how strong every one of them is.",
    "b": "Work with a table of monthly figures for two towns.",
    "c": "Compare the view of an engineer with that of a farmer.",
}


def measured(name: str, voice: str, failures: int = 4, rows: int = ROWS, unjudged: int = 0) -> CandidateScore:
    """A method that adds the sentence of its voice to every row and fails on as many rows as told."""
    verdicts = [unscored("unavailable")] * unjudged + [failed("lost")] * failures + [PASSED] * rows
    starts = [seed(f"Explain how bridge {number} was built.", number) for number in range(rows)]
    outcomes = (
        RowOutcome(evolved(start, f"{start.text} {VOICES[voice]}"), verdict)
        for start, verdict in zip(starts, verdicts, strict=False)
    )
    return CandidateScore(Method(name, "optimized"), tuple(outcomes))


WINNER = measured("winner", "a")


def chosen(count: int, *scores: CandidateScore, best: CandidateScore = WINNER) -> list[str]:
    history = [Candidate(1, draw, score) for draw, score in enumerate((best, *scores))]
    return [method.text for method in choose_portfolio(best, history, count)]


def test_one_method_is_the_winner():
    assert chosen(1, measured("other", "b")) == ["winner"]


def test_the_winner_comes_first_then_what_differs_most_in_effect():
    others = [measured("twin", "a2"), measured("table", "b", 6), measured("views", "c")]
    assert chosen(3, *others)[0] == "winner"
    assert set(chosen(3, *others)) == {"winner", "table", "views"}
    assert chosen(4, *others)[-1] == "twin"


def test_each_further_method_differs_from_all_that_were_chosen_not_only_from_the_winner():
    others = [measured("table", "b", 4), measured("a table", "b", 5), measured("views", "c", 6)]
    assert set(chosen(3, *others)) == {"winner", "table", "views"}


def test_equally_different_ones_are_told_apart_by_their_failure_rate():
    assert chosen(2, measured("one", "b", 6), measured("other", "b", 5)) == ["winner", "other"]
    assert chosen(2, measured("one", "b", 5), measured("other", "b", 6)) == ["winner", "one"]


def test_the_order_in_which_candidates_were_measured_changes_nothing():
    others = [measured("table", "b"), measured("another table", "b"), measured("views", "c"), measured("twin", "a2")]
    assert len({tuple(chosen(3, *order)) for order in permutations(others)}) == 1


def test_only_what_was_measured_on_all_rows_is_taken():
    assert chosen(2, measured("dropped early", "b", 0, rows=ROWS - 10)) == ["winner"]


def test_what_could_not_be_judged_at_all_is_not_taken():
    silent = measured("silent", "b", 0, unjudged=ROWS)
    assert silent.failure_rate is None
    assert chosen(2, silent) == ["winner"]


@pytest.mark.parametrize("failures", range(4, 16))
def test_only_rates_within_the_interval_of_the_winner_are_taken(failures):
    other = measured("other", "b", failures)
    within = other.failure_rate <= WINNER.interval[1]
    assert ("other" in chosen(2, other)) == within
    assert WINNER.interval[1] == pytest.approx(0.2305, abs=1e-3)  # 9 of 40 are within, 10 are not


def test_the_rate_of_the_whole_portfolio_stays_within_the_interval():
    others = {f"m{n}": measured(f"m{n}", voice, n) for n, voice in zip(range(5, 13), "abcabcab", strict=True)}
    names = chosen(9, *others.values())
    rates = [WINNER.failure_rate, *(others[name].failure_rate for name in names[1:])]
    assert 1 < len(names) < 9
    assert sum(rates) / len(rates) <= WINNER.interval[1]


def test_a_method_that_was_proposed_twice_is_taken_once():
    assert chosen(3, measured("other", "b"), measured("other", "b")) == ["winner", "other"]


def test_likeness_is_the_share_of_added_tokens_over_rows_that_both_rewrote():
    assert likeness_of(WINNER, measured("same voice", "a")) == 1.0
    assert likeness_of(WINNER, measured("twin", "a2")) > 0.8
    assert likeness_of(WINNER, measured("table", "b")) < 0.2
    one, other = measured("one", "a"), measured("other", "b")
    assert likeness_of(one, other) == likeness_of(other, one)


def test_methods_without_a_common_row_count_as_alike_so_that_they_are_taken_last():
    nothing = [RowOutcome(Trajectory(o.seed, (), failed("unreadable")), PASSED) for o in WINNER.outcomes]
    empty = CandidateScore(Method("empty", "optimized"), tuple(nothing))
    assert likeness_of(WINNER, empty) == 1.0
    assert chosen(2, empty, measured("table", "b", 8)) == ["winner", "table"]


def test_rewrites_that_add_no_new_word_are_alike():
    def shorten(name: str) -> CandidateScore:
        rows = (RowOutcome(Trajectory(o.seed, (Rewrite("bridge", "m"),)), PASSED) for o in WINNER.outcomes)
        return CandidateScore(Method(name, "optimized"), tuple(rows))

    assert likeness_of(shorten("one"), shorten("other")) == 1.0
