"""Rounds: what the roles ask for is gathered until nothing in the program can go on without an answer.

When is that? Between an answer and the next question of its row lie turns of the event loop and nothing else: roles
await completions and one another, no clock and no I/O. So a round is complete when `QUIET_TURNS` turns have passed in
which nobody asked, while nothing is under way that may still bring an answer (a live call, a file that is read). How
many turns pass between two questions depends on the code of the roles alone: 3 at most, when it was measured. It is the
same on the slowest machine. A role that awaited something else would merely come into the next round.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from utils.errors import Waiting
from utils.llm.ledger import Ledger, estimated_tokens
from utils.llm_config import LLMConfig
from utils.schema import Completion, Request

log = logging.getLogger(__name__)

QUIET_TURNS = 200


@dataclass(slots=True, eq=False)
class Item:
    """A request that waits for its answer; None means that its batch left it out.

    `config` has the prices of the batch API. `prompt` is what the ledger set aside for it, None before it is sent.
    """

    request: Request
    key: bytes
    config: LLMConfig
    outlet: "Outlet"
    answer: asyncio.Future[Completion | None]
    prompt: Decimal | None = None


class Outlet(Protocol):
    """Where the requests of a round go."""

    def holds(self, key: bytes) -> bool:
        """Tell whether a batch of this run, or of one before it, that is not read yet has this request."""
        ...

    async def carry(self, items: Sequence[Item]) -> None:
        """Have all `items` answered, with `Rounds.answer`, in batches. Raises EndpointError, JournalError, Waiting."""
        ...

    async def cancel(self, items: Sequence[Item]) -> int:
        """Cancel all batches that are not read, answer what they have finished, and return how many they were."""
        ...

    async def close(self) -> None: ...


class Rounds:
    """The rounds of a run, over all its LLMs.

    `gathers` says whether requests go into batches yet, or live; with `cancels` what is under way is cancelled, and
    nothing is sent. `show` is told how far the running batches are.
    """

    def __init__(self, ledger: Ledger, gathers: bool, cancels: bool, show: Callable[[str], None]) -> None:
        self.gathers = gathers
        self.show = show
        self.number = 0
        self.answered = 0
        self._ledger = ledger
        self._cancels = cancels
        self._outlets: dict[Hashable, Outlet] = {}
        self._open: dict[tuple[Outlet, bytes], Item] = {}
        self._gathered: list[Item] = []
        self._asked = 0
        self._going_on = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: Exception | None = None

    def outlet(self, place: Hashable, make: Callable[[], Outlet]) -> Outlet:
        """Return the outlet of a place, made by `make` if there is none yet: LLMs of one model share batches."""
        if place not in self._outlets:
            self._outlets[place] = make()
        return self._outlets[place]

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Have requests gathered while the context lasts."""
        before, self.gathers = self.gathers, True
        try:
            yield
        finally:
            self.gathers = before

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Hold back the next round while something is under way that may bring answers."""
        self._going_on += 1
        try:
            yield
        finally:
            self._going_on -= 1
            self._changed.set()

    async def ask(self, request: Request, key: bytes, config: LLMConfig, outlet: Outlet) -> Completion | None:
        """Return the completion of a request, whose journal key is `key`, from the next round; None if it brings none.

        Raises what `stop` was called with, and what an outlet raises.
        """
        if self._stopped:
            raise self._stopped
        item = self._open.get((outlet, key))
        if item is None:  # else another LLM asks for the very same
            item = Item(request, key, config, outlet, asyncio.get_running_loop().create_future())
            self._open[outlet, key] = item
            self.gather(item)
        if not self._tasks:
            self._start(self._dispatch())
        return await asyncio.shield(item.answer)

    def gather(self, item: Item) -> None:
        """Take an item into the next round."""
        self._gathered.append(item)
        self._asked += 1
        self._changed.set()

    def answer(self, item: Item, completion: Completion | None) -> None:
        """Give an item its answer, and book it; None: its batch left it out."""
        if self._stopped:  # it has been told so
            return
        del self._open[item.outlet, item.key]
        self._ledger.settle(item.prompt or Decimal(0), item.request, completion, item.config)
        item.answer.set_result(completion)
        self.answered += completion is not None
        self._changed.set()

    def stop(self, why: Exception) -> None:
        """Send nothing more, and raise `why` (that of the first call) for all who wait; batches go on elsewhere."""
        if self._stopped:
            return
        self._stopped = why
        for item in self._open.values():
            if item.prompt is not None:
                self._ledger.settle(item.prompt, item.request, None, item.config)
            if not item.answer.done():
                item.answer.set_exception(why)
        self._open.clear()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """End all that is under way here, and close the outlets; a second call does nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        outlets, self._outlets = list(self._outlets.values()), {}
        for outlet in outlets:
            await outlet.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.stop(error if isinstance(error, Exception) else RuntimeError(str(error)))

    async def _dispatch(self) -> None:
        while True:
            await self._quiet()
            if self._cancels:
                await self._cancel()
            self._send()
            if self._gathered:  # the budget has no room for them until others have come home
                self._changed.clear()
                await self._changed.wait()

    async def _quiet(self) -> None:
        """Return when there is something to send and nothing in the program can go on."""
        turns = 0
        while turns < QUIET_TURNS:
            if not self._gathered or self._going_on:
                self._changed.clear()
                await self._changed.wait()
            asked = self._asked
            await asyncio.sleep(0)
            turns = turns + 1 if asked == self._asked and not self._going_on else 0

    def _send(self) -> None:
        """Hand what was gathered to the outlets, as far as the budget has room.

        Raises BudgetReached where it has none, and never will.
        """
        gathered, self._gathered = self._gathered, []
        rounds: dict[Outlet, list[Item]] = {}
        for item in sorted(gathered, key=lambda item: not item.outlet.holds(item.key)):  # first what is paid for
            if self._is_admitted(item):
                rounds.setdefault(item.outlet, []).append(item)
            else:
                self._gathered.append(item)
        self.number += bool(rounds)
        for outlet, items in rounds.items():
            self._start(outlet.carry(items))

    def _is_admitted(self, item: Item) -> bool:
        request = item.request
        if item.prompt is None and item.outlet.holds(item.key):
            item.prompt = self._ledger.committed(request.kind)
        elif item.prompt is None:
            limits = (request.kind, estimated_tokens(request), request.sampling.max_tokens)
            item.prompt = self._ledger.reserve(*limits, item.config)
        return item.prompt is not None

    async def _cancel(self) -> None:
        """Cancel what is under way, read what it has finished, and end the run by raising Waiting."""
        gathered, self._gathered = self._gathered, []
        for item in gathered:
            if item.outlet.holds(item.key):
                item.prompt = self._ledger.committed(item.request.kind)
        count = 0
        for outlet in self._outlets.values():
            count += await outlet.cancel(
                [item for item in gathered if item.outlet is outlet and item.prompt is not None]
            )
        read = self.answered
        for _ in range(QUIET_TURNS):  # until the journal has them
            await asyncio.sleep(0)
        raise Waiting(f"batches cancelled: {count}, answers read from them: {read:,}")
