"""Rules and findings become verdicts: a row failed if a rule or a fatal label says so."""

from utils.schema import EQUAL, LABELS, PASSED, Answer, Finding, Verdict, failed, unscored
from validator.rules import ANSWER_RULES, REWRITE_RULES, first_answer_rule

LEARNING_FATAL = frozenset(LABELS)  # all labels count in learning;
# in the final run a rewrite that is no harder is kept, and marked
FINAL_FATAL = frozenset({*LABELS, EQUAL}) - {"stagnant"}

OTHER_REASONS = {
    "unreadable": "the reply had no readable result under the heading #Finally Rewritten Instruction#",
    "length": "the reply was cut at the token limit; a shorter, more focused result is needed",
    "content_filter": "the content filter of the server stopped it",
    "rejected": "the server refused the request",
    "too_long": "the server found the request too long; a shorter, more focused result is needed",
    "empty": "no text came, or thoughts without an answer; a more focused result is needed",
    "stagnant": "the rewrite is not harder: it takes no more real work to answer",
    "unsolvable": "the rewrite cannot be answered correctly and completely",
    "lost": "the rewrite has lost something that the original needs",
    "leaked": "the rewrite gives the solution away",
    "equal": "the rewrite demands just what its parent does: the same constraints, the same depth and breadth",
}
RULE_REASONS = {rule.name: rule.why for rule in (*REWRITE_RULES, *ANSWER_RULES)}


def check_finding(finding: Finding | None, final: bool) -> Verdict:
    """Give the verdict on a rewrite that has broken no rule; without a judge (None) it has passed.

    What the judge could not judge is unscored, but passes in the `final` run.
    """
    fatal = FINAL_FATAL if final else LEARNING_FATAL
    if finding is None:
        return PASSED
    if finding.labels is None:
        return PASSED if final else unscored("unjudged")
    worst = next((label for label in finding.labels if label in fatal), None)
    return failed(worst) if worst else PASSED


def check_answer(answer: Answer) -> Verdict:
    """Give the verdict on an answer: unscored if unavailable, failed if cut, filtered, refused or breaking a rule."""
    if answer.error == "unavailable":
        return unscored("unavailable")
    reason = answer.error or first_answer_rule(answer.trajectory.final, answer.text)
    return failed(reason) if reason else PASSED


def explain(reason: str, note: str = "") -> str:
    """Say why a row failed, in the words that its next attempt is told; `note` is the judge's."""
    text = OTHER_REASONS.get(reason) or RULE_REASONS.get(reason, reason)
    return f"{text} ({note})" if note else text
