"""What runs on the cluster: the desk that says who does which partition, and the workers that do them.

Ray Data gives partitions to workers. They read their seeds from the store and write their results there; the desk,
which stands on the driver's node, hears of both, so that a partition that Ray gives out twice is done once, one that
takes its workers down is noticed, and so is a worker that falls silent.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from uuid import uuid4

import numpy as np
import ray

from generator.group import groups_of_ten
from generator.scale_out.cluster import Place
from generator.scale_out.ingest import kept_layout
from generator.scale_out.layout import Partitions
from generator.scale_out.parts import Part, PartJournal, Parts, Rows
from utils.concurrency import together
from utils.errors import AutoEvolError, BudgetReached
from utils.journal import Recorded
from utils.ledger import Ledger
from utils.results import set_aside_record
from utils.schema import SeedInstruction
from utils.storage import Store, brief

log = logging.getLogger(__name__)

TRIES = 2  # times that a partition may take its worker down before it is looked at by itself
HEARTBEAT = 2.0  # seconds

GroupWork = Callable[[Sequence[SeedInstruction]], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class Hands:
    """What a worker works with: `work` does one group of rows, `drain` lets calls under way come home.

    `key_of` gives the key of a row that was set aside.
    """

    work: GroupWork
    drain: Callable[[], Awaitable[None]]
    key_of: Callable[[int], int]


Build = Callable[[PartJournal, Ledger], Hands]  # opens the LLMs of one worker


@dataclass(frozen=True, slots=True)
class Plan:
    """How every process of the cluster finds the partitions: where files lie, and how seeds are cut."""

    place: Place
    seeds: Place
    size: int
    limit: int | None
    work: str

    def open(self) -> Parts:
        """The partitions, as any process of the cluster reaches them."""
        return self._parts(self.place.open(), self.seeds.open())

    def here(self) -> Parts:
        """The same for the driver."""
        return self._parts(self.place.here(), self.seeds.here())

    def _parts(self, store: Store, seeds: Store) -> Parts:
        return Parts(store, seeds, Partitions(kept_layout(seeds), self.size, self.limit), self.work)


# --- The desk -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """How far the pass is, as the desk sees it.

    `idle` are the seconds since anyone had work in hand, or None as long as no worker has come; `silent` are the
    actors that fell silent with work in hand. `suspects` are partitions to be looked at by themselves, and why.
    `spent` is what was booked since the desk was last asked.
    """

    rows: int
    failed: int
    idle: float | None
    silent: tuple[Any, ...]
    suspects: dict[int, str]
    error: AutoEvolError | None
    spent: Ledger


class Desk:
    """Hears of every partition that is begun and finished, and of every worker."""

    def __init__(self, silence: float, now: Callable[[], float] = time.monotonic) -> None:
        self._silence, self._now = silence, now
        self._workers: dict[str, Any] = {}
        self._heard: dict[str, float] = {}  # of workers with work in hand
        self._moved: float | None = None
        self._begun: Counter[int] = Counter()
        self._finished: set[int] = set()
        self._suspects: dict[int, str] = {}
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
        return uuid4().hex

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

    def state(self) -> State:
        spent, self._spent = self._spent, Ledger()
        now = self._now()
        silent = [worker for worker, heard in self._heard.items() if now - heard > self._silence]
        actors = tuple(self._workers.pop(worker) for worker in silent if self._heard.pop(worker))
        idle = None if self._moved is None else now - self._moved
        return State(self._rows, self._failed, idle, actors, self._suspects, self._error, spent)


# --- Workers ------------------------------------------------------------------------------------


class Tools:
    """What a process of the cluster opens once: its keys, its files, the answers that the driver has."""

    def __init__(self, plan: Plan, keeper: Any) -> None:
        os.environ.update(ray.get(keeper.environment.remote()))
        self.parts = plan.open()
        self.others = self.parts.other_journals()
        self._keeper = keeper
        self._known = np.frombuffer(ray.get(keeper.known.remote()), ">u8")

    def archive(self, key: bytes) -> Recorded | None:
        """What the driver's own journal has recorded."""
        prefix = int.from_bytes(key[:8], "big")
        place = int(np.searchsorted(self._known, prefix))
        if place == len(self._known) or self._known[place] != prefix:
            return None
        return ray.get(self._keeper.recorded.remote(key))

    def part(self, number: int, attempt: str) -> Part:
        return self.parts.open(number, attempt, self.others, self.archive)


