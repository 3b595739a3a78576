"""The calls that look at what was written: judge, examine, compare, equal, tag, case by case, mostly rightly; analyze
names the most frequent failures, and optimize guards the method against some of them.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from random import Random

from utils.llm.offline.failures import BY_KIND, FAILURES, faults, kinds_in
from utils.llm.offline.reading import Case, dice, read_analyze, read_cases
from utils.schema import Request

MISSED = 0.05  # share of faulty rewrites that pass
SLIP = 0.01  # share of replies that forget a case
WRONG, PARTLY = 0.02, 0.08  # shares of answers that are graded so
SHORT = 120  # characters of an instruction that one paragraph answers
TIE = 0.5  # share of equal pairs that are called a tie
OVERLOOKED = 0.15  # share of failures that an analysis does not see for itself
UNUSABLE = 0.03  # share of proposals that cannot be used
ASTRAY = 0.15  # share of proposals that guard against something that the feedback does not name

TAGS = {  # and the words that they stand for, English and Korean
    "programming": ("python", "```", "파이썬", "코드"),
    "mathematics": ("calculate", "equation", "probability", "계산", "방정식", "확률", "구하시오"),
    "writing": ("write", "story", "poem", "편지", "이야기", "작성"),
    "physics": ("gravity", "energy", "중력", "에너지"),
    "history": ("century", "histor", "세기", "역사", "조선"),
    "audience adaptation": ("beginner", "child", "초보", "어린이"),
    "comparison": ("compare", "difference", "viewpoints", "비교", "차이", "관점"),
    "justification": ("reasons", "criterion", "이유", "근거", "기준"),
    "cause analysis": ("why ", "cause", "왜 ", "원인"),
    "example": ("example", "사례", "예를"),
    "counterargument": ("objection", "반론"),
    "misconception": ("misconception", "mistake", "confused", "오해", "실수", "혼동"),
    "limitation analysis": ("limit", "assum", "exception", "한계", "전제", "예외"),
    "impact analysis": ("effect", "consequence", "what follows", "영향", "결과"),
}

_LIMIT = re.compile(r"at most (\d{1,6}) characters")
_LAST_STEP = re.compile(r"(.*^Step \d+:?[^\S\n]*)(.*)", re.DOTALL | re.MULTILINE)


# --- A case at a time: each gives what the prompt wants to know of it ---------------------------


def on_each_case(entry: Callable[[Case, str], dict[str, object]]) -> Callable[[Request], str]:
    """Return a function from a request to JSON with `entry(case, draw)` of every case; now and then it forgets one."""

    def reply(request: Request) -> str:
        prompt = request.messages[-1].content
        entries = [{"case_id": case.id, **entry(case, request.draw)} for case in read_cases(prompt)]
        if len(entries) > 1 and dice("slip", request.draw, prompt).random() < SLIP:
            entries.pop()
        return json.dumps({"cases": entries}, ensure_ascii=False)

    return reply


def judge(case: Case, draw: str) -> dict[str, object]:
    """Return labels and a note; a case with an `Aim`, which was meant to be another task, is always ok."""
    missed = case.text("Aim") or dice("judge", draw, *case.stages).random() < MISSED
    found = [] if missed else [BY_KIND[kind] for kind in _shown(case)]
    labels = list(dict.fromkeys(f.label for f in found)) or ["ok"]
    return {"labels": labels, "note": "; ".join(f.note for f in found)}


def examine(case: Case, draw: str) -> dict[str, object]:
    """Grade answers: one paragraph is enough for a short instruction alone; of the others, a few are found wanting."""
    asked, grades = case.text("Instruction"), []
    for name, answer in case.lines:
        if name.startswith("Answer "):
            chance = dice("examine", asked, answer).random()
            meagre = "\n\n" not in answer.strip() and len(asked) > SHORT
            grades.append("wrong" if meagre or chance < WRONG else "partly" if chance < WRONG + PARTLY else "right")
    notes = {"wrong": "what was asked for is not there", "partly": "a reason does not support its claim"}
    note = "; ".join(f"answer {n}: {notes[grade]}" for n, grade in enumerate(grades, 1) if grade in notes)
    return {"note": note, "grades": grades}


def compare(case: Case, draw: str) -> dict[str, object]:
    """Prefer the sound one of two rewrites; of equally sound ones a tie, or one of them, whichever is shown first."""
    seed, first, second = (case.text(name) for name in ("Seed", "First", "Second"))
    faulty = bool(faults(seed, first))
    if faulty != bool(faults(seed, second)):
        return {"better": "second" if faulty else "first"}
    chance = dice("pair", draw, seed, *sorted((first, second)))
    if first == second or chance.random() < TIE:
        return {"better": "tie"}
    return {"better": "first" if (first < second) == (chance.random() < 0.5) else "second"}


def equal(case: Case, draw: str) -> dict[str, object]:
    """Tell whether a rewrite adds nothing, or only ornament."""
    return {"equal": bool({"unchanged", "stagnant"} & set(_shown(case)))}


def tag(case: Case, draw: str) -> dict[str, object]:
    """Return the tags of an instruction, in English for a Korean one, too."""
    text = case.text("Instruction").lower()
    return {"tags": [name for name, words in TAGS.items() if any(word in text for word in words)] or ["explanation"]}


def _shown(case: Case) -> tuple[str, ...]:
    return faults(case.stages[0], case.stages[-1]) if case.stages else ()


# --- Learning ----------------------------------------------------------------------------------


def analyze(request: Request) -> str:
    """Return the JSON that the analyzing prompt asks for: failed cases, and a feedback on the method."""
    prompt = request.messages[-1].content
    _, cases = read_analyze(prompt)
    rng = dice("analyze", request.draw, prompt)
    seen = {case.id: kinds for case in cases if (kinds := _kinds(case, rng))}
    counts = Counter(kind for kinds in seen.values() for kind in kinds)
    named = [(BY_KIND[kind], count) for kind, count in counts.most_common(rng.choice((2, 2, 3)))]
    said = [f"In {count} of {len(cases)} cases {f.note}. {f.direction}" for f, count in named] or [
        "No clear fault shows."
    ]
    failed = [{"case_id": id_, "reason": ", ".join(kinds)} for id_, kinds in seen.items()]
    return json.dumps({"failed_cases": failed, "feedback": " ".join(said)}, ensure_ascii=False)


def _kinds(case: Case, rng: Random) -> tuple[str, ...]:
    """Return the failures of one case: those found before, and those that its stages show, some of them overlooked."""
    told = [f.kind for f in FAILURES if f.kind in case.text("Found")]
    shown = (kind for before, after in pairwise(case.stages) for kind in faults(before, after))
    return tuple(dict.fromkeys(told + [kind for kind in shown if rng.random() >= OVERLOOKED]))


def optimize(request: Request) -> str:
    """Return the method with a direction or two more, in the fence asked for; now and then unchanged and without it."""
    analysis, feedback, order = (message.content for message in request.messages[-3:])
    method, _ = read_analyze(analysis)
    rng = dice("optimize", request.draw, method, feedback, order)
    if rng.random() < UNUSABLE:
        return f"Here is a better version.\n\n{method}"
    limit = _LIMIT.search(order)
    for direction in _directions(method, feedback.rpartition('"feedback"')[2], rng):
        longer = _with_direction(method, direction)
        method = method if limit and len(longer) > int(limit[1]) else longer
    return f"```Optimized Method\n{method}\n```"


def _directions(method: str, feedback: str, rng: Random) -> list[str]:
    """Choose one or two directions to add: against failures that the feedback names, now and then against others."""
    astray, named = rng.random() < ASTRAY, kinds_in(feedback)
    missing = [f for f in FAILURES if f.kind not in kinds_in(method)]
    wanted = [f for f in missing if (f.kind in named) != astray] or missing
    return [f.direction for f in rng.sample(wanted, min(len(wanted), rng.choice((1, 2, 2))))]


def _with_direction(method: str, direction: str) -> str:
    """Put a direction at the beginning of the last step, where the result is checked, or on a last line of its own."""
    found = _LAST_STEP.fullmatch(method)
    return f"{found[1]}{direction} {found[2]}" if found else f"{method}\n{direction}"
