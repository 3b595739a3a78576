"""The examiner: grades answers, up to five instructions at a time, each with all answers to it side by side.

Rules see refusals and broken texts; whether an answer is right takes somebody who works it out.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from random import Random

from analyzer.asking import ask_about
from analyzer.cases import context_lines, joined, shown
from utils.concurrency import gather_or_cancel
from utils.llm import LLM
from utils.llm.replies import read_grades
from utils.prompts import case_block, fill, user
from utils.schema import Answer, Completion, Grade

log = logging.getLogger(__name__)

CASES_PER_CALL = 5


async def examine(llm: LLM, cases: Mapping[int, Sequence[Answer]], order_seed: str) -> dict[int, list[Grade]]:
    """Return the grades of the answers of each case, in their order, under the keys of `cases`, which count from 1.

    The examiner does not know who wrote which answer: their order is drawn per row from `order_seed` and the seed's
    id. A case that no reply grades readably is unscored, with a note that says why, never passed silently.
    """
    ids = iter(cases)
    parts = iter(lambda: list(islice(ids, CASES_PER_CALL)), [])
    graded = await gather_or_cancel(*(_examine(llm, {i: cases[i] for i in part}, order_seed) for part in parts))
    return {case_id: grades for part in graded for case_id, grades in part.items()}


async def _examine(llm: LLM, cases: Mapping[int, Sequence[Answer]], order_seed: str) -> dict[int, list[Grade]]:
    orders = {case_id: _order(answers, order_seed) for case_id, answers in cases.items()}

    async def ask(case_ids: Collection[int], draw: int) -> Completion:
        blocks = joined(_block(i, [cases[i][place] for place in orders[i]]) for i in case_ids)
        return await llm.complete("examine", user(fill("examine", cases=blocks)), draw)

    def read(reply: str, count: int) -> dict[int, tuple[Grade, ...]]:
        found = read_grades(reply, count).items()
        return {i: grades for i, grades in found if i in cases and len(grades) == len(cases[i])}

    found, unexamined = await ask_about(cases, ask, read)
    for case_id, why in unexamined.items():
        log.warning("the answer of row %d stays unexamined: %s", cases[case_id][0].trajectory.seed.id, why)
    shuffled = found | {i: (Grade(None, why),) * len(cases[i]) for i, why in unexamined.items()}
    return {i: [grade for _, grade in sorted(zip(orders[i], shuffled[i], strict=True), key=_place)] for i in cases}


def _order(answers: Sequence[Answer], order_seed: str) -> list[int]:
    """Draw in which order the answers of a case are shown: their places, as shown."""
    places = list(range(len(answers)))
    Random(f"{order_seed}:{answers[0].trajectory.seed.id}:examine").shuffle(places)
    return places


def _place(item: tuple[int, Grade]) -> int:
    return item[0]


def _block(case_id: int, answers: Sequence[Answer]) -> str:
    trajectory = answers[0].trajectory
    lines = [("Instruction", trajectory.final), *((f"Answer {n}", a.text) for n, a in enumerate(answers, start=1))]
    return case_block(case_id, [*context_lines(trajectory.seed), *((name, shown(text)) for name, text in lines)])
