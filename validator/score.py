"""The choice of the best method: pure arithmetic on failure rates (paper, section 3.2)."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from utils.schema import CandidateScore, RowOutcome, Trajectory

WORST = Fraction(2)  # worse than any failure rate: too few rows were judged


def exact_rate(score: CandidateScore) -> Fraction:
    """Return lambda as a fraction, so that equal rates compare as equal.

    Return WORST where fewer than half of the rows could be judged: a few rows, and luck, must not win.
    """
    return Fraction(score.failed, score.judged) if is_measured(score.judged, len(score.outcomes)) else WORST


def is_measured(judged: int, rows: int) -> bool:
    """Tell whether enough of the rows, at least half, were judged for a failure rate that can be compared."""
    return judged > 0 and 2 * judged >= rows


def leaders(scores: Sequence[CandidateScore]) -> list[CandidateScore]:
    """Return all scores with the lowest failure rate, in their order."""
    lowest = min(map(exact_rate, scores))
    return [score for score in scores if exact_rate(score) == lowest]


def best_of(scores: Sequence[CandidateScore], margins: Mapping[str, int]) -> CandidateScore:
    """Return the best score; `scores[0]` is the incumbent's, `margins` are by method id.

    The lowest lambda wins; among equals the largest margin of pairwise wins over the incumbent, whose own
    margin is 0; then whoever stands first. So the failure rate never rises from step to step.
    """
    equals = leaders(scores)
    return max(equals, key=lambda score: margins.get(score.method.id, 0))


def complexity_score(outcomes: Iterable[RowOutcome]) -> float | None:
    """Return the selection score of the paper's authors' code, for comparison only; None where no row was answered.

    Share of successes among all rows x mean answer length / mean instruction length (characters, of answered rows).
    """
    outcomes = list(outcomes)
    answers = [outcome.answer for outcome in outcomes if outcome.answer]
    instructions = sum(len(answer.trajectory.final) for answer in answers)
    if not instructions:
        return None
    successes = sum(outcome.verdict.passed for outcome in outcomes) / len(outcomes)
    return successes * sum(len(answer.text) for answer in answers) / instructions


def pairs_of(best: CandidateScore, rival: CandidateScore) -> list[tuple[Trajectory, Trajectory]]:
    """Return the trajectories of seeds that both methods rewrote, in seed order: what the pairwise judge reads."""
    of_best = {outcome.seed.id: outcome.trajectory for outcome in best.outcomes if outcome.trajectory.stages}
    of_rival = {outcome.seed.id: outcome.trajectory for outcome in rival.outcomes if outcome.trajectory.stages}
    return [(of_best[row_id], of_rival[row_id]) for row_id in sorted(of_best.keys() & of_rival.keys())]
