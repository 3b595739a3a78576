"""The batches of one model at one provider: sent, waited for, read; split where they are too large for its queue.

A batch is in the journal from before its file is uploaded until all of its answers are in the journal, too. What a
killed run has left is found again: by the batch's id, or by its name, which its file and its metadata bear.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO

from utils.concurrency import gather_or_cancel
from utils.errors import EndpointError
from utils.llm.batch.api import WINDOW_SECONDS, BatchApi, Status
from utils.llm.batch.patience import NO_ROOM, NoRoom, Patience
from utils.llm.batch.records import Batch, Records
from utils.llm.batch.replies import Reader
from utils.llm.batch.requests import packed
from utils.llm.batch.rounds import Item, Rounds
from utils.llm.faults import Border, Refused
from utils.llm.keys import usable_key
from utils.llm.ledger import Ledger
from utils.llm_config import LLMConfig
from utils.schema import Completion, Usage

log = logging.getLogger(__name__)

LATE_SECONDS = 2 * 3600.0  # so long after its window a batch is cancelled, and after as long again given up
MOST_TRIES_OF_ONE = 12  # how often one single request is sent that finds no room
Waiters = dict[bytes, Item]


class ApiOutlet:
    """The batches of `config.model` at the first address of `config`.

    `place` names both in the journal. `worked` says that this model has answered there in an earlier run.
    """

    def __init__(
        self,
        config: LLMConfig,
        place: str,
        rounds: Rounds,
        records: Records,
        ledger: Ledger,
        worked: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        key = usable_key(config)
        self._config = config
        self._place = place
        self._rounds = rounds
        self._records = records
        self._ledger = ledger
        self._worked = worked
        self._now = now
        self._border = Border(config, config.base_urls[0], key)
        self._patience = Patience(config, self._border, sleep)
        self._api = BatchApi(config, key)
        self._unread = {key: batch for batch in records.unread(place) for key in batch.keys}
        self._waiting: dict[Batch, Waiters] = {}  # by batch that is being followed
        self._progress: dict[Batch, Status] = {}  # by batch that is under way
        self._one_has_ended = asyncio.Event()
        self._read: list[tuple[Batch, set[bytes]]] = []  # batches, and what they left out, to be recorded as read

    def holds(self, key: bytes) -> bool:
        return key in self._unread

    async def carry(self, items: Sequence[Item]) -> None:
        """Join requests to the batches that have them, send the others; return when all are answered."""
        self._close_records()
        fresh = [item for item in items if not self.holds(item.key)]
        joined: dict[Batch, Waiters] = {}
        for item in items:
            if batch := self._unread.get(item.key):
                (self._waiting.get(batch) or joined.setdefault(batch, {}))[item.key] = item
        await gather_or_cancel(
            *(self._go_on(batch, waiting) for batch, waiting in joined.items()), self._send_all(fresh, 0)
        )

    async def cancel(self, items: Sequence[Item]) -> int:
        by_key = {item.key: item for item in items}
        batches = list(dict.fromkeys(self._unread.values()))
        for batch in batches:
            waiting = {key: by_key[key] for key in batch.keys if key in by_key}
            batch.id = batch.id or await self._found(batch, whole=False) or ""
            if batch.id:
                await self._cancel(batch)
                await self._follow(batch, waiting, 0)
            else:
                self._drop(batch)
        return sum(bool(batch.id) for batch in batches)

    async def close(self) -> None:
        self._close_records()
        await self._api.close()

    # --- Sending -----------------------------------------------------------------------------------

    async def _send_all(self, items: Sequence[Item], tries: int) -> None:
        parts = packed(items, self._config.batch_requests, self._config.batch_mb)
        await gather_or_cancel(*(self._send(part, file, tries) for part, file in parts))

    async def _send(self, items: list[Item], file: IO[bytes], tries: int) -> None:
        """Send items as one batch and follow it to its end; where there is no room for it, wait, or send halves."""
        batch = self._records.begin(self._place, (item.key for item in items))
        self._unread |= dict.fromkeys(batch.keys, batch)
        try:
            with file:
                await self._create(batch, file)
        except NoRoom as no_room:
            await self._send_when_there_is_room(batch, items, no_room, tries)
        else:
            await self._follow(batch, {item.key: item for item in items}, tries)

    async def _send_when_there_is_room(self, batch: Batch, items: list[Item], why: NoRoom, tries: int) -> None:
        """Send the items of a batch that came to nothing."""
        self._drop(batch)
        log.warning("no room for a batch of %d requests: %s", len(items), why)
        if self._progress:
            self._one_has_ended.clear()
            await self._one_has_ended.wait()
            await self._send_all(items, tries)
        elif len(items) == 1 and tries >= MOST_TRIES_OF_ONE:
            self._rounds.answer(items[0], None)
        else:
            await self._patience.pause(tries)
            half = (len(items) + 1) // 2
            for part in (items[:half], items[half:]):  # one after the other: what is not sent takes no room
                await self._send_all(part, tries + 1)

    async def _create(self, batch: Batch, file: IO[bytes]) -> None:
        first = True

        async def created() -> str:
            nonlocal first
            # A call that failed may have come through all the same.
            batch_id, file_id = (None, None) if first else await self._api.find(batch.name)
            first = False
            file_id = file_id or batch_id or await self._api.upload(batch.name, file)
            return batch_id or await self._api.create(file_id, batch.name)

        try:
            self._records.sent(batch, await self._patience.call(created, takes_room=True))
        except Refused as refused:
            raise EndpointError(
                f"{self._border.base_url} takes no batch ({refused}); check that it has a batch API for this model, "
                "or run with --batch-api off"
            ) from refused
        log.info("batch %s of %d requests is under way", batch.id, len(batch.keys))

    async def _go_on(self, batch: Batch, waiting: Waiters) -> None:
        """Follow a batch of an earlier run; send its requests anew where the provider has nothing of it."""
        self._waiting[batch] = waiting  # who asks meanwhile joins them
        try:
            found = batch.id or await self._found(batch, whole=len(waiting) == len(batch.keys))
        except NoRoom as no_room:
            await self._send_when_there_is_room(batch, list(waiting.values()), no_room, 0)
            return
        if not found:
            self._drop(batch)
            await self._send_all(list(waiting.values()), 0)
            return
        if not batch.id:
            self._records.sent(batch, found)
        log.info("batch %s of %d requests, sent before, is waited for", batch.id, len(batch.keys))
        await self._follow(batch, waiting, 0)

    async def _found(self, batch: Batch, whole: bool) -> str | None:
        """Return the id of a batch that a killed run was about to send.

        An uploaded file is made a batch if it is still wanted as a `whole`; else it is deleted, and there is none.
        """

        async def found() -> str | None:
            batch_id, file_id = await self._api.find(batch.name)
            if file_id and whole:
                return await self._api.create(file_id, batch.name)
            if file_id:
                await self._api.delete(file_id)
            return batch_id

        return await self._patience.call(found, takes_room=True)

    # --- Waiting and reading -----------------------------------------------------------------------

    async def _follow(self, batch: Batch, waiting: Waiters, tries: int) -> None:
        """Wait for a batch, answer what it answers, and tell the rest of `waiting` that it was left out.

        Raises EndpointError where it failed as a whole, but for lack of room: then it is sent again, in halves.
        """
        self._waiting[batch] = waiting
        try:
            with self._under_way(batch):
                status = await self._ended(batch)
            with self._rounds.going_on():
                await self._read_all(batch, status, waiting)
            self._read.append((batch, set(waiting)))
        except NoRoom as no_room:
            await self._send_when_there_is_room(batch, list(waiting.values()), no_room, tries)
            return
        except Refused as refused:  # nobody knows it any more
            log.warning("batch %s is gone (%s): its requests are asked for again", batch.id, refused)
            self._drop(batch)
        self._waiting.pop(batch, None)
        for item in waiting.values():
            self._unread.pop(item.key, None)
            self._rounds.answer(item, None)

    async def _ended(self, batch: Batch) -> Status:
        """Return how a batch ended; one that does not end is cancelled, and given up in the end."""
        polls, cancelled = 0, False
        while True:
            status = await self._patience.call(partial(self._api.status, batch.id))
            self._progress[batch] = status
            self._show()
            late = self._now() - batch.sent - WINDOW_SECONDS
            if status.ended or late > 2 * LATE_SECONDS:
                return status
            if late > LATE_SECONDS and not cancelled:
                cancelled = True
                log.warning("batch %s is %s long after its time, and is cancelled", batch.id, status.state)
                await self._cancel(batch)
            await self._patience.pause(polls)
            polls += 1

    async def _cancel(self, batch: Batch) -> None:
        try:
            await self._patience.call(partial(self._api.cancel, batch.id))
        except Refused as refused:  # it has ended already, or is gone: following it will show
            log.info("batch %s: %s", batch.id, refused)

    async def _read_all(self, batch: Batch, status: Status, waiting: Waiters) -> None:
        if status.state == "failed" and not status.files:
            if NO_ROOM.search(status.said):
                raise NoRoom(self._border.redacted(status.said))
            if status.said:
                said = self._border.redacted(status.said)
                self._drop(batch)
                raise EndpointError(f"{self._border.base_url} fails batch {batch.id} ({said}); check the llm-config")
        reader = Reader(waiting, self._border, self._answer, self._wasted, self._worked)
        for file_id in status.files:
            try:
                await self._patience.call(partial(self._read_file, file_id, reader))
            except Refused as refused:
                log.warning("file %s of batch %s is gone: %s", file_id, batch.id, refused)
        reader.end()
        self._worked = reader.worked
        self._tell(batch, status, reader)

    async def _read_file(self, file_id: str, reader: Reader) -> None:
        async for line in self._api.lines(file_id):
            reader.take(line)

    def _tell(self, batch: Batch, status: Status, reader: Reader) -> None:
        if left := len(reader.waiting):
            fault = f"; the last fault: {reader.fault}" if reader.fault else ""
            log.warning("batch %s %s, and left out %d of %d requests%s",
                        batch.id, status.state, left, len(batch.keys), fault)  # fmt: skip
        if reader.strange:
            log.warning("batch %s holds %d lines that answer nothing that was asked", batch.id, reader.strange)

    def _answer(self, item: Item, completion: Completion | None) -> None:
        self._unread.pop(item.key, None)
        self._rounds.answer(item, completion)

    def _wasted(self, item: Item, usage: Usage) -> None:
        self._ledger.wasted(item.request, usage, item.config)

    # --- Keeping account ---------------------------------------------------------------------------

    @contextmanager
    def _under_way(self, batch: Batch) -> Iterator[None]:
        self._progress[batch] = Status("validating", total=len(batch.keys))
        try:
            yield
        finally:
            del self._progress[batch]
            self._one_has_ended.set()

    def _drop(self, batch: Batch) -> None:
        """Forget a batch that nothing is to be had of."""
        self._waiting.pop(batch, None)
        for key in batch.keys:
            self._unread.pop(key, None)
        self._records.end(batch)

    def _close_records(self) -> None:
        """Record as read what is, once the journal has its answers."""
        read, self._read = self._read, []
        for batch, left_out in read:
            self._records.close(batch, left_out)

    def _show(self) -> None:
        done = sum(status.done for status in self._progress.values())
        total = sum(len(batch.keys) for batch in self._progress)
        since = time.time() - min(batch.sent for batch in self._progress)
        batches = f" in {len(self._progress)} batches" if len(self._progress) > 1 else ""
        self._rounds.show(f"round {self._rounds.number}: {done:,} of {total:,} requests{batches}, {since / 60:.0f} min")
