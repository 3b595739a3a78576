"""Analyzer: trajectories become feedback on a method, and findings on single rewrites (paper, section 3.2)."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from analyzer.analyze import analyze
from analyzer.compare import compare
from analyzer.equal import equal, with_equality
from analyzer.examine import CASES_PER_CALL, examine
from analyzer.judge import judge
from utils.concurrency import gather_or_cancel
from utils.llm import LLM
from utils.schema import Finding, Trajectory

__all__ = ["CASES_PER_CALL", "analyze", "compare", "equal", "examine", "judge", "judges"]


def judges(
    llm: LLM, labels: bool, equality: bool
) -> Callable[[Mapping[int, Trajectory]], Awaitable[dict[int, Finding]]] | None:
    """Return what judges rewrites besides the rules: the judge of labels, the judge of equality, both, or None."""
    if not equality:
        return partial(judge, llm) if labels else None

    async def both(cases: Mapping[int, Trajectory]) -> dict[int, Finding]:
        if not labels:
            return with_equality(dict.fromkeys(cases, Finding(())), await equal(llm, cases))
        return with_equality(*await gather_or_cancel(judge(llm, cases), equal(llm, cases)))

    return both
