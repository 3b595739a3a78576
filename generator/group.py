"""The unit that flows is a group of ten rows, fixed by row order.

Evolve them all, judge them in one call, answer those that passed, examine the answers in two calls, apply the rules,
and begin again with those that failed while attempts last. Groups know nothing of each other, so many are under way at
once and nothing depends on timing.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from generator.answering import Answering, answer_all
from utils.concurrency import gather_or_cancel
from utils.schema import Answers, Finding, FirstAttempt, RowOutcome, SeedInstruction, Trajectory, Verdict

GROUP_SIZE = 10
Groups = Iterable[Sequence[SeedInstruction]]


@dataclass(frozen=True, slots=True)
class Roles:
    """What a group needs of the other roles, as capabilities. `judge` None means rules alone.

    `evolve` takes the seed, why the former attempt was rejected, and the attempt's number, from 0. `first_attempt`
    says what a first attempt shows of the method.
    """

    evolve: Callable[[SeedInstruction, str, int], Awaitable[Trajectory]]
    judge: Callable[[Mapping[int, Trajectory]], Awaitable[dict[int, Finding]]] | None
    answering: Answering
    check_finding: Callable[[Finding | None], Verdict]
    check_answers: Callable[[Answers], Verdict]
    first_attempt: Callable[[RowOutcome], FirstAttempt]
    explain: Callable[[RowOutcome], str]


def groups_of_ten(seeds: Iterable[SeedInstruction]) -> Iterator[list[SeedInstruction]]:
    """Yield seeds in their order, ten at a time; the last group may be smaller."""
    iterator = iter(seeds)
    while group := list(islice(iterator, GROUP_SIZE)):
        yield group


async def run_group(seeds: Sequence[SeedInstruction], roles: Roles, attempts: int) -> list[RowOutcome]:
    """Return one outcome per seed, in their order.

    A row that failed, or whose answer is only partly right, is tried again, told why, `attempts` times in all; what is
    better is kept.
    """
    outcomes: dict[int, RowOutcome] = {}
    pending = dict(enumerate(seeds, start=1))  # by position in the group, which is the judge's case_id
    for number in range(1, attempts + 1):
        for position, tried in (await _attempt(pending, outcomes, roles, number)).items():
            former = outcomes.get(position)
            outcomes[position] = _better(former, tried) if former else _first(tried, roles)
        pending = {position: seed for position, seed in pending.items() if _to_be_better(outcomes[position])}
        if not pending:
            break
    return [outcomes[position] for position in sorted(outcomes)]


def _to_be_better(outcome: RowOutcome) -> bool:
    return outcome.verdict.failed or outcome.partly


def _first(tried: RowOutcome, roles: Roles) -> RowOutcome:
    return replace(tried, first=roles.first_attempt(tried))


def _better(former: RowOutcome, tried: RowOutcome) -> RowOutcome:
    """Return the better of two attempts at a row: a former one that passed gives way to none but a better answer."""
    if former.verdict.failed or (tried.verdict.passed and not tried.partly):
        return replace(tried, first=former.first)
    return replace(former, attempts=tried.attempts)


async def _attempt(
    pending: Mapping[int, SeedInstruction], former: Mapping[int, RowOutcome], roles: Roles, number: int
) -> dict[int, RowOutcome]:
    reasons = {i: roles.explain(former[i]) if i in former else "" for i in pending}
    evolved = await gather_or_cancel(*(roles.evolve(seed, reasons[i], number - 1) for i, seed in pending.items()))
    trajectories = dict(zip(pending, evolved, strict=True))
    to_judge = {i: t for i, t in trajectories.items() if t.stages and not t.stopped}
    findings = await roles.judge(to_judge) if roles.judge and to_judge else {}
    verdicts = {i: t.stopped or roles.check_finding(findings.get(i)) for i, t in trajectories.items()}
    # A rewrite that has failed already is not answered: answers are the longest calls.
    to_answer = {i: t for i, t in trajectories.items() if not verdicts[i].failed and not t.stopped}
    answers = await answer_all(to_answer, roles.answering, number - 1)
    for i, of_row in answers.items():
        checked = roles.check_answers(of_row)
        verdicts[i] = verdicts[i] if checked.passed else checked
    return {i: RowOutcome(t, verdicts[i], findings.get(i), answers.get(i), number) for i, t in trajectories.items()}
