"""Rounds as files of a folder, which something else answers: `vllm run-batch`, a job of a queue, a copy elsewhere.

`round-0001.jsonl` asks, `round-0001.out.jsonl` answers, and between rounds the program ends.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from utils.errors import DataError, Waiting
from utils.files.writing import replacing
from utils.llm.batch.records import Batch, Records
from utils.llm.batch.replies import Reader
from utils.llm.batch.requests import line_of, packed
from utils.llm.batch.rounds import Item, Rounds
from utils.llm.faults import Border
from utils.llm.ledger import Ledger
from utils.schema import Completion, Usage

log = logging.getLogger(__name__)
NAME = re.compile(r"round-(\d{4,})\.")
PAUSE_EVERY = 1_000  # lines between two turns of the event loop, so that rows go on while a file is read


class FolderOutlet:
    """The rounds of all models in `folder`, one model to a file."""

    def __init__(self, folder: Path, rounds: Rounds, records: Records, ledger: Ledger) -> None:
        self._folder = folder
        self._place = str(folder.absolute())
        self._rounds = rounds
        self._records = records
        self._ledger = ledger
        self._unread = {key: batch for batch in records.unread(self._place) for key in batch.keys}
        self._read: list[tuple[Batch, set[bytes]]] = []  # rounds, and what they left out, to be recorded as read

    def holds(self, key: bytes) -> bool:
        return key in self._unread

    async def carry(self, items: Sequence[Item]) -> None:
        """Write what is new, and answer what has been answered. Raises Waiting where that is nothing."""
        self._close_records()
        by_batch = self._by_batch(items)
        ready = [batch for batch in by_batch if answers_of(batch).exists()]
        if not ready:
            raise Waiting("; ".join(_told(batch, waiting) for batch, waiting in by_batch.items()))
        for batch in ready:
            with self._rounds.going_on():
                await self._take(batch, by_batch.pop(batch))
        for waiting in by_batch.values():
            for item in waiting.values():  # rows go on now: what still waits is told at the end of the next round
                self._rounds.gather(item)

    async def cancel(self, items: Sequence[Item]) -> int:
        """Do nothing: there is nobody to tell."""
        return 0

    async def close(self) -> None:
        self._close_records()

    def _by_batch(self, items: Sequence[Item]) -> dict[Batch, dict[bytes, Item]]:
        """Return items by the file that asks for them, which is written if it is not there."""
        fresh: dict[str, list[Item]] = {}
        by_batch: dict[Batch, dict[bytes, Item]] = {}
        for item in items:
            if batch := self._unread.get(item.key):
                by_batch.setdefault(batch, {})[item.key] = item
            else:
                fresh.setdefault(item.request.model, []).append(item)
        for batch, waiting in by_batch.items():
            if not (Path(batch.name).exists() or answers_of(batch).exists()):
                _write(Path(batch.name), waiting.values())
        for of_model in fresh.values():
            config = of_model[0].config
            for part, file in packed(of_model, config.batch_requests, config.batch_mb):
                file.close()
                batch = self._records.begin(self._place, (item.key for item in part), str(self._next()))
                _write(Path(batch.name), part)
                by_batch[batch] = {item.key: item for item in part}
                self._unread |= dict.fromkeys(batch.keys, batch)
        return by_batch

    def _next(self) -> Path:
        """Return the path of a round that neither this run nor another one has in this folder."""
        names = {path.name for path in self._folder.iterdir()} | {Path(name).name for name in self._records.names()}
        numbers = [int(found[1]) for name in names if (found := NAME.match(name))]
        return self._folder.absolute() / f"round-{max(numbers, default=0) + 1:04}.jsonl"

    async def _take(self, batch: Batch, waiting: dict[bytes, Item]) -> None:
        """Answer what the answers of a round say, and tell the rest of `waiting` that it was left out."""
        path = answers_of(batch)
        border = Border(next(iter(waiting.values())).config, str(path), "")
        reader = Reader(waiting, border, self._answer, self._wasted, worked=bool(self._read))
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file):
                    reader.take(line)
                    if number % PAUSE_EVERY == 0:
                        await asyncio.sleep(0)
        except OSError as exc:
            raise DataError(f"cannot read {path}: {exc.strerror}; check --batch-folder") from exc
        reader.end()
        self._read.append((batch, set(waiting)))
        if waiting:
            log.warning("%s leaves out %d of %d requests", path, len(waiting), len(batch.keys))
        for item in waiting.values():
            self._answer(item, None)

    def _answer(self, item: Item, completion: Completion | None) -> None:
        self._unread.pop(item.key, None)
        self._rounds.answer(item, completion)

    def _wasted(self, item: Item, usage: Usage) -> None:
        self._ledger.wasted(item.request, usage, item.config)

    def _close_records(self) -> None:
        """Record as read what is, once the journal has its answers."""
        read, self._read = self._read, []
        for batch, left_out in read:
            self._records.close(batch, left_out)


def answers_of(batch: Batch) -> Path:
    """Return the path at which the answers to a round are looked for."""
    return Path(batch.name).with_suffix(".out.jsonl")


def _write(path: Path, items: Iterable[Item]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(map(line_of, items))


def _told(batch: Batch, waiting: dict[bytes, Item]) -> str:
    model = next(iter(waiting.values())).request.model
    return f"{batch.name} ({len(waiting):,} requests to {model}) waits for {answers_of(batch).name}"
