"""What does partitions: workers, which read seeds from the store and write results there, and tell the desk of both."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from uuid import uuid4

import numpy as np
import ray

from generator.group import groups_of_ten
from generator.scale_out.cluster import Place
from generator.scale_out.desk import SharedLedger
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

    def __init__(self, build: Build, plan: Plan, desk: Any, keeper: Any, budgeted: bool, at_once: int) -> None:
        self._build, self._plan, self._desk, self._keeper = build, plan, desk, keeper
        self._ledger = ledger_of(desk, budgeted)
        self._room = asyncio.Semaphore(at_once)
        self._journal = PartJournal()
        self._opening: asyncio.Task[None] | None = None
        self._in_hand: dict[int, Part | None] = {}  # None while it is being opened
        self._tasks: set[asyncio.Task[Rows]] = set()
        self._stopped_by: AutoEvolError | None = None
        self._name = uuid4().hex

    async def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        # In the event loop of the calls, where the connections belong.
        self._opening = self._opening or asyncio.ensure_future(self._open())
        try:
            await asyncio.shield(self._opening)
        except AutoEvolError as exc:
            await self._desk.stop.remote(exc, Ledger())
            return batch
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
        self._in_hand[number] = None
        try:
            part = self._in_hand[number] = await asyncio.to_thread(self._tools.part, number, attempt)
            rows = await self._stoppable(rows_of(part, self._hands, self._journal))
            if not await self._desk.may_finish.remote(number, attempt):
                return
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
            del self._in_hand[number]

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
                if part and (content := part.log.taken()):
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

    def __init__(self, build: Build, plan: Plan, desk: Any, keeper: Any, budgeted: bool) -> None:
        self._tools, self._journal, self._ledger = Tools(plan, keeper), PartJournal(), ledger_of(desk, budgeted)
        self._hands = build(self._journal, self._ledger)

    async def alive(self) -> None:
        """Answers as long as no row blocks the process."""

    async def do(self, number: int, ids: Sequence[int]) -> tuple[Rows, Ledger]:
        """The rows of some seeds of a partition, and what was spent on them. Their completions are logged."""
        part = self._tools.part(number, uuid4().hex)
        wanted = replace(part, seeds=[seed for seed in part.seeds if seed.id in set(ids)], aside=[])
        try:
            return await rows_of(wanted, self._hands, self._journal), taken(self._ledger)
        finally:
            part.log.append(part.log.taken())


def ledger_of(desk: Any, budgeted: bool) -> Ledger:
    """The ledger of a worker."""
    return SharedLedger(desk) if budgeted else Ledger()


async def rows_of(part: Part, hands: Hands, journal: PartJournal) -> Rows:
    """What became of the rows of a partition."""
    journal.enter(part.log)
    groups = await together(*(hands.work(group) for group in groups_of_ten(part.seeds)))
    return [*chain.from_iterable(groups), *aside_rows(part, hands.key_of)]


def aside_rows(part: Part, key_of: Callable[[int], int]) -> Rows:
    """The rows of a partition that are no seeds, as its other rows."""
    return [(key_of(row.id), set_aside_record(row.id, row.text, row.reason)) for row in part.aside]


def taken(ledger: Ledger) -> Ledger:
    """What the ledger of a worker has booked, taken out of it, for the driver to book."""
    booked = Ledger()
    booked.add(ledger)
    ledger.stages.clear()
    ledger.retries, ledger.rate_limited_seconds = 0, 0.0
    return booked
