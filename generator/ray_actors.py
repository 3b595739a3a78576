"""What runs on the cluster: the desk that hands out partitions and files them, and workers that do them.

Ray Data decides which worker gets which partition. Seeds and results go by way of the desk, which stands on the
driver's node: the run folder needs no shared disk, and a partition that Ray gives out twice is done once.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from generator.group import groups_of_ten
from generator.parts import Completions, PartJournal, Parts, Rows, Task
from utils.concurrency import together
from utils.errors import AutoEvolError, BudgetReached
from utils.ledger import Ledger
from utils.schema import SeedInstruction

TRIES = 2  # times that a partition may take its worker down before it is looked at by itself
HEARTBEAT = 2.0  # seconds

GroupWork = Callable[[Sequence[SeedInstruction]], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class Hands:
    """What a worker works with: `work` does one group of rows, `drain` lets calls under way come home."""

    work: GroupWork
    drain: Callable[[], Awaitable[None]]


Build = Callable[[PartJournal, Ledger], Hands]  # opens the LLMs of one worker


@dataclass(frozen=True, slots=True)
class State:
    """How far the run is, as the desk sees it.

    `quiet` are the seconds since anything was heard, `silent` the actors that fell silent with work in hand, and
    `spent` is what was booked, both since the desk was last asked.
    """

    finished: int
    rows: int
    failed: int
    quiet: float
    silent: tuple[Any, ...]
    suspects: tuple[int, ...]
    error: AutoEvolError | None
    spent: Ledger


class Desk:
    """Hands out partitions, files their results, and counts how often each was begun."""

    def __init__(self, parts: Parts, silence: float) -> None:
        self._parts, self._silence = parts, silence
        self._workers: dict[str, Any] = {}
        self._heard: dict[str, float] = {}  # of workers with work in hand
        self._last = time.monotonic()
        self._environment: dict[str, str] = {}
        self._begun: Counter[int] = Counter()
        self._suspects: set[int] = set()
        self._error: AutoEvolError | None = None
        self._finished = self._rows = self._failed = 0
        self._spent = Ledger()

    def set_environment(self, environment: dict[str, str]) -> None:
        """The keys that workers need: handed from process to process, so that no file and no log of Ray has them."""
        self._environment = environment

    def enter(self, worker: str, actor: Any) -> dict[str, str]:
        """A worker is there: the environment for it."""
        self._last = time.monotonic()
        self._workers[worker] = actor
        return self._environment

    def workers(self) -> list[Any]:
        return list(self._workers.values())

    def begin(self, number: int, worker: str) -> Task | None:
        """What is to do for a partition; None where it is done, suspect, or the run is stopping."""
        self.alive(worker, True)
        if self._error or number in self._suspects or self._parts.counts(number):
            return None
        if self._begun[number] == TRIES:
            self._suspects.add(number)
            return None
        self._begun[number] += 1
        return self._parts.task(number)

    def file(self, number: int, rows: Rows, completions: Completions, spent: Ledger) -> None:
        """A partition's results."""
        self._last = time.monotonic()
        self._spent.add(spent)
        if not self._parts.counts(number):
            counts = self._parts.finish(number, rows, completions)
            self._finished += 1
            self._rows += counts.rows
            self._failed += counts.rows - counts.evolved

    def doubt(self, number: int, spent: Ledger) -> None:
        """A partition on which the program itself failed."""
        self._last = time.monotonic()
        self._spent.add(spent)
        self._suspects.add(number)

    def stop(self, number: int, error: AutoEvolError, completions: Completions, spent: Ledger) -> None:
        """The run cannot go on; what was paid for is kept."""
        self._spent.add(spent)
        self._parts.keep(number, completions)
        self._error = self._error or error

    def alive(self, worker: str, busy: bool) -> None:
        self._last = time.monotonic()
        if busy:
            self._heard[worker] = self._last
        else:
            self._heard.pop(worker, None)

    def state(self) -> State:
        spent, self._spent = self._spent, Ledger()
        now = time.monotonic()
        silent = [worker for worker, heard in self._heard.items() if now - heard > self._silence]
        actors = tuple(self._workers.pop(worker) for worker in silent if self._heard.pop(worker))
        suspects = tuple(sorted(self._suspects))
        return State(self._finished, self._rows, self._failed, now - self._last, actors, suspects, self._error, spent)


class Worker:
    """One of the actors of Ray Data's pool: does partitions, several at once, within its share of all requests."""

    def __init__(self, build: Build, desk: Any, budget: Ledger) -> None:
        self._build, self._desk, self._ledger = build, desk, budget
        self._journal = PartJournal()
        self._opening: asyncio.Task[Hands] | None = None
        self._in_hand: set[int] = set()
        self._name = uuid4().hex

    async def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for number in batch["part"]:
            await self._do(int(number))
        return batch

    async def _do(self, number: int) -> None:
        # In the actor's own event loop, where the connections belong.
        self._opening = self._opening or asyncio.ensure_future(self._open())
        hands = await asyncio.shield(self._opening)
        task = await self._desk.begin.remote(number, self._name)
        if task is None:
            return
        self._in_hand.add(number)
        try:
            rows = await do_groups(task, hands.work, self._journal)
            await self._desk.file.remote(number, rows, task.completions, taken(self._ledger))
        except AutoEvolError as exc:
            if isinstance(exc, BudgetReached):
                await hands.drain()
            await self._desk.stop.remote(number, exc, task.completions, taken(self._ledger))
        except Exception:
            logging.getLogger(__name__).exception("partition %d", number)
            await self._desk.doubt.remote(number, taken(self._ledger))
        finally:
            self._in_hand.discard(number)

    async def _open(self) -> Hands:
        import ray

        actor = ray.get_runtime_context().current_actor
        os.environ.update(await self._desk.enter.remote(self._name, actor))
        self._heart = asyncio.ensure_future(self._beat())
        return self._build(self._journal, self._ledger)

    async def _beat(self) -> None:
        while True:
            self._desk.alive.remote(self._name, bool(self._in_hand))
            await asyncio.sleep(HEARTBEAT)


class Lone:
    """An actor to try suspect rows in: what takes it down takes nothing else down."""

    def __init__(self, build: Build) -> None:
        self._build = build

    async def do(self, task: Task, environment: dict[str, str]) -> tuple[Rows, Completions, Ledger]:
        """The rows of `task`, all its completions, and what was spent on them."""
        os.environ.update(environment)
        journal, ledger = PartJournal(), Ledger()
        rows = await do_groups(task, self._build(journal, ledger).work, journal)
        return rows, task.completions, taken(ledger)


async def do_groups(task: Task, work: GroupWork, journal: PartJournal) -> Rows:
    """The rows of a partition, in the order of its seeds; new completions are added to the task's own."""
    journal.open(task.completions)
    groups = await together(*(work(group) for group in groups_of_ten(task.seeds)))
    return [row for group in groups for row in group]


def taken(ledger: Ledger) -> Ledger:
    """What `ledger` has booked, taken out of it and off its budget, for the driver to book."""
    booked = Ledger()
    booked.add(ledger)
    left = ledger.remaining()
    ledger.max_calls, ledger.max_cost = left.max_calls, left.max_cost
    ledger.stages.clear()
    ledger.retries, ledger.rate_limited_seconds = 0, 0.0
    return booked
