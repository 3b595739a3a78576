"""The judge: labels what is wrong with rewrites, ten at a time (the paper's failure kinds, section 3.2).

Rules see only bad answers; whether a rewrite is harder, solvable and complete takes a reader.
"""

import logging
from collections.abc import Collection, Mapping

from analyzer.asking import ask_about
from analyzer.cases import joined, rewrite_block
from utils.llm import LLM
from utils.llm.replies import read_findings
from utils.prompts import fill, user
from utils.schema import Completion, Finding, Trajectory

log = logging.getLogger(__name__)


async def judge(llm: LLM, cases: Mapping[int, Trajectory]) -> dict[int, Finding]:
    """Return a finding per case, under the keys of `cases`, which are positions in the group, from 1.

    A case that no reply judges readably is unscored, with a note that says why, never passed silently.
    """

    async def ask(case_ids: Collection[int], draw: int) -> Completion:
        blocks = joined(rewrite_block(case_id, cases[case_id]) for case_id in case_ids)
        return await llm.complete("judge", user(fill("judge", cases=blocks)), draw)

    findings, unjudged = await ask_about(cases, ask, read_findings)
    for case_id, why in unjudged.items():
        log.warning("the rewrite of row %d stays unjudged: %s", cases[case_id].seed.id, why)
    read = findings | {case_id: Finding(None, why) for case_id, why in unjudged.items()}
    return {case_id: read[case_id] for case_id in cases}
