"""Analyzer: trajectories become feedback on a method, and findings on single rewrites (paper, section 3.2)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from analyzer.analyze import analyze
from analyzer.compare import compare
from analyzer.equal import equal, with_equality
from analyzer.judge import judge
from utils.llm import LLM
from utils.schema import Finding, Trajectory

__all__ = ["analyze", "compare", "equal", "judge", "judges"]


def judges(
    llm: LLM, labels: bool, equality: bool
) -> Callable[[Mapping[int, Trajectory]], Awaitable[dict[int, Finding]]] | None:
    """Return what judges rewrites besides the rules: the judge of labels, the judge of equality, both, or None."""
    if not equality:
        return partial(judge, llm) if labels else None

    async def both(cases: Mapping[int, Trajectory]) -> dict[int, Finding]:
        equals = asyncio.ensure_future(equal(llm, cases))
        findings = await judge(llm, cases) if labels else dict.fromkeys(cases, Finding(()))
        return with_equality(findings, await equals)

    return both
