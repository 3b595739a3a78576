"""Reading the trajectories of a method and saying what to change in it (paper, section 3.2)."""

import logging
from collections.abc import Sequence

from analyzer.cases import describe, joined, trajectory_block
from utils.llm import LLM
from utils.prompts import fill, user
from utils.replies import read_feedback
from utils.schema import Feedback, Finding, Message, Method, Trajectory

log = logging.getLogger(__name__)


async def analyze(
    llm: LLM, method: Method, cases: Sequence[tuple[Trajectory, Finding | None]], draw: int
) -> Feedback | None:
    """The LLM's feedback on `method`, from its trajectories and what was found in them.

    The transcript goes on to the Optimizer, so that it sees the very cases. None where no reply came.
    """
    blocks = joined(
        trajectory_block(case_id, trajectory, describe(trajectory, finding))
        for case_id, (trajectory, finding) in enumerate(cases, start=1)
    )
    question = user(fill("analyze", method=method.text, cases=blocks))
    completion = await llm.complete("analyze", question, draw)
    if completion.failure == "length":
        log.warning("an analysis was cut: raise max_tokens of --optim-llm-config, or the server's context")
    if not completion.text:
        return None
    failed_cases, text = read_feedback(completion.text)
    return Feedback(failed_cases, text, (*question, Message("assistant", completion.text)))
