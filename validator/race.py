"""Lossless pruning: a candidate that can no longer win is not measured further.

The choice compares failure rates lambda = failed / judged over the same rows for all. While rows are
missing, a candidate's lambda can still end anywhere between "all the rest pass" and "all the rest
fail". Once its lowest possible lambda lies strictly above the highest possible lambda of any rival, it
can neither win nor tie. The winner is therefore the same as without pruning, ties included.

Rounds depend on outcomes alone, never on timing, so that a rerun makes the same calls.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from utils.schema import Candidate, CandidateScore, Outcome, RowOutcome, SeedInstruction
from validator.score import WORST, is_measured


def bounds(outcomes: Sequence[RowOutcome], total: int) -> tuple[Fraction, Fraction]:
    """Return the lowest and the highest lambda that a method can still reach on `total` rows."""
    failed = sum(outcome.verdict.failed for outcome in outcomes)
    judged = sum(outcome.verdict.outcome is not Outcome.UNSCORED for outcome in outcomes)
    rest = total - len(outcomes)
    lowest = Fraction(failed, judged + rest) if is_measured(judged + rest, total) else WORST
    # At worst all the rest fails; or is never judged, which is worse still where too few are judged by now.
    highest = Fraction(failed + rest, judged + rest) if is_measured(judged, total) else WORST
    return lowest, highest


class Race:
    """Which candidate is to be measured on which groups of rows next; candidates are numbers.

    All run the first round; from then on those go first whose lambda may still end lowest, so that the
    others meet a tight bound early and most of them never run again (best-first search with an admissible
    bound). `width` is the number of groups that may run at once without anything waiting.
    """

    def __init__(self, incumbent: CandidateScore, candidates: Iterable[int], groups: Sequence[int], width: int) -> None:
        """Set up the race; `groups` are the sizes of the groups of rows, in their order."""
        self._total = sum(groups)
        self._bound = bounds(incumbent.outcomes, self._total)[1]
        self._groups = len(groups)
        self._width = width
        self._outcomes: dict[int, list[RowOutcome]] = {candidate: [] for candidate in candidates}
        self._next_group = dict.fromkeys(self._outcomes, 0)

    def next_round(self) -> dict[int, range]:
        """Return the groups that each candidate is to be measured on in this round; empty when the race is over."""
        running = self._running()
        if not running:
            return {}
        opening = not any(self._next_group.values())
        free = max(self._width, len(running) if opening else 1)
        share = free // len(running) if opening else free
        parts: dict[int, range] = {}
        for candidate in sorted(running, key=self._promise):
            start = self._next_group[candidate]
            if free and (stop := min(self._groups, start + min(free, share))) > start:
                parts[candidate] = range(start, stop)
                free -= stop - start
        return parts

    def tell(self, candidate: int, groups: range, outcomes: Iterable[RowOutcome]) -> None:
        """Take in the outcomes of a candidate on the `groups` that this round gave it."""
        self._outcomes[candidate] += outcomes
        self._next_group[candidate] = groups.stop

    def drop(self, candidate: int) -> None:
        """Take a candidate out of the race, as no method was proposed for it."""
        del self._outcomes[candidate]

    def outcomes(self, candidate: int) -> tuple[RowOutcome, ...]:
        """Return what was measured of a candidate: all rows, or those up to where it could no longer win."""
        return tuple(self._outcomes[candidate])

    def _running(self) -> list[int]:
        """Return the candidates that are not measured to the end and can still win or tie."""
        limits = {candidate: bounds(outcomes, self._total) for candidate, outcomes in self._outcomes.items()}
        bound = min([self._bound, *(highest for _, highest in limits.values())])
        return [c for c, (lowest, _) in limits.items() if lowest <= bound and self._next_group[c] < self._groups]

    def _promise(self, candidate: int) -> tuple[Fraction, int]:
        """Return the key to sort candidates by: the lowest lambda still possible, then how much has been measured."""
        return bounds(self._outcomes[candidate], self._total)[0], -self._next_group[candidate]


def likely_failures_first(rows: Sequence[SeedInstruction], history: Iterable[Candidate]) -> list[SeedInstruction]:
    """Sort rows by how often the methods of `history` failed on them, most often first; equals keep their order."""
    failures = Counter(o.seed.id for candidate in history for o in candidate.score.outcomes if o.verdict.failed)
    return sorted(rows, key=lambda row: -failures[row.id])
