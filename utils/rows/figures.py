"""Two figures of a run that say what its method is worth: the honest failure rate, and how hard the rewrites are."""

from collections import Counter
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from utils.interval import wilson
from utils.rows.counts import RowCounts
from utils.schema import Outcome, SeedGrades


class Documented(BaseModel):
    """The text under a field is its description, here and in `utils/rows/summary.schema.json`."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class UnseenSummary(Documented):
    """The failure rate of the first attempts at rows that were not used to choose the method, judged as in learning."""

    rows: int
    judged: int
    failed: int
    failures: dict[str, int]
    """Failed rows by reason."""
    failure_rate: float
    interval: tuple[float, float]
    """The 95 % Wilson interval of the failure rate."""

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.failure_rate:.1%} [{low:.1%}, {high:.1%}] of {self.judged}"


class RightShare(Documented):
    """How many answers the examiner found right."""

    graded: int
    right: int
    interval: tuple[float, float]
    """The 95 % Wilson interval of the share."""

    @staticmethod
    def of(grades: Mapping[str, int]) -> "RightShare":
        """Count the right ones of grades; what is unscored is not among them."""
        right, graded = grades.get("right", 0), sum(grades.values())
        return RightShare(graded=graded, right=right, interval=wilson(right, graded))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right / self.graded:.0%} [{low:.0%}, {high:.0%}]" if self.graded else "none"


class DifficultySummary(Documented):
    """How often the strong and the weak LLM answer rightly: a sample of seeds, and the first rewrites of all rows."""

    strong_seeds: RightShare
    weak_seeds: RightShare
    strong_rewrites: RightShare
    weak_rewrites: RightShare

    def __str__(self) -> str:
        return (
            f"the weak model answers {self.weak_seeds} of {self.weak_seeds.graded} seeds rightly and "
            f"{self.weak_rewrites} of {self.weak_rewrites.graded} rewrites; "
            f"the strong one {self.strong_seeds} and {self.strong_rewrites}"
        )


def unseen_summary(counts: RowCounts) -> UnseenSummary | None:
    """Return the honest failure rate; None where learning saw every row, or none could be judged."""
    attempts = counts.first_attempts(seen=False)
    failures = Counter[str]()
    for attempt, n in attempts.items():
        if attempt.outcome == Outcome.FAILED:
            failures[attempt.reason or ""] += n
    judged = sum(n for attempt, n in attempts.items() if attempt.outcome != Outcome.UNSCORED)
    failed = failures.total()
    if not judged:
        return None
    return UnseenSummary(
        rows=attempts.total(),
        judged=judged,
        failed=failed,
        failures=dict(failures.most_common()),
        failure_rate=failed / judged,
        interval=wilson(failed, judged),
    )


def difficulty_summary(counts: RowCounts, of_seeds: SeedGrades) -> DifficultySummary:
    """Return how often both LLMs answer rightly; of rewrites those count of which both answers were graded."""
    strong, weak = Counter[str](), Counter[str]()
    for attempt, n in (counts.first_attempts(seen=True) + counts.first_attempts(seen=False)).items():
        if attempt.grade and attempt.weak_grade:
            strong[attempt.grade] += n
            weak[attempt.weak_grade] += n
    return DifficultySummary(
        strong_seeds=RightShare.of(of_seeds.strong),
        weak_seeds=RightShare.of(of_seeds.weak),
        strong_rewrites=RightShare.of(strong),
        weak_rewrites=RightShare.of(weak),
    )
