"""The evolving stage: adds fitting constraints to an instruction, and fails as often as the method lets it.

Which row fails depends on row, draw and retry note alone; the method only moves the threshold. So a method
with one guard more fails on a subset of the rows, and candidates are compared without noise of their own.
"""

from collections.abc import Callable, Sequence
from random import Random

from utils.llm.offline import phrases
from utils.llm.offline.answering import plain_answer
from utils.llm.offline.demands import DEMANDS, VARIETY, kind_of_reason, kinds_in, rate
from utils.llm.offline.reading import EvolvePrompt, dice, in_breadth, read_evolve
from utils.llm.offline.wording import kind, korean_ending, language, particle, sentences, topic, words
from utils.schema import Request

RETRY_FACTOR = 0.2  # how much rarer a failure becomes that the retry note names
MAX_WORDS = 20  # words that a round adds at most
THREE = 0.3  # share of rewrites with three constraints instead of two
THREE_IF_ASKED = 0.7  # the same share under a method that asks for real difficulty


def evolve(request: Request) -> str:
    """A reply in the format of the paper (Auto Evol-Instruct, arXiv 2406.00770, section 3)."""
    prompt = read_evolve(request.messages[-1].content)
    if in_breadth(request.messages[-1].content):
        return _reply(language(prompt.instruction), [], _another(prompt), with_heading=True)
    fault = _fault(prompt, request.draw)
    rng = dice("phrases", request.draw, prompt.method, prompt.retry_reason, prompt.instruction)
    if fault in RESULTS:
        result, added = RESULTS[fault](prompt.instruction, rng), []
    else:
        kept = _without_a_part(prompt.instruction, rng) if fault == "lost" else prompt.instruction
        added = constraints(prompt.instruction, prompt.method, rng)
        result = append(kept, added)
    return _reply(language(prompt.instruction), added, result, with_heading=fault != "heading")


def _another(prompt: EvolvePrompt) -> str:
    """A new instruction about some words of the given one."""
    rng = dice("another", prompt.method, prompt.retry_reason, prompt.instruction)
    found = [word for word in words(prompt.instruction) if len(word) > 1] or ["x"]
    about = ", ".join(dict.fromkeys(rng.choices(found, k=7)))
    return rng.choice(phrases.ANOTHER[_tongue(prompt.instruction)]).format(about)


def constraints(instruction: str, method: str, rng: Random) -> list[str]:
    """Two or three demands that fit the instruction and do not stand in it yet, in its language and register."""
    tongue = language(instruction)
    pool = phrases.CONSTRAINTS[tongue]
    about = topic(instruction)
    fitting = [*pool.get(kind(instruction), ()), *(pool.get("topic", ()) if about else ())]
    general = list(pool["any"])
    rng.shuffle(fitting)
    rng.shuffle(general)
    many = THREE_IF_ASKED if "stagnant" in kinds_in(method) else THREE
    count = 3 if rng.random() < many else 2
    chosen = [*fitting, *general]
    if tongue in phrases.FAVOURITE and rng.random() < rate(VARIETY, method):
        chosen.insert(0, phrases.FAVOURITE[tongue])
    return _first_new([speak(phrase, instruction, about) for phrase in chosen], instruction, count)


def speak(phrase: str, instruction: str, about: str | None = None) -> str:
    """A phrase of `phrases` as it stands in a rewrite of `instruction`."""
    said = phrase.replace("~", korean_ending(instruction)) if "~" in phrase else phrase
    if about and "{topic}" in said:
        said = said.replace("{와}", particle(about, "과", "와")).replace("{topic}", about)
    return said


def _first_new(spoken: Sequence[str], instruction: str, count: int) -> list[str]:
    """The first `count` phrases that are new to the instruction and together within the words of a round."""
    chosen: list[str] = []
    room = MAX_WORDS
    for phrase in spoken:
        size = len(phrase.split())
        if len(chosen) < count and size <= room and phrase not in instruction:
            chosen.append(phrase)
            room -= size
    return chosen


def append(instruction: str, added: list[str]) -> str:
    """The instruction, untouched, with sentences behind it: on a new line where it does not end as a sentence."""
    text = instruction.rstrip()
    if not added:
        return text
    gap = " " if "\n" not in text and text.endswith((".", "?", "!", "。", "？", "！")) else "\n"
    return f"{text}{gap}{' '.join(added)}"


def _fault(prompt: EvolvePrompt, draw: str) -> str | None:
    rng = dice("fault", draw, prompt.retry_reason, prompt.instruction)
    told = kind_of_reason(prompt.retry_reason)
    for demand in DEMANDS:
        threshold = rate(demand, prompt.method) * (RETRY_FACTOR if demand.kind == told else 1)
        if rng.random() < threshold:
            return demand.kind
    return None


def _reply(tongue: str, added: list[str], result: str, *, with_heading: bool) -> str:
    plan, execution = phrases.STEPS[phrases.spoken(tongue)]
    listed = "\n".join(f"{number}. {text}" for number, text in enumerate(added, 1))
    steps = (
        f"Step 1:\n#Methods List#:\n{listed}\n\n"
        f"Step 2:\n#Plan#:\n{plan}{' '.join(added)}\n\n"
        f"Step 3:\n#Rewritten Instruction#:\n{execution}{' '.join(added)}\n\n"
        "Step 4:\n"
    )
    return f"{steps}#Finally Rewritten Instruction#:\n{result}" if with_heading else f"{steps}{result}"


# --- Faults: each makes the result of a failed rewrite -----------------------------------------


def _unchanged(instruction: str, rng: Random) -> str:
    return instruction.strip()


def _decorated(instruction: str, rng: Random) -> str:
    return append(instruction, _said(rng.sample(phrases.DECORATIONS[_tongue(instruction)], 2), instruction))


def _contradictory(instruction: str, rng: Random) -> str:
    return append(instruction, _said(rng.choice(phrases.CONTRADICTIONS[_tongue(instruction)]), instruction))


def _leaked(instruction: str, rng: Random) -> str:
    return append(instruction, [rng.choice(phrases.LEAKS[_tongue(instruction)])])


def _answered(instruction: str, rng: Random) -> str:
    return plain_answer(instruction, rng)


def _asking(instruction: str, rng: Random) -> str:
    return rng.choice(phrases.ASKS[_tongue(instruction)])


def _switched(instruction: str, rng: Random) -> str:
    return phrases.SWITCHED[_tongue(instruction)]


RESULTS: dict[str | None, Callable[[str, Random], str]] = {
    "unchanged": _unchanged,
    "stagnant": _decorated,
    "unsolvable": _contradictory,
    "leaked": _leaked,
    "answered": _answered,
    "asks": _asking,
    "language": _switched,
}


def _without_a_part(instruction: str, rng: Random) -> str:
    """The instruction without one of its sentences, or without its first half where it is a single one."""
    pieces = sentences(instruction)
    full = [index for index, piece in enumerate(pieces) if len(words(piece)) > 1]
    if len(full) > 1:
        gone = rng.choice(full)
        return "".join(piece for index, piece in enumerate(pieces) if index != gone).strip()
    parts = instruction.split()
    return " ".join(parts[(len(parts) + 1) // 2 :])


def _tongue(instruction: str) -> str:
    return phrases.spoken(language(instruction))


def _said(chosen: Sequence[str], instruction: str) -> list[str]:
    return [speak(phrase, instruction) for phrase in chosen]
