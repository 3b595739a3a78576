"""How rewrites fail: the one table that makes the offline LLM's failures, finds them and mends the method.

A method guards against a failure when it holds one of its words. Every note and every direction holds words of its own
failure alone, so that the loop closes through plain text: rewrite, finding, feedback, better method.
"""

from dataclasses import dataclass
from functools import lru_cache

from utils.llm.offline.reading import language, sentences, tongue, words

GUARDED, RETRIED = 0.05, 0.4  # how much rarer a failure is under a method that guards against it, and in a retry
LONG = 4_000  # characters
KEPT = 0.7  # share of a sentence's words that must still be there


@dataclass(frozen=True, slots=True)
class Failure:
    """A way to fail. `kind` is the rule or label that finds it, `label` what a judge calls it and `note` what it says.

    `rate` is the share of rewrites, `words` in a method guard against it, and `direction`, which the optimizer adds,
    holds one of them. What makes the failure is said in the language of the instruction (`en`, `ko`; `~` as in
    `phrases`): behind it or, if `alone`, instead of it.
    """

    kind: str
    label: str
    rate: float
    words: tuple[str, ...]
    note: str
    direction: str
    en: str = ""
    ko: str = ""
    alone: bool = False

    def said(self, instruction: str) -> str:
        """Return the text that makes a rewrite of `instruction` fail in this way; "" where it is no text that does."""
        return self.ko if tongue(instruction) == "ko" else self.en


FAILURES = (
    Failure(
        "stagnant", "stagnant", 0.16, ("reasoning", "no harder", "ornament", "more knowledge", "추론", "장식"),
        "only tone, length or format is asked for in addition",
        "Let each change call for more knowledge or a further step of reasoning; ornament does not count.",
        "Please answer in a warm, friendly and engaging tone from beginning to end.",
        "답변은 처음부터 끝까지 친절하고 따뜻한 말투로 정성껏 작성~.",
    ),
    Failure(
        "unsolvable", "unsolvable", 0.12, ("contradict", "solvable", "can be answered", "모순", "풀 수 있"),
        "demands contradict each other",
        "Check that no two demands contradict each other and that nothing is referred to that is not there.",
        "Use at most 30 words in total, and write at least 500 words with full details.",
        "전체를 서른 단어 이내로 쓰되 오백 단어 이상으로 자세히 작성~.",
    ),
    Failure(
        "lost", "lost", 0.09, ("keep every", "keep all", "preserve", "exactly as", "유지", "보존", "빠뜨리지"),
        "a part of the task is missing", "Keep every question, number, name and input of the given instruction.",
    ),
    Failure(
        "leaked", "leaked", 0.06, ("give away", "gives away", "solution", "hint", "힌트", "정답"),
        "a remark in brackets gives away the result", "Never give away the solution or a hint of it.",
        "(Hint: the correct answer is the first one that comes to mind.)",
        "(힌트: 정답은 가장 먼저 떠오르는 바로 그것이다.)",
    ),
    Failure(
        "contrived", "contrived", 0.06, ("piled up", "really ask", "억지"),
        "nobody would ask this: a condition without purpose", "Ask only for what a person would really ask.",
        "Assume that it is midnight in a leap year and that the reader wears gloves.",
        "윤년의 자정에 장갑을 낀 채 읽는 사람을 전제로 작성~.",
    ),
    Failure(
        "unchanged", "stagnant", 0.03, ("unchanged", "really differs"),
        "nothing was added", "If the text is unchanged, carry out the plan again.",
    ),
    Failure(
        "answers_instead", "lost", 0.03, ("not answer", "never answer", "instead of answering", "답하지"),
        "this is an answer, not an instruction", "Do not answer the instruction: rewrite it.",
        "The answer is short: it follows directly from the given facts, and nothing else matters.",
        "정답은 주어진 내용에서 바로 나온다. 더 따져 볼 것은 없다.", alone=True,
    ),
    Failure(
        "unreadable", "lost", 0.03, ("line of its own", "leave out the heading"),
        "the result stands under no heading", "The heading of the result stands on a line of its own.",
    ),
    Failure(
        "refusal", "unsolvable", 0.02, ("ask the user", "ask back", "되묻"),
        "the reader is asked for input, not given a task", "Work with what is given and never ask back.",
        "Please provide the instruction that you would like me to rewrite.",
        "다시 쓸 지시문을 먼저 입력해 주세요.", alone=True,
    ),
    Failure(
        "language_changed", "lost", 0.06, ("language", "언어"),
        "the language changed, and the task with it", "Stay in the language of the given instruction.",
        "이 주제를 자세히 설명하고 서로 다른 두 견해를 비교한 뒤 결론의 근거를 제시하시오.",
        "Explain this subject in detail, compare two views of it and justify your conclusion.", alone=True,
    ),
)  # fmt: skip
BY_KIND = {failure.kind: failure for failure in FAILURES}


@lru_cache(maxsize=64)  # one method serves thousands of rows
def kinds_in(text: str) -> frozenset[str]:
    """Return the kinds of failure that a method guards against, or that a feedback names."""
    lowered = text.lower()
    return frozenset(f.kind for f in FAILURES if any(word in lowered for word in f.words))


def rate(failure: Failure, method: str, *, retried: bool = False) -> float:
    """Return the share of rewrites, 0 to 1, that fail in this way under `method`."""
    guarded = GUARDED if failure.kind in kinds_in(method) else 1
    return failure.rate * guarded * (RETRIED if retried else 1)


def faults(before: str, after: str) -> tuple[str, ...]:
    """Return the kinds of failure that show in a rewrite; none for a sound one."""
    before, after = before.strip(), after.strip()
    if before == after:
        return ("unchanged",)
    marks = {failure.kind: failure.said(before).partition("~")[0] for failure in FAILURES}
    shown = tuple(kind for kind, mark in marks.items() if mark and mark in after and mark not in before)
    if before in after or any(BY_KIND[kind].alone for kind in shown):
        return shown
    if language(before) != language(after):
        return ("language_changed",)
    return (*shown, "lost") if _lacks(before, after) else shown


def _lacks(before: str, after: str) -> bool:
    """Tell whether many words of a sentence are gone; a long text, which may be shown cut, counts as one sentence."""
    there = set(words(after))
    needed = (set(words(piece)) for piece in (sentences(before) if len(before) < LONG else [before]))
    return any(len(wanted & there) < KEPT * len(wanted) for wanted in needed if wanted)
