"""The pairwise judge: which of two rewrites of one seed is the better harder version.

It tells methods apart whose failure rates are equal.
"""

from collections.abc import Collection, Sequence
from random import Random

from analyzer.asking import ask_about
from analyzer.cases import context_lines, joined, shown
from utils.concurrency import gather_or_cancel
from utils.llm import LLM
from utils.llm.replies import read_comparison
from utils.prompts import case_block, fill, user
from utils.schema import Completion, Trajectory

PAIRS_PER_CALL = 10

Pair = tuple[Trajectory, Trajectory]  # the incumbent's and the candidate's trajectory of one seed


async def compare(llm: LLM, pairs: Sequence[Pair], order_seed: str) -> int:
    """Count the pairs that the candidate wins minus those that it loses; ties and unreadable cases count for neither.

    Which rewrite stands first is drawn per row from `order_seed` and the seed's id, not from the order of calls.
    """
    groups = [pairs[start : start + PAIRS_PER_CALL] for start in range(0, len(pairs), PAIRS_PER_CALL)]
    return sum(await gather_or_cancel(*(_compare_group(llm, group, order_seed) for group in groups)))


async def _compare_group(llm: LLM, pairs: Sequence[Pair], order_seed: str) -> int:
    blocks, candidate_place = {}, {}
    for case_id, (incumbent, candidate) in enumerate(pairs, start=1):
        candidate_first = Random(f"{order_seed}:{incumbent.seed.id}").random() < 0.5
        candidate_place[case_id] = "first" if candidate_first else "second"
        first, second = (candidate, incumbent) if candidate_first else (incumbent, candidate)
        lines = [("Seed", incumbent.seed.text), ("First", first.final), ("Second", second.final)]
        shown_lines = [(name, shown(text)) for name, text in lines]
        blocks[case_id] = case_block(case_id, [*context_lines(incumbent.seed), *shown_lines])

    async def ask(case_ids: Collection[int], draw: int) -> Completion:
        cases = joined(blocks[case_id] for case_id in case_ids)
        return await llm.complete("compare", user(fill("compare", cases=cases)), draw)

    better, _ = await ask_about(blocks, ask, read_comparison, tries=1)
    return sum(1 if place == candidate_place[case_id] else -1 for case_id, place in better.items() if place != "tie")
