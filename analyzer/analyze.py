"""Reading the trajectories of a method and saying what to change in it (paper, section 3.2)."""

import logging
from collections.abc import Sequence
from itertools import chain

from analyzer.asking import IN_HALVES
from analyzer.cases import describe, joined, trajectory_block
from utils.concurrency import gather_or_cancel
from utils.llm import LLM
from utils.llm.replies import read_feedback
from utils.prompts import fill, user
from utils.schema import Case, Feedback, Message, Method

log = logging.getLogger(__name__)

NumberedCase = tuple[int, Case]
Told = tuple[tuple[Message, ...], str]  # a question and its reply


async def analyze(llm: LLM, method: Method, cases: Sequence[Case], draw: int) -> Feedback | None:
    """Ask for feedback on `method`, from its trajectories and what was found in them; return None where no reply came.

    The feedback's transcript goes on to the Optimizer, so that it sees the same cases.
    """
    told = await _ask(llm, method, list(enumerate(cases, start=1)), draw)
    if not told:
        return None
    failed_cases, texts = zip(*(read_feedback(reply) for _, reply in told), strict=True)
    # Of several parts the Optimizer sees the cases of the longest one, and the replies about all.
    question = max((question for question, _ in told), key=lambda question: len(question[-1].content))
    replies = "\n\n".join(reply for _, reply in told)
    transcript = (*question, Message("assistant", replies))
    return Feedback(tuple(chain.from_iterable(failed_cases)), "\n\n".join(texts), transcript)


async def _ask(llm: LLM, method: Method, cases: Sequence[NumberedCase], draw: int) -> list[Told]:
    """Ask about all cases; where that is refused, about halves, down to single cases. Return questions with replies."""
    blocks = joined(
        trajectory_block(case_id, trajectory, describe(trajectory, finding)) for case_id, (trajectory, finding) in cases
    )
    question = user(fill("analyze", method=method.text, cases=blocks))
    completion = await llm.complete("analyze", question, draw)
    if completion.failure == "length":
        log.warning("an analysis was cut: raise max_tokens of --optim-llm-config, or the server's context")
    if completion.text:
        return [(question, completion.text)]
    if completion.failure not in IN_HALVES or not cases:
        return []
    if len(cases) == 1:
        row = cases[0][1][0].seed.id
        log.warning("the trajectory of row %d is not analyzed: %s: %s", row, completion.failure, completion.said or "")
        return []
    half = len(cases) // 2
    parts = await gather_or_cancel(*(_ask(llm, method, part, draw) for part in (cases[:half], cases[half:])))
    return list(chain.from_iterable(parts))
