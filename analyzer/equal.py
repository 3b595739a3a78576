"""Evol-Instruct's first elimination rule: a rewrite that demands the same as its parent brings nothing.

(WizardLM, arXiv 2304.12244, section 3.2: the same constraints and the same depth and breadth.)
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from analyzer.asking import ask_about
from analyzer.cases import joined, rewrite_block
from utils.llm import LLM
from utils.llm.replies import read_equality
from utils.prompts import fill, user
from utils.schema import EQUAL, UNJUDGED, Completion, Finding, Trajectory


async def equal(llm: LLM, cases: Mapping[int, Trajectory]) -> dict[int, bool]:
    """Tell for each case whether the rewrite equals its parent; a case that no reply answers readably is left out."""

    async def ask(case_ids: Collection[int], draw: int) -> Completion:
        blocks = joined(rewrite_block(case_id, cases[case_id]) for case_id in case_ids)
        return await llm.complete("equal", user(fill("equal", cases=blocks)), draw)

    equals, _ = await ask_about(cases, ask, read_equality, tries=1)
    return equals


def with_equality(findings: Mapping[int, Finding], equals: Mapping[int, bool]) -> dict[int, Finding]:
    """Put the label EQUAL first where a rewrite equals its parent; cases that `equals` lacks become unscored."""
    return {case_id: _with_equality(finding, equals.get(case_id)) for case_id, finding in findings.items()}


def _with_equality(finding: Finding, is_equal: bool | None) -> Finding:
    if is_equal is None:
        return UNJUDGED
    return replace(finding, labels=(EQUAL, *(finding.labels or ()))) if is_equal else finding
