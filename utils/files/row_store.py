"""Rows on disk, so that memory stays flat however large the data set is.

A store is scratch space of one process: a SQLite file without journal or syncing, since a run that
was killed fills it again from its source. What must survive belongs into the journal.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from utils.errors import DataError

Stored = dict[str, Any] | Sequence[Any]  # what JSON can hold; a tuple comes back as a list
PAGE = 500  # rows that items() holds in memory at a time


class RowStore:
    """JSON values by integer key, in a file that lives as long as this object.

    For one thread of one process. Values are dicts or lists of what JSON can hold; they come back
    equal, tuples as lists. Raises DataError where the file cannot be made, written or read.
    """

    def __init__(self, path: Path) -> None:
        """Open an empty row store at `path`; the left-over of a killed run is replaced."""
        self._path = path
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise _unusable(path, exc) from exc
        with self._errors_wrapped():
            self._db = sqlite3.connect(path, isolation_level=None)
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute("CREATE TABLE rows (key INTEGER PRIMARY KEY, value TEXT NOT NULL)")

    def put(self, key: int, value: Stored) -> None:
        """Store one value, replacing that of the same key."""
        self.put_many([(key, value)])

    def put_many(self, rows: Iterable[tuple[int, Stored]]) -> None:
        """Store values as they come from `rows`, in one transaction.

        If `rows` itself raises, what came before stays: without a journal there is no way back.
        """
        with self._errors_wrapped():
            self._db.execute("BEGIN")
            try:
                self._db.executemany("REPLACE INTO rows VALUES (?, ?)", ((key, _dump(value)) for key, value in rows))
            finally:
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("COMMIT")

    def get(self, key: int) -> Any:
        """Return the value of `key`. Raises KeyError if there is none."""
        if (value := self.find(key)) is None:
            raise KeyError(key)
        return value

    def find(self, key: int) -> Any:
        """Return the value of `key`, or None if there is none."""
        with self._errors_wrapped():
            row = self._db.execute("SELECT value FROM rows WHERE key = ?", (key,)).fetchone()
        return row and json.loads(row[0])

    def items(self) -> Iterator[tuple[int, Any]]:
        """Yield all keys and values in key order.

        No cursor stays open between pages, so rows may be put meanwhile: those beyond the present
        page will be seen.
        """
        after: int | None = None
        while page := self._page(after):
            yield from ((key, json.loads(text)) for key, text in page)
            after = page[-1][0]

    def _page(self, after: int | None) -> list[tuple[int, str]]:
        where = "" if after is None else "WHERE key > ?"
        query = f"SELECT key, value FROM rows {where} ORDER BY key LIMIT {PAGE}"
        with self._errors_wrapped():
            return self._db.execute(query, () if after is None else (after,)).fetchall()

    def __len__(self) -> int:
        with self._errors_wrapped():
            return int(self._db.execute("SELECT count(*) FROM rows").fetchone()[0])

    def close(self) -> None:
        """Close and delete the file; a second call does nothing."""
        self._db.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> "RowStore":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _errors_wrapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise _unusable(self._path, exc) from exc


def _unusable(path: Path, exc: Exception) -> DataError:
    return DataError(f"cannot use the scratch file {path} ({exc}): check its folder's free space and permissions")


def _dump(value: Stored) -> str:
    """Return `value` as JSON, escaped to ASCII only if it holds half a surrogate pair, which UTF-8 cannot encode."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
