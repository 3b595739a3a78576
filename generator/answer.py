"""Answering an instruction: with its context it is the whole prompt, so that the answer is what a user would get."""

from utils.llm import LLM
from utils.prompts import user
from utils.schema import Answer, Message, Trajectory


async def answer(llm: LLM, trajectory: Trajectory, draw: int = 0) -> Answer:
    """Answer the final instruction of `trajectory`; the answer's `error` names the completion's failure.

    `draw` counts the attempts at the row, from 0: a new attempt is answered anew, also to the same instruction.
    A seed that was not rewritten and has a reference keeps it: no call is made. Raise what `llm.complete` raises.
    """
    if trajectory.keeps_reference:
        return Answer(trajectory, trajectory.seed.reference or "")
    completion = await llm.complete("respond", conversation(trajectory), draw)
    return Answer(trajectory, completion.text, completion.failure, completion.reasoning, completion.said)


def conversation(trajectory: Trajectory) -> tuple[Message, ...]:
    """Return the messages to send: the seed's context, the instruction as the user's turn, and nothing else."""
    return (*trajectory.seed.context, *user(trajectory.final))
