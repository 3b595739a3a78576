"""Rules, findings and grades become verdicts: a row failed if a rule, a fatal label or the examiner says so."""

from collections.abc import Collection

from utils.schema import (
    EQUAL,
    LABELS,
    PASSED,
    Answer,
    Answers,
    Finding,
    FirstAttempt,
    RowOutcome,
    Verdict,
    failed,
    unscored,
)
from validator.rules import ANSWER_RULES, REWRITE_RULES, first_answer_rule

# In the final run, rewrites that are sound but poor are kept and marked, unless --drop names them.
KEPT = frozenset({"stagnant", "contrived", "narrowed"})
FINAL_FATAL = frozenset({*LABELS, EQUAL}) - KEPT
LEARNING_FATAL = frozenset(LABELS)  # all labels count in learning

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
    "contrived": "nobody would really ask the rewrite: conditions are piled up, or it is invented to be difficult",
    "narrowed": "the rewrite cuts the request down to a niche, so that it no longer serves whoever asked",
    "ambiguous": "what the rewrite asks for has to be guessed at",
    "equal": "the rewrite demands just what its parent does: the same constraints, the same depth and breadth",
    "wrong_answer": "a strong model answered the rewrite wrongly; it must be possible to answer it rightly",
    "partly": "a strong model answered the rewrite only partly rightly; it must be possible to answer it well",
    "unstable": "several answers of a strong model were graded apart; it must be possible to answer it reliably",
    "easy": "a weaker model answered the rewrite rightly: it is not hard enough",
}
RULE_REASONS = {rule.name: rule.why for rule in (*REWRITE_RULES, *ANSWER_RULES)}


def check_finding(finding: Finding | None, final: bool, drop: Collection[str] = ()) -> Verdict:
    """Give the verdict on a rewrite that has broken no rule; without a judge (None) it has passed.

    What the judge could not judge is unscored, but passes in the `final` run, where labels in `drop` are fatal, too.
    """
    if finding is None:
        return PASSED
    if finding.labels is None:
        return PASSED if final else unscored("unjudged")
    fatal = FINAL_FATAL.union(drop) if final else LEARNING_FATAL
    worst = next((label for label in finding.labels if label in fatal), None)
    return failed(worst) if worst else PASSED


def check_answer(answer: Answer) -> Verdict:
    """Give the verdict of the rules: unscored if unavailable, failed if cut, filtered, refused or breaking a rule."""
    if answer.error == "unavailable":
        return unscored("unavailable")
    reason = answer.error or first_answer_rule(answer.trajectory.final, answer.text)
    return failed(reason) if reason else PASSED


def check_answers(answers: Answers, final: bool, drop: Collection[str] = ()) -> Verdict:
    """Give the verdict on the answers to one rewrite: that of the best of them, by rules and grade.

    An answer that is wrong fails. So does in learning a rewrite that is `easy`, and whatever `drop` names. What the
    examiner could not grade is unscored, but passes in the `final` run.
    """
    best = answers.best
    if not best.verdict.passed or best.grade is None:
        return best.verdict
    if best.grade.value == "wrong":
        return failed("wrong_answer")
    if answers.easy and (not final or "easy" in drop):
        return failed("easy")
    if best.grade.value is None and not final:
        return unscored("unexamined")
    marks = (("unstable", answers.unstable), ("partly", best.grade.value == "partly"))
    return next((failed(mark) for mark, is_so in marks if is_so and mark in drop), PASSED)


def first_attempt(outcome: RowOutcome) -> FirstAttempt:
    """Return what the first attempt at a row of the final run says of its method, judged as learning would have."""
    verdict = outcome.trajectory.stopped or check_finding(outcome.finding, final=False)
    if outcome.answers and not verdict.failed:
        checked = check_answers(Answers(outcome.answers.samples[:1], outcome.answers.weak), final=False)
        verdict = verdict if checked.passed else checked
    return outcome.measured(verdict)


def explain(outcome: RowOutcome) -> str:
    """Say why a row failed or is to be done better, in the words that its next attempt is told."""
    reason = outcome.verdict.reason or ("partly" if outcome.partly else "")
    text = OTHER_REASONS.get(reason) or RULE_REASONS.get(reason, reason)
    return f"{text} ({outcome.note})" if outcome.note else text
