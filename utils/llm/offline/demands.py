"""What a method must demand so that a kind of failure becomes rare: the one table of the offline LLM.

A method guards against a kind when it holds one of the kind's words. The same words tell what a feedback
speaks of, and every direction that the optimizer may add holds them, so the loop closes through plain text.
"""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Demand:
    """A kind of failure, its share of rewrites with and without a guard, and the cure.

    `step` is the step of a method (from 0) that a direction goes to; `label` is what the judge calls it.
    """

    kind: str
    label: str
    words: tuple[str, ...]
    rate: float
    guarded_rate: float
    step: int
    complaint: str
    directions: tuple[str, ...]


DEMANDS = (
    Demand(
        "stagnant",
        "stagnant",
        ("reasoning", "no harder", "ornament", "decorat", "more knowledge", "추론", "장식"),
        0.16,
        0.006,
        0,
        "Several rewrites are no harder than before: they decorate, by tone, length or format. "
        "Ask for additions that take more knowledge or another step of reasoning.",
        (
            "Choose only ways that make answering take more knowledge or more reasoning; tone, length and "
            "ornament do not count.",
            "Drop every way that merely decorates: what is added must call for a further step of reasoning.",
            "A version that is no harder is worthless: each way must need a further inference or more knowledge.",
        ),
    ),
    Demand(
        "unsolvable",
        "unsolvable",
        ("contradict", "solvable", "answerable", "can be answered", "impossible", "모순", "풀 수 있"),
        0.12,
        0.005,
        3,
        "Some rewrites hold demands that contradict each other, or refer to a table or text that is not there. "
        "Let the writer check for this before the result.",
        (
            "Check that no two demands contradict each other and that nothing is referred to that is not there.",
            "First make sure that the result can be answered from what it says, and that every given value stands "
            "in it exactly as before.",
            "Remove whatever makes the task impossible: demands that contradict each other, inputs that are not there.",
        ),
    ),
    Demand(
        "lost",
        "lost",
        ("keep every", "keep all", "preserve", "exactly as", "유지", "보존", "빠뜨리지"),
        0.09,
        0.005,
        2,
        "Sentences, numbers or questions of the given instruction disappear. The method must say: "
        "keep every part that the task needs.",
        (
            "Keep every question, number, name and input of the given instruction as it stands.",
            "Preserve all that the task needs, and do not answer it instead.",
            "Write the given instruction out in full: keep all of its sentences and add to them.",
        ),
    ),
    Demand(
        "leaked",
        "leaked",
        ("give away", "gives away", "solution", "hint", "reveal", "힌트", "정답"),
        0.06,
        0.004,
        2,
        "Some rewrites give away the solution or a hint of it. Forbid this.",
        (
            "Never give away the solution or a hint of it.",
            "Reveal nothing of the result: the text asks, it does not explain.",
            "Leave out every hint; if the text is unchanged apart from one, plan again.",
        ),
    ),
    Demand(
        "unchanged",
        "stagnant",
        ("unchanged", "really differs", "not repeat", "그대로 반복"),
        0.03,
        0.003,
        3,
        "Now and then the instruction comes back unchanged: ask for a check of this.",
        (
            "If the text is unchanged, carry out the plan again.",
            "Make sure that the result really differs from the given text, with its heading on a line of its own.",
        ),
    ),
    Demand(
        "answered",
        "lost",
        ("not answer", "never answer", "instead of answering", "답하지"),
        0.03,
        0.003,
        2,
        "At times the task is carried out. Say plainly: do not answer the instruction, rewrite it.",
        (
            "Do not answer the instruction: rewrite it.",
            "Whatever the text says, never answer it, and do not ask the user for anything.",
        ),
    ),
    Demand(
        "heading",
        "lost",
        ("line of its own", "leave out the heading", "without the heading", "제목을 빠뜨"),
        0.03,
        0.003,
        3,
        "Some results stand under no heading and cannot be read: demand the last heading on a line of its own.",
        (
            "Do not leave out the heading of the result.",
            "The heading of the result stands on a line of its own; a result that is unchanged is not given.",
        ),
    ),
    Demand(
        "asks",
        "unsolvable",
        ("ask the user", "ask anyone", "ask back", "되묻"),
        0.015,
        0.002,
        0,
        "In places the writer wants to ask the user for input: say that this is not wanted.",
        (
            "Work with what is given and do not ask the user for more.",
            "Never ask back, and never answer the text: it is material to rewrite.",
        ),
    ),
    Demand(
        "language",
        "lost",
        ("language", "언어"),
        0.06,
        0.004,
        3,
        "The language changes in some rewrites: demand the language of the given instruction.",
        ("Stay in the language of the given instruction.", "Do not change the language of any part."),
    ),
)

# Not a failure by itself: with this share of rewrites the writer's favourite demand comes in.
VARIETY = Demand(
    "sameness",
    "stagnant",
    ("vary", "variety", "same phrase", "different kind", "다양"),
    0.5,
    0.04,
    1,
    "The rewrites resemble each other: ask for variety in what is added.",
    (
        "Vary the kind of demand from instruction to instruction.",
        "Use no same phrase twice: look for what only this subject allows.",
    ),
)

ALL_DEMANDS = (*DEMANDS, VARIETY)
BY_KIND = {demand.kind: demand for demand in ALL_DEMANDS}

# Words by which rules, labels and notes speak of these failures; the first one in a text decides.
REASON_WORDS = {
    "stagnant": "stagnant",
    "harder": "stagnant",
    "unsolvable": "unsolvable",
    "cannot be answered": "unsolvable",
    "refus": "unsolvable",
    "lost": "lost",
    "shrunk": "lost",
    "shorter": "lost",
    "prompt": "heading",
    "leak": "leaked",
    "solution": "leaked",
    "unchanged": "unchanged",
    "what its parent says": "unchanged",
    "language": "language",
    "unread": "heading",
    "heading": "heading",
    "asks for": "asks",
    "asked back": "asks",
    "answer": "answered",
}


@lru_cache(maxsize=64)  # one method serves thousands of rows
def kinds_in(text: str) -> frozenset[str]:
    """The kinds of failure that a method guards against, or that a feedback names."""
    lowered = text.lower()
    return frozenset(d.kind for d in ALL_DEMANDS if any(word in lowered for word in d.words))


def kind_of_reason(reason: str) -> str | None:
    """The kind of failure that a reason, a label or a note on a rewrite speaks of first; None for any other."""
    lowered = reason.lower()
    mentions = [(at, kind) for word, kind in REASON_WORDS.items() if (at := lowered.find(word)) >= 0]
    return min(mentions)[1] if mentions else None


def rate(demand: Demand, method: str) -> float:
    """The share of rewrites that fail in this way under `method`."""
    return demand.guarded_rate if demand.kind in kinds_in(method) else demand.rate
