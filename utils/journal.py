"""The journal: every completion, written before it is used. Resuming is replaying.

One SQLite file (`x.run/journal.sqlite`). A row is keyed by a hash of what determines the completion:
model, messages, sampling fields and draw. `max_tokens` is kept beside the key, not in it: an answer
that ended by itself stays right under a larger limit, one that was cut does not. Faults of the
endpoint are never written, so that a rerun asks again.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from utils.errors import JournalError
from utils.schema import Completion, Message, Request, Sampling, Usage

APPLICATION_ID = 0x45766F4C  # "EvoL": tells our journal from any other SQLite file
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE completion (
    key BLOB NOT NULL UNIQUE, stage TEXT NOT NULL, model TEXT NOT NULL, draw TEXT NOT NULL,
    sampling TEXT NOT NULL, messages BLOB NOT NULL, text TEXT NOT NULL, failure TEXT, max_tokens INTEGER,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL
)"""
COLUMNS = "text, failure, max_tokens, input_tokens, output_tokens, cached_tokens"
INSERT = f"INSERT OR REPLACE INTO completion (key, stage, model, draw, sampling, messages, {COLUMNS}) VALUES " + (
    "(" + ", ".join("?" * 12) + ")"
)


def request_key(request: Request) -> bytes:
    """Sixteen bytes that stand for everything that determines the completion of `request`."""
    sampling = request.sampling
    parts = [request.model, sampling.temperature, sampling.top_p, sampling.seed, request.draw]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for message in request.messages:
        content = message.content.encode("utf-8", "surrogatepass")
        digest.update(f"\0{message.role}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.digest()[:16]


class Journal:
    """Completions by request, on disk. Use it from one thread; it is closed with `close`.

    `path` None keeps it in memory (a replay that is thrown away, tests).
    Raises JournalError for a file that is torn, foreign, of another version or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            existed = path is not None and path.exists() and path.stat().st_size > 0
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._verify() if existed else self._create()
            # NORMAL: a killed process loses nothing, a power cut at most the last moments, never the file.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        except (sqlite3.Error, OSError) as exc:
            raise self._error(exc) from exc

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(SCHEMA)
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._db.execute("COMMIT")

    def _verify(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if application == 0 and version == 0 and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._create()  # killed between making the file and its table: there is nothing to lose
            return
        if application != APPLICATION_ID:
            raise JournalError(f"{self.path} is not a journal of this program; move it away or choose --save-path")
        if version != SCHEMA_VERSION:
            raise JournalError(f"{self.path} is of journal version {version}, not {SCHEMA_VERSION}; start with --fresh")
        (check,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise sqlite3.DatabaseError(check)

    def _error(self, exc: Exception) -> JournalError:
        cause = " ".join(str(exc).split())
        torn = "malformed" in cause or "not a database" in cause or "Tree" in cause or "page" in cause.lower()
        remedy = "restore it from a copy, or set it aside with --fresh" if torn else "check space and permissions"
        return JournalError(f"journal {self.path}: {cause}; {remedy}")

    def get(self, request: Request, key: bytes | None = None) -> Completion | None:
        """The recorded completion of `request`, if it is still right under its `max_tokens`."""
        try:
            row = self._db.execute(
                f"SELECT {COLUMNS} FROM completion WHERE key = ?", (key or request_key(request),)
            ).fetchone()
        except sqlite3.Error as exc:
            raise self._error(exc) from exc
        if row is None:
            return None
        text, failure, limit_then, *tokens = row
        completion = Completion(text, failure, Usage(*tokens))
        return completion if _still_right(completion, limit_then, request.sampling.max_tokens) else None

    def put(self, request: Request, completion: Completion, key: bytes | None = None) -> None:
        """Record a completion. It is safe from a killed process once this returns."""
        sampling = request.sampling
        fields = {name: value for name, value in asdict(sampling).items() if value is not None and name != "max_tokens"}
        messages = json.dumps([[m.role, m.content] for m in request.messages], ensure_ascii=False)
        usage = completion.usage
        row = (
            key or request_key(request),
            *(request.stage, request.model, request.draw, json.dumps(fields)),
            zlib.compress(messages.encode("utf-8", "surrogatepass"), 1),
            *(completion.text, completion.failure, sampling.max_tokens),
            *(usage.input_tokens, usage.output_tokens, usage.cached_tokens),
        )
        try:
            self._db.execute(INSERT, row)
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def __len__(self) -> int:
        return self._db.execute("SELECT count(*) FROM completion").fetchone()[0]

    def close(self) -> None:
        self._db.close()

    def export(self, path: Path) -> int:
        """Write all completions as readable JSONL, in the order they came; return how many."""
        query = f"SELECT stage, model, draw, sampling, messages, {COLUMNS} FROM completion ORDER BY rowid"
        count = 0
        temporary = path.with_name(path.name + ".tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                for count, row in enumerate(self._db.execute(query), start=1):  # noqa: B007
                    file.write(json.dumps(_readable(row), ensure_ascii=False) + "\n")
            temporary.replace(path)
        except OSError as exc:
            raise JournalError(f"cannot write {path}: {exc.strerror}; check --export-journal") from exc
        return count

    def load(self, path: Path) -> int:
        """Take in what `export` wrote; return how many completions. Keys are made anew from the content."""
        self._db.execute("BEGIN")
        count = 0
        for count, (request, completion) in enumerate(_recorded(path), start=1):  # noqa: B007
            self.put(request, completion)
        self._db.execute("COMMIT")
        return count


def _still_right(completion: Completion, limit_then: int | None, limit_now: int | None) -> bool:
    """Would the server give the same text today, under another `max_tokens`?"""
    if completion.failure == "length":
        return limit_then == limit_now or (None not in (limit_then, limit_now) and limit_now < limit_then)
    return limit_now is None or limit_then == limit_now or completion.usage.output_tokens <= limit_now


def _readable(row: tuple[Any, ...]) -> dict[str, Any]:
    stage, model, draw, sampling, messages, text, failure, max_tokens, *tokens = row
    return {
        "stage": stage,
        "model": model,
        "draw": draw,
        "sampling": json.loads(sampling) | ({} if max_tokens is None else {"max_tokens": max_tokens}),
        "messages": [
            {"role": role, "content": content}
            for role, content in json.loads(zlib.decompress(messages).decode("utf-8", "surrogatepass"))
        ],
        "text": text,
        "failure": failure,
        "usage": asdict(Usage(*tokens)),
    }


def _recorded(path: Path) -> Iterator[tuple[Request, Completion]]:
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):  # noqa: B007
                record = json.loads(line)
                messages = tuple(Message(m["role"], m["content"]) for m in record["messages"])
                sampling = Sampling(**record["sampling"])
                request = Request(record["stage"], record["model"], messages, sampling, record["draw"])
                yield request, Completion(record["text"], record["failure"], Usage(**record["usage"]))
    except OSError as exc:
        raise JournalError(f"cannot read {path}: {exc.strerror}; check --replay") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise JournalError(f"{path}, line {number}: not a recorded completion; write it with --export-journal") from exc
