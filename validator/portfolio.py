"""Several methods instead of one, so that a data set is not rewritten in one voice (`--methods K`)."""

from collections.abc import Sequence
from statistics import mean

from utils.schema import Candidate, CandidateScore, Method


def choose_portfolio(best: CandidateScore, history: Sequence[Candidate], count: int) -> list[Method]:
    """Choose up to `count` methods that are as good as `best` and differ most from each other in effect.

    As good: measured on all rows, with a failure rate not above the upper end of the winner's 95 %
    interval, so that the portfolio's rate cannot leave that interval either. Different in effect: what
    they add to the same seeds shares few tokens. The winner comes first; then whichever eligible method
    is least like its most similar one among those chosen; among equals the one with the lower rate.
    """
    chosen = [best]
    ceiling = best.interval[1]
    eligible = {
        candidate.score.method.id: candidate.score
        for candidate in history
        if candidate.score.method.id != best.method.id
        and len(candidate.score.outcomes) == len(best.outcomes)
        and (rate := candidate.score.failure_rate) is not None
        and rate <= ceiling
    }
    while eligible and len(chosen) < count:
        likeness = {name: max(likeness_of(score, other) for other in chosen) for name, score in eligible.items()}
        name = min(eligible, key=lambda name: (likeness[name], eligible[name].failure_rate, name))
        chosen.append(eligible.pop(name))
    return [score.method for score in chosen]


def likeness_of(one: CandidateScore, other: CandidateScore) -> float:
    """Return the mean share (Dice) of added tokens that both methods have in common, over rows that both rewrote.

    It is 1 where there are no such rows.
    """
    of_one, of_other = _added(one), _added(other)
    shares = [_dice(of_one[row_id], of_other[row_id]) for row_id in of_one.keys() & of_other.keys()]
    return mean(shares) if shares else 1.0


def _added(score: CandidateScore) -> dict[int, frozenset[str]]:
    from utils.text.near_duplicates import tokens  # numpy, which a run with one method can spare

    rewritten = (o.trajectory for o in score.outcomes if o.trajectory.stages)
    return {t.seed.id: frozenset(tokens(t.final)) - frozenset(tokens(t.seed.text)) for t in rewritten}


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0
