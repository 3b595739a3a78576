"""Evol-Instruct's first elimination rule: a rewrite that demands the same as its parent brings nothing.

(WizardLM, arXiv 2304.12244, section 3.2: the same constraints and the same depth and breadth.)
"""

from collections.abc import Mapping

from analyzer.cases import joined, rewrite_block
from utils.llm import LLM
from utils.prompts import fill, user
from utils.replies import read_equality
from utils.schema import Trajectory


async def equal(llm: LLM, cases: Mapping[int, Trajectory]) -> dict[int, bool]:
    """Whether each rewrite equals its parent; a case that cannot be read is left out."""
    blocks = joined(rewrite_block(case_id, trajectory) for case_id, trajectory in cases.items())
    completion = await llm.complete("equal", user(fill("equal", cases=blocks)))
    read = read_equality(completion.text, max(cases))
    return {case_id: read[case_id] for case_id in cases if case_id in read}
