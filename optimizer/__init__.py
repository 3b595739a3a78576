"""Optimizer: a method and the feedback on it become a candidate method (paper, section 3.2)."""

import re

from utils.llm import LLM
from utils.prompts import fill
from utils.replies import read_method
from utils.schema import Feedback, Message, Method

MAX_CHARS = 2_400  # a method is read with every row: length costs money, and long methods over-fit
MIN_CHARS = 80
TRIES = 3
LEFTOVER = re.compile(
    r"\{\{|\}\}|\$\{?(instruction|method|cases)\b|\{(instruction|input|text|prompt)\}"
    r"|<(instruction|your [^<>\n]{1,40})>|\[(insert|your|the instruction)\b|^Step \d+:\s*(\.\.\.|…)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
NAMES_A_CASE = re.compile(r"\bcases? #?\d+\b", re.IGNORECASE)


async def optimize(llm: LLM, method: Method, feedback: Feedback, draw: int) -> Method | None:
    """A candidate to replace `method`, asked for again (told why) while it is not usable; None if it never is."""
    repair = ""
    for attempt in range(TRIES):
        question = fill("optimize", max_chars=str(MAX_CHARS), repair=repair)
        messages = (*feedback.transcript, Message("user", question))
        completion = await llm.complete("optimize", messages, draw * TRIES + attempt)
        if completion.failure == "unavailable":
            return None
        text = read_method(completion.text)
        reason = why_unusable(text, method)
        if text and not reason:
            return Method(text, origin="optimized", parent_id=method.id)
        repair = fill("repair", reason=reason or "it could not be read")
    return None


def why_unusable(text: str | None, old: Method) -> str | None:
    """What keeps a proposed method from being used; None for a usable one."""
    if not text:
        return "there was no fenced block labelled Optimized Method"
    if len(text) < MIN_CHARS:
        return "it was too short to be a method"
    if len(text) > MAX_CHARS:
        return f"it had {len(text)} characters, the bound is {MAX_CHARS}"
    if " ".join(text.split()) == " ".join(old.text.split()):
        return "it was the old method, unchanged"
    if found := LEFTOVER.search(text):
        return f"it contained a placeholder ({found.group().strip()[:30]!r})"
    if NAMES_A_CASE.search(text):
        return "it spoke of single cases, which its reader does not see"
    return None