class Worker:
    """One of the actors of Ray Data's pool: does partitions, several at once, within its share of all requests."""

    def __init__(self, build: Build, plan: Plan, desk: Any, keeper: Any, budget: Ledger, at_once: int) -> None:
        self._build, self._plan, self._desk, self._keeper, self._ledger = build, plan, desk, keeper, budget
        self._room = asyncio.Semaphore(at_once)
        self._journal = PartJournal()
        self._opening: asyncio.Task[None] | None = None
        self._in_hand: dict[int, Part] = {}
        self._tasks: set[asyncio.Task[Rows]] = set()
        self._stopped_by: AutoEvolError | None = None
        self._name = uuid4().hex

    async def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        # In the event loop of the calls, where the connections belong.
        self._opening = self._opening or asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)
        for number in map(int, batch["part"]):
            async with self._room:
                await self._do(number)
        return batch

    async def _open(self) -> None:
        await self._desk.enter.remote(self._name, ray.get_runtime_context().current_actor)
        self._tools = await asyncio.to_thread(Tools, self._plan, self._keeper)
        self._hands = self._build(self._journal, self._ledger)
        self._routines = [asyncio.ensure_future(self._beat()), asyncio.ensure_future(self._keep_logs())]

    async def _do(self, number: int) -> None:
        attempt = await self._desk.begin.remote(number, self._name)
        if attempt is None:
            return
        try:
            part = self._in_hand[number] = await asyncio.to_thread(self._tools.part, number, attempt)
            rows = await self._stoppable(rows_of(part, self._hands, self._journal))
            counts = await asyncio.to_thread(self._tools.parts.finish, part, rows)
            await self._desk.finish.remote(number, counts.rows, counts.rows - counts.evolved, taken(self._ledger))
        except AutoEvolError as exc:
            await self._stop(exc)
            await self._desk.stop.remote(exc, taken(self._ledger))
        except asyncio.CancelledError:
            await self._stop(self._stopped_by)
        except Exception as exc:
            log.exception("partition %d", number)
            await self._desk.doubt.remote(number, f"failed with {brief(exc)}", taken(self._ledger))
        finally:
            self._in_hand.pop(number, None)

    async def _stoppable(self, work: Coroutine[Any, Any, Rows]) -> Rows:
        """Do it, unless the run stops meanwhile."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        try:
            return await task
        finally:
            self._tasks.discard(task)

    async def _stop(self, error: AutoEvolError | None) -> None:
        """Put what is paid for on the store; calls under way come home first where money is the matter."""
        if isinstance(error, BudgetReached):
            await self._hands.drain()
        await self._flush()

    async def _flush(self) -> None:
        try:
            for part in list(self._in_hand.values()):
                if content := part.log.taken():
                    await asyncio.to_thread(part.log.append, content)
        except AutoEvolError as exc:
            await self._desk.stop.remote(exc, taken(self._ledger))

    async def _keep_logs(self) -> None:
        """Where single completions are too small to be stored one by one, store those of a few moments together."""
        while every := self._tools.parts.store.flush_every:
            await asyncio.sleep(every)
            await self._flush()

    async def _beat(self) -> None:
        while self._stopped_by is None:
            await asyncio.sleep(HEARTBEAT)
            self._stopped_by = await self._desk.alive.remote(self._name, bool(self._in_hand), taken(self._ledger))
        for task in self._tasks:
            task.cancel()


class Lone:
    """An actor to try suspect rows in: what takes it down takes nothing else down."""

    def __init__(self, build: Build, plan: Plan, keeper: Any) -> None:
        self._build, self._tools = build, Tools(plan, keeper)

    async def alive(self) -> None:
        """Answers as long as no row blocks the process."""

    async def do(self, number: int, ids: Sequence[int]) -> tuple[Rows, Ledger]:
        """The rows of some seeds of a partition, and what was spent on them. Their completions are logged."""
        part = self._tools.part(number, uuid4().hex)
        wanted = replace(part, seeds=[seed for seed in part.seeds if seed.id in set(ids)], aside=[])
        journal, ledger = PartJournal(), Ledger()
        try:
            return await rows_of(wanted, self._build(journal, ledger), journal), ledger
        finally:
            part.log.append(part.log.taken())


async def rows_of(part: Part, hands: Hands, journal: PartJournal) -> Rows:
    """What became of the rows of a partition."""
    journal.enter(part.log)
    groups = await together(*(hands.work(group) for group in groups_of_ten(part.seeds)))
    return [*chain.from_iterable(groups), *aside_rows(part, hands.key_of)]


def aside_rows(part: Part, key_of: Callable[[int], int]) -> Rows:
    """The rows of a partition that are no seeds, as its other rows."""
    return [(key_of(row.id), set_aside_record(row.id, row.text, row.reason)) for row in part.aside]


def taken(ledger: Ledger) -> Ledger:
    """What `ledger` has booked, taken out of it and off its budget, for the driver to book."""
    booked = Ledger()
    booked.add(ledger)
    left = ledger.remaining()
    ledger.max_calls, ledger.max_cost = left.max_calls, left.max_cost
    ledger.stages.clear()
    ledger.retries, ledger.rate_limited_seconds = 0, 0.0
    return booked
