"""The journal: every completion, written before it is used. Resuming is replaying.

One SQLite file (`x.run/journal.sqlite`). A row is keyed by a hash of what determines the completion:
model, messages, sampling fields and draw. `max_tokens` is kept beside the key, not in it: an answer
that ended by itself stays right under a larger limit, one that was cut does not. Faults of the
endpoint are never written, so that a rerun asks again; what the server refused is, and holds until the
llm-config is another one.
"""

import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from utils.errors import JournalError
from utils.files.lines import lines_of
from utils.schema import AnsweredBy, Completion, Failure, Message, Request, Sampling, Usage, as_extra

log = logging.getLogger(__name__)

APPLICATION_ID = 0x45766F4C  # "EvoL": tells our journal from any other SQLite file
SCHEMA_VERSION = 2
IN_USE = 1_000  # added to the version while a journal is open: one that is not closed has a `-wal` file beside it
PATIENCE = 5.0  # seconds to wait for another program that holds the file
LARGEST = 2**63 - 1  # what an SQLite integer holds
SCHEMA = """
CREATE TABLE completion (
    key BLOB NOT NULL UNIQUE, stage TEXT NOT NULL, model TEXT NOT NULL, draw TEXT NOT NULL,
    sampling TEXT NOT NULL, messages BLOB NOT NULL, text TEXT NOT NULL, failure TEXT, max_tokens INTEGER,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL
)"""
SINCE_VERSION_2 = ("reasoning", "reply_model", "fingerprint", "said", "llm_config")
OF_REQUEST = "stage, model, draw, sampling, messages"
OF_VERSION_1 = "text, failure, max_tokens, input_tokens, output_tokens, cached_tokens"
COLUMNS = ", ".join((OF_VERSION_1, *SINCE_VERSION_2))
INSERT = f"INSERT OR REPLACE INTO completion (key, {OF_REQUEST}, {COLUMNS}) VALUES ({', '.join('?' * 17)})"
IS_FULL = "SELECT 1 FROM completion WHERE key = ? AND failure IS NULL"
FAILURES = (None, *(failure for failure in get_args(Failure) if failure != "unavailable"))


