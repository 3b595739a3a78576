"""Optimizer: a method and the feedback on it become a candidate method (paper, section 3.2)."""

import re

from utils.llm import LLM
from utils.llm.replies import read_method
from utils.prompts import fill
from utils.schema import Feedback, Message, Method

MAX_CHARS = 2_400  # a method is read with every row: length costs money, and long methods over-fit
MIN_CHARS = 80
TRIES = 3
CUT_SHORT = {"length": "it was cut at the token limit", "content_filter": "a content filter stopped it"}
REMEDY = "raise max_tokens of --optim-llm-config, or the server's context"
LEFTOVER = re.compile(
    r"\{\{|\}\}|\$\{?(instruction|method|cases)\b|\{(instruction|input|text|prompt)\}"
    r"|<(instruction|your [^<>\n]{1,40})>|\[(insert|your|the instruction)\b|^Step \d+:\s*(\.\.\.|…)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
NAMES_A_CASE = re.compile(r"\bcases? #?\d+\b", re.IGNORECASE)


async def optimize(llm: LLM, method: Method, feedback: Feedback, draw: int) -> Method | str:
    """Ask for a method to replace `method`, up to TRIES times until one is usable; return it, or why there is none."""
    repair, reasons = "", []
    for attempt in range(TRIES):
        question = fill("optimize", max_chars=str(MAX_CHARS), repair=repair)
        messages = (*feedback.transcript, Message("user", question))
        completion = await llm.complete("optimize", messages, draw * TRIES + attempt)
        if completion.failure and (completion.refused or completion.failure not in CUT_SHORT):
            return f"no reply came ({completion.failure}{f': {completion.said}' if completion.refused else ''})"
        text = read_method(completion.text)
        # What is left of a cut block can be read, but is no method without its last step.
        reason = CUT_SHORT[completion.failure] if completion.failure else why_unusable(text, method)
        if text and not reason:
            return Method(text, origin="optimized", parent_id=method.id)
        reasons.append(reason or "it could not be read")
        repair = fill("repair", reason=reasons[-1])
    remedy = [REMEDY] if CUT_SHORT["length"] in reasons else []
    return "; ".join([*dict.fromkeys(reasons), *remedy])


def why_unusable(text: str | None, old: Method) -> str | None:
    """Return why a proposed method cannot be used, or None where it can."""
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
