"""Answers of several models to the same instructions, graded blind by the examiner of the main program.

Needs what the main program needs (requirements.txt). Replies are journaled beside the held-out file, so that the same
comparison again costs nothing.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from figures import table as table_of

sys.path.append(str(Path(__file__).resolve().parents[2]))
WORTH = {"right": 1.0, "partly": 0.5, "wrong": 0.0}


def check(examiner: Sequence[str]) -> None:
    """End the program with one line where the llm-config `examiner` (KEY=VALUE words) or its key cannot be used."""
    from utils.llm import check_keys

    with _in_one_line():
        check_keys(_config(examiner))


def table(
    held_out: Iterable[Mapping[str, Any]], answers: Mapping[str, Sequence[str]], examiner: Sequence[str], beside: str
) -> list[str]:
    """Grade `answers`, by model and in the order of the rows `held_out`; return lines that say what came of it.

    The journal is the file `beside` with another suffix. Rows of which any answer stays ungraded are left out.
    """
    with _in_one_line():
        grades = asyncio.run(_examined(list(held_out), list(answers.values()), examiner, beside))
    graded = [of_row for of_row in grades if all(value in WORTH for value in of_row)]
    lines = [
        f"answers of the tuned models, graded: {len(graded)} of {len(grades)} rows; right 1, partly ½, wrong 0 [95 %]"
    ]
    if graded:
        worth = {name: np.array([[WORTH[of_row[place]] for of_row in graded]]) for place, name in enumerate(answers)}
        lines += table_of(worth, np.ones(len(graded)), next(iter(answers)))
    for place, name in enumerate(answers):
        counts = Counter(of_row[place] or "ungraded" for of_row in grades)
        lines.append(f"  {name}: {', '.join(f'{value} {count}' for value, count in counts.most_common())}")
    return lines


async def _examined(
    rows: list[Mapping[str, Any]], answers: list[Sequence[str]], examiner: Sequence[str], beside: str
) -> list[tuple[str | None, ...]]:
    """Return for each row the grades of its answers, in the order of the models; None for one that stays ungraded."""
    from analyzer import examine
    from utils.llm.journal import Journal
    from utils.llm.ledger import Ledger
    from utils.run.context import open_context
    from utils.schema import Answer, Message, SeedInstruction, Trajectory

    cases = {}
    for number, (row, *of_row) in enumerate(zip(rows, *answers, strict=True), start=1):
        context = tuple(Message(**turn) for turn in row.get("context") or ())
        asked = Trajectory(SeedInstruction(number, row["instruction"], context=context))
        cases[number] = [Answer(asked, text) for text in of_row]
    with closing(Journal(Path(beside).with_suffix(".grades.sqlite"))) as journal:
        async with open_context(_config(examiner), journal, Ledger()) as ctx:
            grades = await examine(ctx.optim, cases, "compare")
    return [tuple(grade.value for grade in grades[number]) for number in cases]


def _config(examiner: Sequence[str]) -> Any:
    from utils.command.arguments import parse_arguments
    from utils.process.environment import load_environment

    flags = ("--evol-llm-config", *examiner, "--optim-llm-config", *examiner)  # the former is opened, but not asked
    config = parse_arguments(["--data-path", "-", *flags])
    load_environment(config.key_variables)
    return config


@contextmanager
def _in_one_line() -> Iterator[None]:
    from utils.errors import AutoEvolError

    try:
        yield
    except AutoEvolError as exc:
        sys.exit(f"error: {exc}")
