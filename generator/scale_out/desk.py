"""The desk: it stands on the driver's node, and hears of every partition and every worker.

Ray Data gives partitions to workers. The desk sees to it that a partition which Ray gives out twice is done once, that
one which takes its workers down is noticed, and a worker that falls silent too; and it keeps the budget that all share.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

from generator.scale_out.cluster import as_raised
from utils.config import LLMConfig
from utils.errors import AutoEvolError
from utils.ledger import Ledger, estimated_tokens
from utils.schema import Completion, Request, Stage, Usage

TRIES = 2  # times that a partition may take its worker down before it is looked at by itself


@dataclass(frozen=True, slots=True)
class State:
    """How far the pass is, as the desk sees it.

    `idle` are the seconds since anyone had work in hand, or None as long as no worker has come; `silent` are the
    actors that fell silent with work in hand. `suspects` are partitions to be looked at by themselves, and why; on so
    many as `doubted` the program itself failed. `spent` is what was booked since the desk was last asked.
    """

    rows: int
    failed: int
    idle: float | None
    silent: tuple[Any, ...]
    suspects: dict[int, str]
    doubted: int
    error: AutoEvolError | None
    spent: Ledger


class Desk:
    """Hears of every partition that is begun and finished, and of every worker; keeps the budget that they share."""

    def __init__(self, budget: Ledger, silence: float, now: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._silence, self._now = budget, silence, now
        self._workers: dict[str, Any] = {}
        self._heard: dict[str, float] = {}  # of workers with work in hand
        self._moved: float | None = None
        self._begun: Counter[int] = Counter()
        self._attempts: dict[int, str] = {}  # the latest at each partition
        self._finished: set[int] = set()
        self._suspects: dict[int, str] = {}
        self._doubted: set[int] = set()
        self._error: AutoEvolError | None = None
        self._rows = self._failed = 0
        self._spent = Ledger()

    def enter(self, worker: str, actor: Any) -> None:
        """A worker is there."""
        self._moved = self._now()
        self._workers[worker] = actor

    def workers(self) -> list[Any]:
        return list(self._workers.values())

    def begin(self, number: int, worker: str) -> str | None:
        """A name for this attempt at a partition; None where it is done, suspect, or the run is stopping."""
        self.alive(worker, True)
        if self._error or number in self._suspects or number in self._finished:
            return None
        if self._begun[number] == TRIES:
            self._suspects[number] = f"took its worker down {TRIES} times"
            return None
        self._begun[number] += 1
        attempt = self._attempts[number] = uuid4().hex
        return attempt

    def may_finish(self, number: int, attempt: str) -> bool:
        """Whether nobody has begun the partition after this attempt, as where its worker was taken for dead."""
        return self._attempts[number] == attempt

    def finish(self, number: int, rows: int, failed: int, spent: Ledger) -> None:
        """A partition's files are written; `failed` of its rows are not evolved."""
        self._moved = self._now()
        self._spent.add(spent)
        if number not in self._finished:
            self._finished.add(number)
            self._rows += rows
            self._failed += failed

    def finished(self) -> set[int]:
        return self._finished

    def doubt(self, number: int, why: str, spent: Ledger) -> None:
        """A partition on which the program itself failed."""
        self._spent.add(spent)
        self._suspects[number] = why
        self._doubted.add(number)

    def stop(self, error: AutoEvolError, spent: Ledger) -> None:
        """The run cannot go on."""
        self._spent.add(spent)
        self._error = self._error or error

    def alive(self, worker: str, busy: bool, spent: Ledger | None = None) -> AutoEvolError | None:
        """A sign of life, and what was spent since the last one. Returns why the run stops, if it does."""
        if spent:
            self._spent.add(spent)
        if busy:
            self._heard[worker] = self._moved = self._now()
        else:
            self._heard.pop(worker, None)
        return self._error

    def reserve(self, stage: Stage, tokens: int, max_tokens: int | None, config: LLMConfig) -> Decimal:
        return self._budget.reserve(stage, tokens, max_tokens, config)

    def settle(self, reserved: Decimal, stage: Stage, completion: Completion | None, config: LLMConfig) -> None:
        self._budget.settle(reserved, stage, completion, config)

    def wasted(self, stage: Stage, usage: Usage, config: LLMConfig) -> None:
        self._budget.wasted(stage, usage, config)

    def state(self) -> State:
        spent, self._spent = self._spent, Ledger()
        now = self._now()
        silent = [worker for worker, heard in self._heard.items() if now - heard > self._silence]
        actors = tuple(self._workers.pop(worker) for worker in silent if self._heard.pop(worker))
        idle = None if self._moved is None else now - self._moved
        told = (self._suspects, len(self._doubted), self._error, spent)
        return State(self._rows, self._failed, idle, actors, *told)


class SharedLedger(Ledger):
    """The ledger of a worker where the run has a budget: the desk is asked before every call.

    What a worker that died had set aside stays so: the budget holds whatever happens.
    """

    def __init__(self, desk: Any) -> None:
        super().__init__()
        self._desk = desk

    async def admit(self, request: Request, config: LLMConfig) -> Decimal:
        limits = (request.stage, estimated_tokens(request), request.sampling.max_tokens)
        try:
            reserved = await self._desk.reserve.remote(*limits, config)
        except AutoEvolError as exc:
            raise as_raised(exc) from exc
        self.in_flight += 1
        return reserved

    def settle(self, reserved: Decimal, stage: Stage, completion: Completion | None, config: LLMConfig) -> None:
        super().settle(Decimal(0), stage, completion, config)  # which tells the tokens by way of `wasted`
        told = completion and Completion("", completion.failure)
        self._desk.settle.remote(reserved, stage, told, config)

    def wasted(self, stage: Stage, usage: Usage, config: LLMConfig) -> None:
        super().wasted(stage, usage, config)
        self._desk.wasted.remote(stage, usage, config)
