"""Is the judge worth its calls? Two independent readings of the same rewrites, several group sizes, swapped pairs.

    python -m bench.judge FOLDER --data-path SEEDS.jsonl --rows 20 --method learned=best_method.txt \\
        --llm model=... base_url=... [--reader model=... base_url=...]

Each row is rewritten by every method: `bad` (add three adjectives), `initial`, and those given. Then, blind to the
method and shuffled: the judge in groups of 1, 5, 10 and 20; the judge again over other groups of ten; a second reader
with a prompt of its own (bench/second_reading.txt); and the pairwise judge on initial against each given method, in
both orders. All completions are journaled in FOLDER: run it again and only what is missing is asked for.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from string import Template

from analyzer import judge
from bench.harness import table
from evolver import evolve, initial_method
from utils.concurrency import gather_or_cancel
from utils.llm import JournaledLLM, OpenAIEndpoint
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.llm.limits import Gate, Window
from utils.llm.replies import read_comparison
from utils.llm_config import LLMConfig
from utils.prompts import case_block, fill, user
from utils.schema import Method, SeedInstruction, Trajectory
from validator.rules import first_rewrite_rule

BAD = Method(
    "Step 1: Under #Plan#, choose three adjectives.\nStep 2: Insert the three adjectives into the instruction, change "
    "nothing else, and give the result under #Finally Rewritten Instruction#.",
    origin="bad",
)
SECOND = Template((Path(__file__).parent / "second_reading.txt").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Item:
    """One rewrite, and the name of the method that made it, which no reader is told."""

    method: str
    trajectory: Trajectory


def chunks(items: Sequence[Item], size: int, order: str) -> list[list[Item]]:
    """Return the items in groups of at most `size`, shuffled in a way that `order` alone decides."""
    shuffled = sorted(items, key=lambda item: Random(f"{order}:{item.method}:{item.trajectory.seed.id}").random())
    return [list(shuffled[start : start + size]) for start in range(0, len(shuffled), size)]


async def judged(llm: JournaledLLM, items: Sequence[Item], size: int, order: str) -> dict[Item, bool | None]:
    """Tell whether the judge, in groups of `size`, finds each rewrite faulty; None where its reply was unreadable."""

    async def of_group(group: list[Item]) -> dict[Item, bool | None]:
        findings = await judge(llm, {number: item.trajectory for number, item in enumerate(group, start=1)})
        labels = [findings[number].labels for number in range(1, len(group) + 1)]
        return {item: None if label is None else bool(label) for item, label in zip(group, labels, strict=True)}

    return {
        item: bad
        for part in await gather_or_cancel(*map(of_group, chunks(items, size, order)))
        for item, bad in part.items()
    }


async def second_reading(llm: JournaledLLM, items: Sequence[Item]) -> dict[Item, bool | None]:
    """Tell whether a second reader, with another prompt, rejects each rewrite; None where its reply was unreadable."""

    async def of_group(group: list[Item]) -> dict[Item, bool | None]:
        shown = "\n\n".join(
            f"[{number}]\nSeed: {item.trajectory.seed.text}\nVersion: {item.trajectory.final}"
            for number, item in enumerate(group, start=1)
        )
        completion = await llm.complete("judge", user(SECOND.substitute(items=shown)))
        found = dict(re.findall(r'"item":\s*(\d+),\s*"accept":\s*(true|false)', completion.text))
        verdicts = {"true": False, "false": True}
        return {item: verdicts.get(found.get(str(number), "")) for number, item in enumerate(group, start=1)}

    parts = await gather_or_cancel(*map(of_group, chunks(items, 10, "second")))
    return {item: bad for part in parts for item, bad in part.items()}


async def compared(llm: JournaledLLM, pairs: Sequence[tuple[Item, Item]], swap: bool) -> dict[int, str | None]:
    """Return who wins, by position of the pair: a method's name, `tie`, or None where the reply was unreadable.

    `swap` shows the second of each pair first.
    """
    winners: dict[int, str | None] = {}
    for start in range(0, len(pairs), 10):
        group = [(b, a) if swap else (a, b) for a, b in pairs[start : start + 10]]
        blocks = [
            case_block(
                n, [("Seed", a.trajectory.seed.text), ("First", a.trajectory.final), ("Second", b.trajectory.final)]
            )
            for n, (a, b) in enumerate(group, start=1)
        ]
        completion = await llm.complete("compare", user(fill("compare", cases="\n\n".join(blocks))))
        better = read_comparison(completion.text, len(group))
        names = {"first": 0, "second": 1}
        for number, pair in enumerate(group, start=1):
            verdict = better.get(number)
            winners[start + number - 1] = pair[names[verdict]].method if verdict in names else verdict
    return winners


def save(path: Path, by_name: dict[str, dict[Item, bool | None]]) -> None:
    """Write the readings to the file `path`, by method and row, so that other runs can compare theirs (`--against`)."""
    named = {n: {f"{i.method}:{i.trajectory.seed.id}": bad for i, bad in r.items()} for n, r in by_name.items()}
    path.write_text(json.dumps(named, indent=1), encoding="utf-8")


def saved(path: Path) -> dict[str, dict[str, bool | None]]:
    """Read the readings that a run has saved in the folder `path`."""
    return json.loads((path / "readings.json").read_text(encoding="utf-8"))


def load(path: Path, name: str, items: Sequence[Item]) -> dict[Item, bool | None]:
    """Read the reading `name` of the run in the folder `path`, over the same rewrites; None for an item without one."""
    reading = saved(path)[name]
    return {item: reading.get(f"{item.method}:{item.trajectory.seed.id}") for item in items}


def kappa(one: dict[Item, bool | None], other: dict[Item, bool | None]) -> tuple[float, float, int]:
    """Return the share of agreement, Cohen's kappa, and the number of items that both have judged (at least one)."""
    both = [(one[item], other[item]) for item in one if one[item] is not None and other.get(item) is not None]
    agree = sum(a == b for a, b in both) / len(both)
    first, second = (sum(pair[side] for pair in both) / len(both) for side in (0, 1))
    chance = first * second + (1 - first) * (1 - second)
    return agree, (agree - chance) / (1 - chance) if chance < 1 else 1.0, len(both)


