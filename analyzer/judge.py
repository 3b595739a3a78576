"""The judge: labels what is wrong with rewrites, ten at a time (the paper's failure kinds, section 3.2).

Rules see only bad answers; whether a rewrite is harder, solvable and complete takes a reader.
"""

from collections.abc import Mapping

from analyzer.cases import joined, rewrite_block
from utils.llm import LLM
from utils.prompts import fill, user
from utils.replies import read_findings
from utils.schema import UNJUDGED, Finding, Trajectory

TRIES = 3  # how often a case is asked for that is missing or unreadable, before it stays unscored


async def judge(llm: LLM, cases: Mapping[int, Trajectory]) -> dict[int, Finding]:
    """One finding per case; keys are the positions in the group, from 1, and stay the same when asked again.

    A case that no reply judges readably is `UNJUDGED`, never passed silently.
    """
    findings: dict[int, Finding] = {}
    for draw in range(TRIES):
        missing = [case_id for case_id in cases if case_id not in findings]
        if not missing:
            break
        blocks = joined(rewrite_block(case_id, cases[case_id]) for case_id in missing)
        completion = await llm.complete("judge", user(fill("judge", cases=blocks)), draw)
        if completion.failure == "unavailable":
            break
        read = read_findings(completion.text, max(missing))
        findings |= {case_id: read[case_id] for case_id in missing if case_id in read}
    return {case_id: findings.get(case_id, UNJUDGED) for case_id in cases}
