"""The journal's table of batches: what was sent, before anything is paid for it, so that nothing is sent twice."""

import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.llm.journal import Journal

TABLE = """CREATE TABLE IF NOT EXISTS batch (
    name TEXT PRIMARY KEY, place TEXT NOT NULL, state TEXT NOT NULL, id TEXT NOT NULL, sent REAL NOT NULL,
    requests INTEGER NOT NULL, keys BLOB NOT NULL
)"""
LEFT_OUT = "CREATE TABLE IF NOT EXISTS left_out (key BLOB PRIMARY KEY, times INTEGER NOT NULL)"
KEY_SIZE = 16
AT_ONCE = 500  # keys of one query

State = Literal["new", "sent", "read"]


@dataclass(slots=True, eq=False)
class Batch:
    """A batch: `new` before it has an `id` at the provider, `sent` from then on, `read` when the journal has it all.

    `name` is what its file is called there; `place` says where it is (an address and a model, or a folder); `keys` are
    the journal keys of its requests; `sent` is a time in seconds since 1970.
    """

    name: str
    place: str
    keys: Sequence[bytes]
    state: State = "new"
    id: str = ""
    sent: float = 0.0


class Records:
    """The batches of a run folder, in its journal. Raises JournalError as that does."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        journal.query(TABLE)
        journal.query(LEFT_OUT)

    def unread(self, place: str | None = None) -> list[Batch]:
        """Return the batches that are not read, at one place or at all of them, in the order of sending."""
        query = "SELECT name, place, keys, state, id, sent FROM batch WHERE state != 'read' ORDER BY rowid"
        batches = [Batch(name, where, _split(keys), *rest) for name, where, keys, *rest in self._journal.query(query)]
        return [batch for batch in batches if place in (None, batch.place)]

    def names(self) -> set[str]:
        """Return the names of all batches ever."""
        return {name for (name,) in self._journal.query("SELECT name FROM batch")}

    def begin(self, place: str, keys: Iterable[bytes], name: str = "") -> Batch:
        """Record a batch that is about to be sent, and return it; without a `name` it gets one that nobody has."""
        batch = Batch(name or f"auto-evol-{secrets.token_hex(8)}", place, list(keys), sent=time.time())
        self._put(batch)
        return batch

    def sent(self, batch: Batch, id: str) -> None:
        """Record that a batch is under way, as `id` at the provider."""
        batch.id, batch.state, batch.sent = id, "sent", time.time()
        self._put(batch)

    def end(self, batch: Batch) -> None:
        """Record that nothing more is to be had of a batch."""
        self._journal.query("UPDATE batch SET state = 'read', keys = x'' WHERE name = ?", batch.name)

    def times(self, key: bytes) -> int:
        """Return in how many rounds a request was left out, those of earlier runs included."""
        rows = self._journal.query("SELECT times FROM left_out WHERE key = ?", key)
        return int(rows[0][0]) if rows else 0

    def left_out(self, key: bytes) -> int:
        """Record that a round has left a request out, and return how many have."""
        times = self.times(key) + 1
        self._journal.query("INSERT OR REPLACE INTO left_out VALUES (?, ?)", key, times)
        return times

    def forgive(self, key: bytes) -> None:
        """Begin to count anew."""
        self._journal.query("DELETE FROM left_out WHERE key = ?", key)

    def close(self, batch: Batch, left_out: Collection[bytes]) -> None:
        """End a batch that has been read, but for requests that it has `left_out`, if the journal has all its answers.

        It has not where some were not asked for in this run: then whoever asks reads them.
        """
        keys, held = [key for key in batch.keys if key not in left_out], 0
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ", ".join("?" * len(part))
            held += self._journal.query(f"SELECT count(*) FROM completion WHERE key IN ({marks})", *part)[0][0]
        if held == len(keys):
            self.end(batch)

    def _put(self, batch: Batch) -> None:
        row = (batch.name, batch.place, batch.state, batch.id, batch.sent, len(batch.keys), b"".join(batch.keys))
        self._journal.query("INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?, ?, ?)", *row)


def under_way(path: Path) -> list[str]:
    """Return the ids of batches that the journal file at `path` has as sent and not read; none if it is unreadable."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return [str(id) for (id,) in db.execute("SELECT id FROM batch WHERE state = 'sent' ORDER BY rowid")]
    except sqlite3.Error:  # no such file or table, or a torn journal, which is why it is set aside
        return []


def _split(keys: bytes) -> list[bytes]:
    return [keys[start : start + KEY_SIZE] for start in range(0, len(keys), KEY_SIZE)]