async def study(options: argparse.Namespace, llm: JournaledLLM, reader: JournaledLLM) -> None:
    lines = options.data_path.read_text(encoding="utf-8").splitlines()
    rows = [SeedInstruction(number, json.loads(line)["instruction"]) for number, line in enumerate(lines)]
    rows = Random("study").sample(rows, options.rows)
    given = [Method(Path(path).read_text(encoding="utf-8").strip(), name) for name, path in options.method]
    methods = [BAD, initial_method(), *given]
    works = [evolve(llm, row, lambda *_, m=m: m, 1, lambda *_: None) for m in methods for row in rows]
    origins = [method.origin for method in methods for _ in rows]
    made = [Item(origin, t) for origin, t in zip(origins, await gather_or_cancel(*works), strict=True)]
    items = [item for item in made if item.trajectory.stages]

    readings = await gather_or_cancel(
        *(judged(llm, items, size, f"size {size}") for size in options.sizes),
        judged(llm, items, 10, "again"),
        second_reading(reader, items),
    )
    names = [*(f"judge, groups of {size}" for size in options.sizes), "judge, 10, other groups", "second reader"]
    by_name = dict(zip(names, readings, strict=True))
    save(options.folder / "readings.json", by_name)
    by_rules = {i: first_rewrite_rule(i.trajectory.seed.text, i.trajectory.final) is not None for i in items}
    shown = []
    for name, reading in {"rules": by_rules, **by_name}.items():
        shares = [
            [bool(bad) for item, bad in reading.items() if item.method == m.origin and bad is not None] for m in methods
        ]
        shown.append([name, *(f"{sum(share)}/{len(share)}" for share in shares)])
    table(f"Rewrites found faulty ({len(items)} read by each)", ("reading", *(m.origin for m in methods)), shown)

    reference = by_name["second reader"]
    pairs = [(name, "second reader", *kappa(by_name[name], reference)) for name in names[:-1]]
    if 10 in options.sizes:
        pairs.append((names[-2], "groups of 10", *kappa(by_name[names[-2]], by_name["judge, groups of 10"])))
    pairs += [(name, f"the same of {path}", *kappa(reading, load(path, name, items)))
              for path in options.against for name, reading in by_name.items() if name in saved(path)]  # fmt: skip
    shown = [[a, b, f"{agree:.0%}", f"{k:.2f}", n] for a, b, agree, k, n in pairs]
    table("Agreement", ("reading", "against", "agree", "kappa", "rewrites"), shown)

    for method in given:
        of = {(item.method, item.trajectory.seed.id): item for item in items}
        duels = [(of["initial", row.id], of[method.origin, row.id]) for row in rows
                 if ("initial", row.id) in of and (method.origin, row.id) in of]  # fmt: skip
        straight, swapped = await gather_or_cancel(compared(reader, duels, False), compared(reader, duels, True))
        wins = {
            name: sum(w == name for w in [*straight.values(), *swapped.values()])
            for name in ("initial", method.origin, "tie")
        }
        same = sum(straight[n] == swapped[n] for n in straight)
        rows_shown = [[wins["initial"], wins[method.origin], wins["tie"], f"{same}/{len(duels)}"]]
        table(
            "Pairwise, both orders", ("initial wins", f"{method.origin} wins", "ties", "same when swapped"), rows_shown
        )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-path", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 5, 10, 20], help="group sizes of the judge")
    parser.add_argument("--against", type=Path, nargs="+", default=[], help="folders of other runs, by other readers")
    parser.add_argument("--method", type=lambda text: text.split("=", 1), action="append", default=[])
    parser.add_argument("--llm", nargs="+", required=True)
    parser.add_argument("--reader", nargs="+")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    journal, ledger, gate = Journal(options.folder / "journal.sqlite"), Ledger(), Gate(60)

    def opened(words: Sequence[str]) -> JournaledLLM:
        config = LLMConfig(**dict(word.split("=", 1) for word in words))
        return JournaledLLM(OpenAIEndpoint(config, gate, [Window(60)], ledger), config, journal, ledger)

    llm = opened(options.llm)
    reader = opened(options.reader) if options.reader else llm
    try:
        await study(options, llm, reader)
    finally:
        await llm.close()
        if reader is not llm:
            await reader.close()
        journal.close()


if __name__ == "__main__":
    asyncio.run(main())
