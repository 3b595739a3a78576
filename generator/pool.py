"""Evol-Instruct's pool: every generation is a row of its own (WizardLM, arXiv 2304.12244, section 3).

An eliminated instruction stays in the pool as its parent and is tried again next round, with an
operation drawn anew. The rewriting itself is `run_group`, as for a learned method: to it, the member of
the pool is the seed of this round.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from generator.group import Roles, run_group
from utils.schema import RowOutcome, SeedInstruction, Trajectory


async def run_pool(
    seeds: Sequence[SeedInstruction], roles_of: Callable[[int], Roles], generations: int, attempts: int
) -> list[RowOutcome]:
    """Return the outcome of each seed in each generation, round by round; `roles_of` takes the generation, from 1."""
    pool = [Trajectory(seed) for seed in seeds]
    outcomes: list[RowOutcome] = []
    for generation in range(1, generations + 1):
        parents = [replace(member.seed, text=member.final, reference=None) for member in pool]
        grown = await run_group(parents, roles_of(generation), attempts)
        outcomes += map(_graft, pool, grown, [generation] * len(pool))
        pool = [o.trajectory if o.verdict.passed else m for m, o in zip(pool, outcomes[-len(pool) :], strict=True)]
    return outcomes


def _graft(member: Trajectory, grown: RowOutcome, generation: int) -> RowOutcome:
    """Return the outcome of one round as part of the member's whole trajectory."""
    stages = (*member.stages, *grown.trajectory.stages)
    trajectory = replace(grown.trajectory, seed=member.seed, stages=stages)
    return replace(grown, trajectory=trajectory, generation=generation)
