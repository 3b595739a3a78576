"""The failure rules: two tables of named rules, one for answers and one for rewrites.

A rule is a pure function of two texts: no I/O, no LLM, time linear in the texts. The first rule that fires
names the failure. What rules cannot see is the judge's part: a wrong answer, or a sermon that never condemns
and never declines.

Auto Evol-Instruct (arXiv 2406.00770, section 3) calls this F(r); Evol-Instruct (arXiv 2304.12244) calls it
elimination. Both look for a few phrases; these rules look at the opening, at what follows it and at what the
instruction wanted.
"""

from collections.abc import Callable
from dataclasses import dataclass

from validator import rules_answer, rules_refusal, rules_rewrite


@dataclass(frozen=True, slots=True)
class Rule:
    """A named way to fail. `fires(given, made)` is given instruction and answer, or parent and rewrite."""

    name: str
    why: str
    fires: Callable[[str, str], bool]


ANSWER_RULES: tuple[Rule, ...] = (
    Rule("empty", "no word of an answer: nothing, signs, function words or a placeholder", rules_answer.is_empty),
    Rule("broken_characters", "unreadable characters or one word without end", rules_answer.is_broken),
    Rule("refusal", "declines, apologizes or moralizes instead of answering", rules_refusal.is_refusal),
    Rule("asks_for_input", "asks back instead of answering", rules_answer.asks_for_input),
    Rule("acknowledgement", "promises an answer and stops", rules_answer.is_acknowledgement),
    Rule("does_not_know", "says that it does not know and leaves it there", rules_answer.does_not_know),
    Rule("truncated", "breaks off inside a code fence", rules_answer.is_truncated),
)

REWRITE_RULES: tuple[Rule, ...] = (
    Rule("empty", "no instruction at all", rules_rewrite.is_empty),
    Rule("broken_characters", "unreadable characters or one word without end", rules_answer.is_broken),
    Rule("prompt_leaked", "holds words of the rewriting prompt", rules_rewrite.has_leaked_prompt),
    Rule("unchanged", "says what its parent says", rules_rewrite.is_unchanged),
    Rule("refusal", "the rewriting LLM declined or asked back", rules_rewrite.is_refused),
    Rule("language_changed", "is written in another language than its parent", rules_rewrite.has_changed_language),
    Rule("shrunk", "has lost most of its parent", rules_rewrite.is_shrunk),
    Rule("answers_instead", "answers the instruction instead of asking", rules_rewrite.answers_instead),
)


def first_answer_rule(instruction: str, answer: str) -> str | None:
    """Return the name of the first rule that the answer breaks, or None."""
    return _first(ANSWER_RULES, instruction, answer)


def first_rewrite_rule(parent: str, rewrite: str) -> str | None:
    """Return the name of the first rule that the rewrite of `parent` breaks, or None."""
    return _first(REWRITE_RULES, parent, rewrite)


def _first(rules: tuple[Rule, ...], given: str, made: str) -> str | None:
    return next((rule.name for rule in rules if rule.fires(given, made)), None)
