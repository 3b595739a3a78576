"""The exploring stage: sub-tasks and instructions from ready-made parts, in the language of the domain.

A name that the tree has already, a near-duplicate of an instruction and a reply that cannot be read come now and then,
as they do with a real LLM. The parts know nothing of the domain but its name.
"""

import json
from collections.abc import Sequence
from itertools import cycle, islice
from random import Random

from utils.llm.offline import phrases
from utils.llm.offline.explore_phrases import (
    ACTIVITIES,
    ASPECTS,
    CONDITIONS,
    NO_INSTRUCTIONS,
    NO_SUBTASKS,
    ORDERS,
    REASONS,
    SITUATIONS,
)
from utils.llm.offline.reading import _after, dice
from utils.llm.offline.wording import language
from utils.schema import Request

DOMAIN = "\n## Domain\n\n"
ORDERED = ("\n## Lookahead\n", "\n## Backtracking\n")
TASK = "\n## Task\n"

DUPLICATE, UNREADABLE, NEAR_COPY = 0.15, 0.03, 0.06  # shares of sub-task replies, of all replies, of instructions


def explore(request: Request) -> str:
    """New sub-tasks as JSON or instructions under headings, whichever the prompt asks for."""
    prompt = request.messages[-1].content
    start = _after(prompt, DOMAIN, 0)
    domain = prompt[start:].partition("\n")[0]
    order = next((at for marker in ORDERED if (at := prompt.find(marker, start)) >= 0), None)
    if order is not None:
        return _subtasks(domain, prompt[start:order], prompt[order:], request.draw)
    return _instructions(domain, prompt[_after(prompt, TASK, start) - 1 :], request.draw)


def _subtasks(domain: str, tree: str, order: str, draw: str) -> str:
    tongue = phrases.spoken(language(domain))
    path = _path(order, domain)
    known = [line.removeprefix("- ").rpartition(" > ")[2] for line in tree.split("\n") if line.startswith("- ")]
    rng = dice("explore tasks", draw, domain, *path, *known)
    if rng.random() < UNREADABLE:
        return NO_SUBTASKS[tongue]
    names = _shuffled([name for name in _names(path, tongue) if name not in known], rng)
    names = names[: int(_line(order, "How many"))]
    if names and known and rng.random() < DUPLICATE:
        names[-1] = rng.choice(known)
    found = [{"task": name, "reason": rng.choice(REASONS[tongue])} for name in names]
    return json.dumps({"subtasks": found}, ensure_ascii=False)


def _names(path: list[str], tongue: str) -> list[str]:
    """Below the domain its aspects, below an aspect what can be done with it; deeper down nothing is left."""
    aspects = ASPECTS[tongue]
    if not path:
        return list(aspects)
    about = aspects.get(path[0]) if len(path) == 1 else None
    return [activity.replace("{it}", about) for activity in ACTIVITIES[tongue]] if about else []


def _instructions(domain: str, order: str, draw: str) -> str:
    tongue = phrases.spoken(language(domain))
    path = _path(order, domain)
    _, written, _ = order.partition("\n- ")
    rng = dice("explore instructions", draw, domain, *path, written)
    if rng.random() < UNREADABLE:
        return NO_INSTRUCTIONS[tongue]
    parts = zip(*(cycle(_shuffled(part[tongue], rng)) for part in (SITUATIONS, ORDERS, CONDITIONS)), strict=True)
    texts: list[str] = []
    for situation, wish, condition in islice(parts, int(_line(order, "How many"))):
        text = f"{situation} {wish} {condition}".replace("{task}", path[-1]).replace("{domain}", domain).strip()
        texts.append(texts[-1][:-1] + "!" if texts and rng.random() < NEAR_COPY else text)
    return "\n\n".join(f"#Instruction {number}#:\n{text}" for number, text in enumerate(texts, 1))


def _shuffled(items: Sequence[str], rng: Random) -> list[str]:
    return rng.sample(items, len(items))


def _path(order: str, domain: str) -> list[str]:
    """The names from below the domain down to the task."""
    return _line(order, "Task").removeprefix(domain).split(" > ")[1:]


def _line(text: str, name: str) -> str:
    """What stands behind `name: ` on a line of its own."""
    return text[_after(text, f"\n{name}: ", 0) :].partition("\n")[0]
