"""The unit that flows is a group of ten rows, fixed by row order.

Evolve them all, judge them in one call, answer those that passed, apply the rules, and begin again with
those that failed while attempts last. Groups know nothing of each other, so many are under way at once
and nothing depends on timing.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from utils.concurrency import gather_or_cancel
from utils.schema import Answer, Finding, RowOutcome, SeedInstruction, Trajectory, Verdict

GROUP_SIZE = 10
Groups = Iterable[Sequence[SeedInstruction]]


@dataclass(frozen=True, slots=True)
class Roles:
    """What a group needs of the other roles, as capabilities. `judge` None means rules alone.

    `evolve` takes the seed, why the former attempt was rejected, and the attempt's number, from 0; `answer` takes the
    trajectory and that number.
    """

    evolve: Callable[[SeedInstruction, str, int], Awaitable[Trajectory]]
    judge: Callable[[Mapping[int, Trajectory]], Awaitable[dict[int, Finding]]] | None
    answer: Callable[[Trajectory, int], Awaitable[Answer]]
    check_finding: Callable[[Finding | None], Verdict]
    check_answer: Callable[[Answer], Verdict]
    explain: Callable[[str, str], str]


def groups_of_ten(seeds: Iterable[SeedInstruction]) -> Iterator[list[SeedInstruction]]:
    """Yield seeds in their order, ten at a time; the last group may be smaller."""
    iterator = iter(seeds)
    while group := list(islice(iterator, GROUP_SIZE)):
        yield group


async def run_group(seeds: Sequence[SeedInstruction], roles: Roles, attempts: int) -> list[RowOutcome]:
    """Return one outcome per seed, in their order; a failed row is tried again, told why, `attempts` times in all."""
    outcomes: dict[int, RowOutcome] = {}
    pending = dict(enumerate(seeds, start=1))  # by position in the group, which is the judge's case_id
    for number in range(1, attempts + 1):
        outcomes |= await _attempt(pending, outcomes, roles, number)
        pending = {position: seed for position, seed in pending.items() if outcomes[position].verdict.failed}
        if not pending:
            break
    return [outcomes[position] for position in sorted(outcomes)]


async def _attempt(
    pending: Mapping[int, SeedInstruction], former: Mapping[int, RowOutcome], roles: Roles, number: int
) -> dict[int, RowOutcome]:
    evolved = await gather_or_cancel(
        *(roles.evolve(seed, _reason(former.get(position), roles), number - 1) for position, seed in pending.items())
    )
    trajectories = dict(zip(pending, evolved, strict=True))
    to_judge = {position: t for position, t in trajectories.items() if t.stages and not t.stopped}
    findings = await roles.judge(to_judge) if roles.judge and to_judge else {}
    outcomes = await gather_or_cancel(
        *(_finish(trajectory, findings.get(position), roles, number) for position, trajectory in trajectories.items())
    )
    return dict(zip(trajectories, outcomes, strict=True))


async def _finish(trajectory: Trajectory, finding: Finding | None, roles: Roles, number: int) -> RowOutcome:
    """Answer a rewrite unless it has failed already: answers are the longest calls."""
    verdict = trajectory.stopped or roles.check_finding(finding)
    if verdict.failed or trajectory.stopped:
        return RowOutcome(trajectory, verdict, finding, None, number)
    answer = await roles.answer(trajectory, number - 1)
    checked = roles.check_answer(answer)
    return RowOutcome(trajectory, verdict if checked.passed else checked, finding, answer, number)


def _reason(former: RowOutcome | None, roles: Roles) -> str:
    """Say why the former attempt was rejected; empty for a first attempt."""
    if former is None or not former.verdict.reason:
        return ""
    return roles.explain(former.verdict.reason, former.finding.note if former.finding else "")
