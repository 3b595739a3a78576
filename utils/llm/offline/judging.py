"""The judging and comparing stages: faults found from the texts alone, mostly right."""

import json
from random import Random

from utils.llm.offline import phrases
from utils.llm.offline.answering import OPENINGS, contradicts_itself
from utils.llm.offline.demands import BY_KIND
from utils.llm.offline.reading import Case, dice, read_cases
from utils.llm.offline.wording import language, sentences, words
from utils.schema import Request

MISSED = 0.05  # share of faulty rewrites that pass
FALSE_ALARM = 0.01  # share of sound rewrites that are found faulty
SLIP = 0.01  # share of replies that forget a case, and of replies in a fence
WHIM = 0.04  # share of pairs where the other rewrite is preferred
TIE = 0.5  # share of equal pairs that are called a tie
LONG = 4_000  # characters
KEPT = 0.7  # share of a sentence's words that must still be there

NOTES = {
    "stagnant": "only tone, length or format is asked for in addition",
    "unsolvable": "demands contradict each other or refer to something that is not there",
    "lost": "a part of the original instruction is missing",
    "leaked": "a remark in brackets gives the result away",
    "unchanged": "nothing was added",
    "answered": "this is an answer, not an instruction",
    "asks": "asks the reader for input instead of giving a task",
    "language": "the language changed, and the task with it",
}


def judge(request: Request) -> str:
    """The JSON that the judging prompt asks for: labels and a note for every case."""
    prompt = request.messages[-1].content
    entries = [_judged(case, request.draw) for case in read_cases(prompt)]
    return _as_json(entries, dice("slips", request.draw, prompt))


def compare(request: Request) -> str:
    """The JSON that the comparing prompt asks for: first, second or tie for every case."""
    prompt = request.messages[-1].content
    entries = [_compared(case, request.draw) for case in read_cases(prompt)]
    return _as_json(entries, dice("slips", request.draw, prompt))


def equality(request: Request) -> str:
    """The JSON that the equality prompt asks for: a rewrite that adds nothing, or only ornament, is equal."""
    prompt = request.messages[-1].content
    entries = [_equated(case) for case in read_cases(prompt)]
    return _as_json(entries, dice("slips", request.draw, prompt))


def faults(before: str, after: str) -> tuple[str, ...]:
    """Kinds of failure (`demands.DEMANDS`) that show in a rewrite; none for a sound one."""
    before, after = before.strip(), after.strip()
    tongue = phrases.spoken(language(before))
    if before == after:
        return ("unchanged",)
    if after in phrases.ASKS[tongue]:
        return ("asks",)
    if any(after.startswith(opening.partition("{")[0]) for opening in OPENINGS[tongue]):
        return ("answered",)
    if language(before) != language(after) and before not in after:
        return ("language",)
    return tuple(kind for kind, shows in (
        ("unsolvable", contradicts_itself(after, tongue) and not contradicts_itself(before, tongue)),
        ("leaked", any(leak in after and leak not in before for leak in phrases.LEAKS[tongue])),
        ("lost", before not in after and _lacks(before, after)),
        ("stagnant", _only_decorates(before, after, tongue)),
    ) if shows)  # fmt: skip


def added(before: str, after: str) -> list[str]:
    """The sentences of three words or more that stand in `after` alone, in order, each once."""
    known = {piece.strip() for piece in sentences(before)}
    new = dict.fromkeys(piece.strip() for piece in sentences(after))
    return [piece for piece in new if piece not in known and len(words(piece)) > 2]


def _lacks(before: str, after: str) -> bool:
    """Whether many words of some sentence are gone. Of a long text, which may be shown cut, the whole counts."""
    there = set(words(after))
    needed = (set(words(piece)) for piece in (sentences(before) if len(before) < LONG else [before]))
    return any(len(wanted & there) < KEPT * len(wanted) for wanted in needed if wanted)


def _only_decorates(before: str, after: str, tongue: str) -> bool:
    new = added(before, after)
    return bool(new) and all(_is_decoration(piece, tongue) for piece in new)


def _is_decoration(piece: str, tongue: str) -> bool:
    return piece.startswith(tuple(phrases.stem(phrase) for phrase in phrases.DECORATIONS[tongue]))


def _judged(case: Case, draw: str) -> dict[str, object]:
    stages = case.stages or ("", "")
    rng = dice("judge", draw, stages[0], stages[-1])
    kinds = () if case.text("Aim") else faults(stages[0], stages[-1])
    if rng.random() < (MISSED if kinds else FALSE_ALARM):
        kinds = () if kinds else (rng.choice(("stagnant", "unsolvable")),)
    labels = list(dict.fromkeys(BY_KIND[kind].label for kind in kinds)) or ["ok"]
    return {"case_id": case.id, "labels": labels, "note": "; ".join(NOTES[kind] for kind in kinds)}


def _equated(case: Case) -> dict[str, object]:
    before, after = case.stages or ("", "")
    return {"case_id": case.id, "equal": bool({"unchanged", "stagnant"} & set(faults(before, after)))}


def _compared(case: Case, draw: str) -> dict[str, object]:
    better = _better(case.text("Seed"), case.text("First"), case.text("Second"), draw)
    return {"case_id": case.id, "better": better}


def _better(seed: str, first: str, second: str, draw: str) -> str:
    """Which rewrite is the better harder one; the order in which they are shown sways few pairs."""
    worth_first, worth_second = _worth(seed, first), _worth(seed, second)
    pair = dice("pair", draw, seed, *sorted((first, second)))
    if worth_first == worth_second and (first == second or pair.random() < TIE):
        return "tie"
    if worth_first == worth_second:
        smaller_wins = pair.random() < 0.5
        first_wins = (first < second) == smaller_wins
    else:
        first_wins = worth_first > worth_second
    if dice("order", draw, seed, first, second).random() < WHIM:
        first_wins = not first_wins
    return "first" if first_wins else "second"


def _worth(seed: str, rewrite: str) -> tuple[bool, int]:
    tongue = phrases.spoken(language(seed))
    real = sum(not _is_decoration(piece, tongue) for piece in added(seed, rewrite))
    return not faults(seed, rewrite), real


def _as_json(entries: list[dict[str, object]], rng: Random) -> str:
    if len(entries) > 1 and rng.random() < SLIP:
        entries.pop(rng.randrange(len(entries)))
    text = json.dumps({"cases": entries}, ensure_ascii=False)
    return f"```json\n{text}\n```" if rng.random() < SLIP else text
