"""Validator: rules and findings become verdicts, verdicts a failure rate, rates the best method. No LLM, no I/O."""

from validator.portfolio import choose_portfolio
from validator.race import Race, likely_failures_first
from validator.rules import ANSWER_RULES, REWRITE_RULES, first_answer_rule, first_rewrite_rule
from validator.score import best_of, complexity_score, failed_ids, leaders, pairs_of
from validator.verdicts import FINAL_FATAL, LEARNING_FATAL, check_answer, check_finding, explain, with_equality

__all__ = [
    "ANSWER_RULES",
    "FINAL_FATAL",
    "LEARNING_FATAL",
    "REWRITE_RULES",
    "Race",
    "best_of",
    "check_answer",
    "check_finding",
    "choose_portfolio",
    "complexity_score",
    "explain",
    "failed_ids",
    "first_answer_rule",
    "first_rewrite_rule",
    "leaders",
    "likely_failures_first",
    "pairs_of",
    "with_equality",
]
