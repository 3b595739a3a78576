"""The calls that write: evolve an instruction, respond to one, explore a domain.

Which row fails depends on row, draw and retry alone; the method only moves the threshold. So a method with one guard
more fails on a subset of the rows, and candidates are compared without noise of their own.
"""

import json
from random import Random

from utils.llm.offline import phrases
from utils.llm.offline.failures import FAILURES, Failure, rate
from utils.llm.offline.reading import EvolvePrompt, dice, field, language, read_evolve, sentences, split, tongue, words
from utils.llm_config import OFFLINE_WEAK
from utils.schema import Request

POOR = 0.012  # share of answers that are of no use
UNREADABLE = 0.03  # share of replies to an exploration that cannot be read
QUOTED = 40  # characters of an instruction that an answer quotes


def evolve(request: Request) -> str:
    """Return a reply in the format of the paper (Auto Evol-Instruct, arXiv 2406.00770, section 3)."""
    text = request.messages[-1].content
    prompt = read_evolve(text)
    rng = dice("evolve", request.draw, *prompt)
    if text.startswith("You write new instructions."):  # prompts/evolve_breadth.txt
        return _reply([], _another(prompt.instruction, rng))
    added, failure = demands(prompt.instruction, rng), _failure(prompt, request.draw)
    if failure and failure.kind == "unreadable":
        return "\n".join(added)
    sound = append(prompt.instruction, added)
    return _reply(added, _failed(failure, prompt.instruction, added, rng) if failure else sound)


def _failure(prompt: EvolvePrompt, draw: str) -> Failure | None:
    """Choose what goes wrong with this row; None where nothing does."""
    rng, retried = dice("fault", draw, prompt.retry_reason, prompt.instruction), bool(prompt.retry_reason)
    chances = [(failure, rng.random()) for failure in FAILURES]
    return next((f for f, chance in chances if chance < rate(f, prompt.method, retried=retried)), None)


def _failed(failure: Failure, instruction: str, added: list[str], rng: Random) -> str:
    if failure.kind == "lost":
        return append(_without_a_part(instruction, rng), added)
    said = speak(failure.said(instruction), instruction)
    return said if failure.alone else append(instruction, [said])


def demands(instruction: str, rng: Random) -> list[str]:
    """Choose what a sound rewrite adds: new to the instruction, in its register, and in Korean or else in English."""
    if language(instruction) == "other":
        return [rng.choice([text for text in phrases.SHORT_DEMANDS if text not in instruction] or ["Why?"])]
    whats, hows = phrases.WHATS[tongue(instruction)], phrases.HOWS[tongue(instruction)]
    new = [what for what in whats if what not in instruction]
    pairs = zip(rng.sample(new if len(new) > 1 else whats, 2), rng.sample(hows, 2), strict=True)
    return [speak(how.format(what), instruction) for what, how in pairs]


def speak(phrase: str, instruction: str) -> str:
    """Return a phrase in the register of the instruction: polite if its first or last line is."""
    lines = (instruction.partition("\n")[0], instruction)
    polite = any(line.rstrip(' .?!\n")').endswith(("요", "까", "줘", "니다")) for line in lines)
    return phrase.replace("~", "해 주세요" if polite else "하시오")


def append(instruction: str, added: list[str]) -> str:
    """Put sentences behind the instruction: on its line if it is one line and a full sentence, else on a new one."""
    text = instruction.rstrip()
    gap = " " if "\n" not in text and text.endswith((".", "?", "!", "。", "？", "！")) else "\n"
    return f"{text}{gap}{' '.join(added)}".rstrip()


def _without_a_part(instruction: str, rng: Random) -> str:
    """Return the instruction without one of its sentences, or without its first half where it is a single one."""
    pieces = sentences(instruction)
    full = [index for index, piece in enumerate(pieces) if len(words(piece)) > 1]
    if len(full) > 1:
        gone = rng.choice(full)
        return "".join(piece for index, piece in enumerate(pieces) if index != gone).strip()
    parts = instruction.split()
    return " ".join(parts[(len(parts) + 1) // 2 :])


def _another(instruction: str, rng: Random) -> str:
    """Return a new instruction about some words of the given one."""
    found = [word for word in words(instruction) if len(word) > 1] or ["x"]
    about = ", ".join(dict.fromkeys(rng.choices(found, k=7)))
    return rng.choice(phrases.ANOTHER[tongue(instruction)]).format(about)


def _reply(added: list[str], result: str) -> str:
    listed, plan = "\n".join(f"- {text}" for text in added), " ".join(added)
    steps = f"Step 1:\n#Methods List#:\n{listed}\n\nStep 2:\n#Plan#:\n{plan}\n\nStep 3:\n"
    return f"{steps}#Finally Rewritten Instruction#:\n{result}"


def respond(request: Request) -> str:
    """Return a short answer to the instruction, which is the whole last message; now and then one of no use.

    The weak model writes the first paragraph of it alone.
    """
    instruction = request.messages[-1].content
    rng = dice("respond", request.draw, instruction)
    if rng.random() < POOR:
        return rng.choice(phrases.POOR_ANSWERS[tongue(instruction)])
    line = instruction.lstrip()[: 2 * QUOTED].partition("\n")[0].strip(" .?!")
    about = line if len(line) <= QUOTED else f"{line[:QUOTED].rpartition(' ')[0] or line[:QUOTED]} …"
    text = rng.choice(phrases.ANSWERS[tongue(instruction)]).format(about)
    return text.partition("\n\n")[0] if request.model == OFFLINE_WEAK else text


def explore(request: Request) -> str:
    """Return new sub-tasks as JSON or instructions under headings, as the prompt asks; now and then neither."""
    text = split(request.messages[-1].content, "\n## Domain\n\n")[1]
    domain = text.partition("\n")[0]
    marker = next((found for found in ("\n## Lookahead\n", "\n## Backtracking\n") if found in text), None)
    known, order = split(text, marker or "\n## Task\n")
    path = field(f"\n{order}", "Task").removeprefix(domain).split(" > ")[1:]
    count, rng = int(field(order, "How many")), dice("explore", request.draw, text)
    if rng.random() < UNREADABLE:
        return rng.choice(phrases.POOR_ANSWERS[tongue(domain)])
    return _subtasks(domain, path, known, count, rng) if marker else _instructions(domain, path, count, rng)


def _subtasks(domain: str, path: list[str], known: str, count: int, rng: Random) -> str:
    """Return JSON of new sub-tasks: aspects below the domain, what can be done with one below an aspect, then none."""
    names = {0: phrases.ASPECTS, 1: phrases.ACTIVITIES}.get(len(path), {}).get(tongue(domain), ())
    there = [line.removeprefix("- ").rpartition(" > ")[2] for line in known.split("\n") if line.startswith("- ")]
    new = [name for name in (name.format(*path) for name in names) if name not in there]
    found = rng.sample(new, min(count, len(new)))
    subtasks = [{"task": name, "reason": phrases.REASON[tongue(domain)]} for name in found]
    return json.dumps({"subtasks": subtasks}, ensure_ascii=False)


def _instructions(domain: str, path: list[str], count: int, rng: Random) -> str:
    orders = phrases.ORDERS[tongue(domain)]
    asked = [order.format(": ".join((domain, *path[-1:]))) for order in rng.sample(orders, len(orders))]
    texts = [append(order, demands(order, rng)) for order in (asked * count)[:count]]
    return "\n\n".join(f"#Instruction {number}#:\n{text}" for number, text in enumerate(texts, 1))