def request_key(request: Request) -> bytes:
    """Hash what determines the completion of `request`, except for `max_tokens`, into 16 bytes."""
    sampling = request.sampling
    parts = [request.model, sampling.temperature, sampling.top_p, sampling.seed, request.draw]
    if sampling.extra:
        parts.append(sampling.extra)
    digest = hashlib.sha256(json.dumps(parts).encode())
    for message in request.messages:
        content = message.content.encode("utf-8", "surrogatepass")
        digest.update(f"\0{message.role}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.digest()[:16]


def _key_of_cut(key: bytes, max_tokens: int | None) -> bytes:
    """Return the key of a cut answer beside the full one at `key`, which a lower `max_tokens` must not overwrite."""
    return hashlib.sha256(key + str(max_tokens).encode()).digest()[:16]


def _create_table(db: sqlite3.Connection) -> None:
    db.execute(SCHEMA)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    _upgrade(db)


def _upgrade(db: sqlite3.Connection) -> None:
    """Add the columns that version 1 lacked; its rows keep all they had."""
    for name in SINCE_VERSION_2:
        db.execute(f"ALTER TABLE completion ADD COLUMN {name} TEXT")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _create_file(path: Path) -> None:
    """Create an empty journal in one step: a process killed here leaves no half of one."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with closing(sqlite3.connect(temporary, isolation_level=None)) as db:
        _create_table(db)
        db.execute("PRAGMA journal_mode = WAL")
    temporary.replace(path)


def _opened_for_writing(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
    try:
        # NORMAL: a killed process loses nothing, a power cut at most the last moments, never the file.
        db.execute("PRAGMA synchronous = NORMAL")
        # A file that cannot be written, or is locked, shows now, before anything is paid. BEGIN alone would not do:
        # SQLite lets it pass on a read-only file.
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone() == (1,):
            _upgrade(db)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + IN_USE}")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the file itself says that it is in use
    except BaseException:
        db.close()
        raise
    return db


class Journal:
    """Completions by request, on disk. Use it from one thread; it is closed with `close`.

    `path` None keeps it in memory (a replay that is thrown away, tests).
    Raises JournalError for a file that is torn, foreign, of another version or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._seen: set[str] = set()  # llm-configs of answers, other than the present one
        self._told = False
        try:
            if path is None:
                self._db = sqlite3.connect(":memory:", isolation_level=None)
                _create_table(self._db)
            else:
                self._verify(path) if path.exists() else _create_file(path)
                self._db = _opened_for_writing(path)
        except (sqlite3.Error, OSError) as exc:
            raise self._error(exc) from exc

    def _verify(self, path: Path) -> None:
        is_alone = not path.with_name(path.name + "-wal").exists()
        # Read-only: closing a connection that may write would change a file that is then found to be torn.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID:
                raise JournalError(f"{path} is not a journal of this program; move it away or choose --save-path")
            if version == SCHEMA_VERSION + IN_USE and is_alone:
                log.warning(
                    "%s was in use when it was copied, and its -wal file is not beside it: the last answers may be "
                    "missing; copy both files, or have them asked for again",
                    path,
                )
            if not 1 <= version % IN_USE <= SCHEMA_VERSION:
                raise JournalError(
                    f"{path} is of journal version {version}, and this program knows up to {SCHEMA_VERSION}; "
                    "use the newer program that wrote it, or start with --fresh"
                )
            (check,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if check != "ok":
                raise sqlite3.DatabaseError(check)

    def _error(self, exc: Exception) -> JournalError:
        cause = " ".join(str(exc).split())
        is_damaged = isinstance(exc, (zlib.error, ValueError, TypeError)) or "decode" in cause
        if is_damaged:
            cause = f"it is damaged ({cause})"
        if is_damaged or type(exc) is sqlite3.DatabaseError:  # its subclasses are for what is wrong around the file
            remedy = "restore it from a copy, or set it aside with --fresh"
        elif "locked" in cause:
            remedy = "close the program that holds it, then run again"
        else:
            remedy = "check space and permissions"
        return JournalError(f"journal {self.path}: {cause}; {remedy}")

    def get(self, request: Request, key: bytes | None = None) -> Completion | None:
        """Return the recorded completion of `request`; None if none is right under its `max_tokens` and llm-config."""
        key = key or request_key(request)
        return self._right(request, key) or self._right(request, _key_of_cut(key, request.sampling.max_tokens))

    def _right(self, request: Request, key: bytes) -> Completion | None:
        row = self._one(f"SELECT {COLUMNS} FROM completion WHERE key = ?", key)
        if row is None:
            return None
        if not _undamaged(row):
            raise self._error(TypeError("an answer is no text"))
        text, failure, limit_then, *tokens, reasoning, model, fingerprint, said, llm_config = row
        answered_by = AnsweredBy(model or "", fingerprint or "")
        completion = Completion(text, failure, Usage(*tokens), reasoning, answered_by, said)
        if llm_config and llm_config != request.llm_config:
            self._note_other(llm_config, request)
        if completion.failure in LASTING and (llm_config or "") != request.llm_config:
            return None
        return completion if still_right(completion, limit_then, request.sampling.max_tokens) else None

    def _note_other(self, llm_config: str, request: Request) -> None:
        """Warn once that answers come from another endpoint than the one which would be asked now."""
        if llm_config in self._seen or not request.llm_config:
            return
        self._seen.add(llm_config)
        then, now = (json.loads(text).get("base_url") for text in (llm_config, request.llm_config))
        if then != now and not self._told:
            self._told = True
            log.warning("answers of %s in the journal came from %s, not from %s", request.model, then, now)

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
            return row
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement of a part of the program that keeps a table of its own in this file; return its rows."""
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def holds_answers_of(self, model: str, base_url: str) -> bool:
        """Tell whether this model has answered at this address before.

        Answers that an older program wrote count, as they do not say where they came from.
        """
        query = """SELECT 1 FROM completion WHERE model = ? AND failure IS NULL
            AND (llm_config IS NULL OR json_extract(llm_config, '$.base_url') = ?) LIMIT 1"""
        return self._one(query, model, base_url) is not None

    def put(self, request: Request, completion: Completion, key: bytes | None = None) -> None:
        """Record a completion. It is safe from a killed process once this returns."""
        sampling = request.sampling
        key = key or request_key(request)
        if completion.failure == "length" and self._one(IS_FULL, key):
            key = _key_of_cut(key, sampling.max_tokens)
        messages = json.dumps([[m.role, m.content] for m in request.messages], ensure_ascii=False)
        usage, answered_by = completion.usage, completion.answered_by
        row = (
            *(key, request.kind, request.model, request.draw, json.dumps(_set_fields(sampling))),
            zlib.compress(messages.encode("utf-8", "surrogatepass"), 1),
            *(completion.text, completion.failure, sampling.max_tokens),
            *(usage.input_tokens, usage.output_tokens, usage.cached_tokens, completion.reasoning),
            *(answered_by.model or None, answered_by.fingerprint or None, completion.said, request.llm_config or None),
        )
        try:
            self._db.execute(INSERT, row)
        except sqlite3.Error as exc:
            raise self._error(exc) from exc

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM completion").fetchone()[0])

    def close(self) -> None:
        """Close the file, which then needs no other one beside it; a second call does nothing."""
        with suppress(sqlite3.Error):  # a full disk: what is in the `-wal` file stays there
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def export(self, path: Path, made_with: dict[str, Any] | None = None) -> int:
        """Write all completions as readable JSONL, in the order they came; return how many.

        `made_with` is the first line, if it is given: the `settings` and `prompts` that a replay has to be run with.
        """
        query = f"SELECT {OF_REQUEST}, {COLUMNS} FROM completion ORDER BY rowid"
        count = 0
        temporary = path.with_name(path.name + ".tmp")
        try:
            temporary.unlink(missing_ok=True)  # a link or a pipe of that name
            # Half a surrogate pair, which UTF-8 cannot hold, is written as JSON escapes it, which looks the same.
            with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
                if made_with is not None:
                    file.write(json.dumps(made_with, ensure_ascii=False) + "\n")
                for count, row in enumerate(self._db.execute(query), start=1):  # noqa: B007
                    file.write(json.dumps(_readable(row), ensure_ascii=False) + "\n")
            temporary.replace(path)
        except OSError as exc:
            with suppress(OSError):
                temporary.unlink()
            raise JournalError(f"cannot write {path}: {exc.strerror}; check --export-journal") from exc
        except (sqlite3.Error, zlib.error, ValueError, TypeError) as exc:
            with suppress(OSError):
                temporary.unlink()
            raise self._error(exc) from exc
        return count

    def load(self, path: Path) -> int:
        """Read in what `export` wrote, all or nothing; return how many completions.

        Keys are made anew from the content.
        """
        count = 0
        try:
            with self._db:
                self._db.execute("BEGIN")
                for count, (request, completion) in enumerate(_recorded(path), start=1):  # noqa: B007
                    self.put(request, completion)
        except sqlite3.Error as exc:
            raise self._error(exc) from exc
        return count


def _set_fields(sampling: Sampling) -> dict[str, Any]:
    fields = asdict(sampling) | {"extra": json.loads(sampling.extra or "null")}
    return {name: value for name, value in fields.items() if value is not None and name != "max_tokens"}


@dataclass(frozen=True, slots=True)
class CallHistory:
    """What a journal knows of one kind of call: its completions, and their mean tokens."""

    calls: int
    input_tokens: float
    output_tokens: float


def journal_history(path: Path) -> dict[str, CallHistory]:
    """Return the history of each kind of call in the journal at `path`, which is only read; {} if it cannot be read."""
    query = "SELECT stage, count(*), avg(input_tokens), avg(output_tokens) FROM completion GROUP BY stage"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return {kind: CallHistory(*figures) for kind, *figures in db.execute(query)}
    except sqlite3.Error:
        return {}  # the run itself will say what is wrong with it


# Failures that asking again will not mend while all stays as it is: they hold until the llm-config is another one.
LASTING = {"rejected", "too_long", "empty", "content_filter"}


def still_right(completion: Completion, limit_then: int | None, limit_now: int | None) -> bool:
    """Tell whether a completion made with a `max_tokens` of `limit_then` holds under `limit_now` (None: no limit)."""
    if completion.failure == "length":
        return limit_then == limit_now or (limit_then is not None and limit_now is not None and limit_now < limit_then)
    if limit_now is None or (limit_then is not None and limit_then <= limit_now):
        return True
    return 0 < completion.usage.output_tokens <= limit_now  # 0: the server did not say how long it is


def _undamaged(row: Sequence[Any]) -> bool:
    """Tell whether the first columns of an answer hold what is written there: texts, and whole numbers."""
    text, failure, limit, *tokens = row[:6]
    numbers = all(isinstance(number, int) for number in tokens) and isinstance(limit, int | None)
    return isinstance(text, str) and isinstance(failure, str | None) and numbers


def _readable(row: tuple[Any, ...]) -> dict[str, Any]:
    stage, model, draw, sampling, messages, text, failure, max_tokens, *others = row
    since = dict(zip(SINCE_VERSION_2, others[3:], strict=True))
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
        "usage": asdict(Usage(*others[:3])),
    } | {name: value for name, value in since.items() if value is not None}


def _recorded(path: Path) -> Iterator[tuple[Request, Completion]]:
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(lines_of(file, str(path)), start=1):
                record = json.loads(line)
                if number > 1 or "settings" not in record:
                    yield _read_back(record)
    except OSError as exc:
        raise JournalError(f"cannot read {path}: {exc.strerror}; check --replay") from exc
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise JournalError(f"{path}, line {number}: not a recorded completion; write it with --export-journal") from exc


def _read_back(record: dict[str, Any]) -> tuple[Request, Completion]:
    """Turn a record that `_readable` made back into what it was made from.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    texts = [record[name] for name in ("stage", "model", "draw", "text")]
    messages = tuple(Message(turn["role"], turn["content"]) for turn in record["messages"])
    sampling, usage = _sampling(record["sampling"]), Usage(**record["usage"])
    texts += [text for message in messages for text in (message.role, message.content)]
    since = {name: record.get(name) for name in SINCE_VERSION_2}
    tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    if not all(isinstance(text, str) for text in (*texts, *(text for text in since.values() if text is not None))):
        raise TypeError("a text is missing")
    if not all(isinstance(count, int) and 0 <= count <= LARGEST for count in (*tokens, sampling.max_tokens or 0)):
        raise TypeError("a count is not a whole number")
    if record["failure"] not in FAILURES:
        raise ValueError("an unknown failure")
    request = Request(record["stage"], record["model"], messages, sampling, record["draw"], since["llm_config"] or "")
    answered_by = AnsweredBy(since["reply_model"] or "", since["fingerprint"] or "")
    return request, Completion(record["text"], record["failure"], usage, since["reasoning"], answered_by, since["said"])


def _sampling(fields: dict[str, Any]) -> Sampling:
    extra = fields.get("extra")
    return Sampling(**fields | {"extra": None if extra is None else as_extra(extra)})
