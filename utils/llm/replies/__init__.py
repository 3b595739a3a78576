"""Readers of what LLMs reply: pure functions from text to values; None (or a missing case) means unreadable.

Each reader forgives what real models do to a format and never raises, whatever the text. Replies are hostile:
every pattern is either possessive or bounded, so all readers are linear in the length of the reply.
The parts: marks, thoughts, fences, headings, the rewrite, the method, JSON.
"""

from utils.llm.replies.cases import read_comparison, read_equality, read_feedback, read_findings, read_grades
from utils.llm.replies.method import read_method
from utils.llm.replies.rewrite import read_rewrite
from utils.llm.replies.thoughts import split_thoughts

__all__ = [
    "read_comparison",
    "read_equality",
    "read_feedback",
    "read_findings",
    "read_grades",
    "read_method",
    "read_rewrite",
    "split_thoughts",
]
