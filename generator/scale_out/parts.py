"""A partition and its files. All of them appear as a whole, so it is finished or it is not, whoever was killed.

log/part-100-000012.….jsonl      its completions while it is under way, each as it comes
journal/part-100-000012.parquet  its completions
rows/part-100-000012.parquet     what became of its rows, before the near-copy filter
done/part-100-000012.….json      written last: what the partition was made from, and what it came to
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

from generator.scale_out.layout import Partitions
from utils.errors import DataError
from utils.journal import RECORD, Recorded, as_record, still_right
from utils.results import Columns, Record, dumps, parquet_bytes, parquet_rows
from utils.schema import Completion, Request, SeedInstruction, Usage
from utils.storage import Store

ROW: Columns = {"key": int, "id": int, "kind": str, "text": str, "record": str}
Rows = list[tuple[int, Record]]  # by row key, as on a spool
Archive = Callable[[bytes], Recorded | None]  # completions that were paid for elsewhere, by key


@dataclass(frozen=True, slots=True)
class Counts:
    """What a finished partition came to; `calls` are its completions by stage."""

    rows: int
    evolved: int
    unavailable: int
    calls: dict[str, int]


class Parts:
    """The partitions of one run on a store; `work` stands for what is done with them."""

    def __init__(self, store: Store, seeds: Store, partitions: Partitions, work: str) -> None:
        self.store = store
        self.partitions = partitions
        self._seeds = seeds
        self._work = work

    def todo(self) -> list[int]:
        """The partitions that are yet to be made; what was made from anything else is no longer called done.

        One in which rows went without an answer is made again: their completions are asked for, no others.
        """
        made = set(self.store.names("done"))
        wanted = [self._done(number) for number in range(len(self.partitions))]
        self.store.delete(made - set(wanted))
        return [number for number, name in enumerate(wanted) if name not in made]

    def other_journals(self) -> list[str]:
        """Names of journals and logs of partitions of another size, as of a smaller data set."""
        names = (*self.store.names("journal"), *self.store.names("log"))
        return [name for name in names if _size_and_number(name)[0] != self.partitions.size]

    def open(self, number: int, attempt: str, others: Iterable[str] = (), archive: Archive | None = None) -> "Part":
        """A partition to be worked on, by an attempt of its own name; `others` are journals that may be of use."""
        name = self.partitions.name(number)
        own, spare = self._logged(name), {}
        for other in others:
            if _overlap(other, self.partitions.size, number):
                spare.update(self._read_completions(other))
        seeds, aside = self.partitions.read(self._seeds, number)
        return Part(number, seeds, aside, PartLog(self.store, f"log/{name}.{attempt}.jsonl", own, spare, archive))

    def _logged(self, name: str) -> dict[str, Recorded]:
        found: dict[str, Recorded] = {}
        for file in (f"journal/{name}.parquet", *self._logs(name)):
            found.update(self._read_completions(file))
        return found

    def _logs(self, name: str) -> list[str]:
        # The folder holds little else: a log is deleted when its partition is finished.
        return [log for log in self.store.names("log") if log.startswith(f"log/{name}.")]

    def _read_completions(self, file: str) -> dict[str, Recorded]:
        content = self.store.read(file)
        if content is None:
            return {}
        records = parquet_rows(content) if file.endswith(".parquet") else _lines(content)
        return {record["key"]: record for record in records}

    def finish(self, part: "Part", rows: Rows) -> Counts:
        """Write the files of a partition whose `rows` have come to their end."""
        part.log.append(part.log.taken())
        name = self.partitions.name(part.number)
        completions = list(part.log.own.values())
        kinds = Counter(kind for _, (kind, _) in rows)
        calls = Counter(record["stage"] for record in completions)
        counts = Counts(len(rows), kinds["evolved"], kinds["unavailable"], dict(calls))
        logs = self._logs(name)
        self.store.write(f"journal/{name}.parquet", parquet_bytes(completions, RECORD))
        self.store.write(f"rows/{name}.parquet", parquet_bytes(map(_row_record, sorted(rows, key=_key)), ROW))
        self.store.write(self._done(part.number, counts.unavailable), dumps(asdict(counts)).encode())
        self.store.delete(logs)
        return counts

    def _done(self, number: int, unavailable: int = 0) -> str:
        name = f"{self.partitions.name(number)}.{self.partitions.source(number, self._work)}"
        return f"done/{name}.{'unavailable.' if unavailable else ''}json"

    def counts(self, number: int) -> Counts:
        """What a finished partition came to. Raises KeyError for one that is not finished."""
        for unavailable in (0, 1):
            if content := self.store.read(self._done(number, unavailable)):
                return Counts(**json.loads(content))
        raise KeyError(number)


def read_rows(store: Store, name: str) -> Iterator[tuple[int, Record]]:
    """The rows of a finished partition, by their keys in ascending order, before the near-copy filter."""
    for record in _row_records(store, name, ["key", "kind", "record"]):
        yield record["key"], [record["kind"], json.loads(record["record"])]


def read_texts(store: Store, name: str) -> list[tuple[int, int, str]]:
    """Key, id and instruction of what is new in a finished partition, in the order of keys."""
    records = _row_records(store, name, ["key", "id", "text"])
    return [(record["key"], record["id"], record["text"]) for record in records if record["text"] is not None]


def _row_records(store: Store, name: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    content = store.read(f"rows/{name}.parquet")
    if content is None:
        raise DataError(f"rows/{name}.parquet is gone from the run folder: delete its folder done, then run again")
    return parquet_rows(content, columns)


def _key(row: tuple[int, Record]) -> int:
    return row[0]


def _row_record(row: tuple[int, Record]) -> dict[str, Any]:
    key, (kind, record) = row
    is_new = kind == "evolved" and record["generation"]
    text = record["instruction"] if is_new else None
    return {"key": key, "id": record["id"], "kind": kind, "text": text, "record": dumps(record)}


def _overlap(name: str, size: int, number: int) -> bool:
    """Whether a journal `…/part-SIZE-NUMBER…` may hold completions of seeds of partition `number`."""
    other_size, other = _size_and_number(name)
    return other * other_size < (number + 1) * size and number * size < (other + 1) * other_size


def _size_and_number(name: str) -> tuple[int, int]:
    """What the name of a file says of its partition."""
    _, size, number = name.rpartition("/")[2].partition(".")[0].split("-")
    return int(size), int(number)


def _lines(content: bytes) -> Iterator[Recorded]:
    """The records of a log; a line that its writer did not live to finish is none."""
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


@dataclass(frozen=True, slots=True)
class Part:
    """A partition under way: its seeds, the rows among them that were set aside, its completions."""

    number: int
    seeds: list[SeedInstruction]
    aside: list
    log: "PartLog"


class PartLog:
    """The completions of a partition under way. Each new one is on the store before it is used, or soon after.

    `own` are those that belong to it; `spare` and `archive` were paid for elsewhere, and become its own when used.
    """

    def __init__(
        self, store: Store, name: str, own: dict[str, Recorded], spare: dict[str, Recorded], archive: Archive | None
    ) -> None:
        self.own = own
        self._store, self._name, self._spare, self._archive = store, name, spare, archive
        self._pending: list[bytes] = []

    def get(self, key: bytes) -> Recorded | None:
        text = key.hex()
        if record := self.own.get(text):
            return record
        found = self._spare.get(text) or (self._archive(key) if self._archive else None)
        if found:
            self._add(found)
        return found

    def put(self, record: Recorded) -> None:
        self._add(record)

    def _add(self, record: Recorded) -> None:
        self.own[record["key"]] = record
        self._pending.append(dumps(record).encode() + b"\n")
        if not self._store.flush_every:
            self.append(self.taken())

    def taken(self) -> bytes:
        """What is not on the store yet, for `append`, which may take its time."""
        pending, self._pending = self._pending, []
        return b"".join(pending)

    def append(self, content: bytes) -> None:
        """Raises DataError where the store fails."""
        if content:
            self._store.append(self._name, content)


class PartJournal:
    """What `JournaledLLM` takes for its journal in a worker: the completions of the partition under way.

    Partitions share the connections of a worker, not their completions; which one asks is a matter of context.
    """

    def __init__(self) -> None:
        self._log: ContextVar[PartLog] = ContextVar("log")

    def enter(self, log: PartLog) -> None:
        """From here on, and in tasks begun from here, completions are those of this partition."""
        self._log.set(log)

    def get(self, request: Request, key: bytes) -> Completion | None:
        record = self._log.get().get(key)
        if record is None:
            return None
        usage = Usage(record["input_tokens"], record["output_tokens"], record["cached_tokens"])
        completion = Completion(record["text"], record["failure"], usage)
        return completion if still_right(completion, record["max_tokens"], request.sampling.max_tokens) else None

    def holds_answers_of(self, model: str, base_url: str) -> bool:
        """Not known before a partition is opened."""
        return False

    def put(self, request: Request, completion: Completion, key: bytes) -> None:
        self._log.get().put(as_record(request, completion, key))
