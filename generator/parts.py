"""A run in partitions: rows by the hundred, whose results are Parquet files in the run folder.

    x.run/parts/seeds/part-00012.json        what a worker is given; deleted once the partition is finished
    x.run/parts/journal/part-00012.parquet   its completions
    x.run/parts/rejects/part-00012.parquet   its eliminated and unavailable rows
    x.run/parts/evolved/part-00012.parquet   its evolved rows, before the near-copy filter
    x.run/parts/done/part-00012.json         written last: what the partition was made from, and its counts

Every file appears as a whole, so a partition is finished or it is not, whoever was killed.
"""

import heapq
import json
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from generator.group import GROUP_SIZE
from utils.errors import DataError
from utils.results import EVOLVED, Columns, Record, dumps, replacing, write_rows
from utils.schema import Completion, Reject, Request, SeedInstruction, Usage
from utils.spool import Spool

REJECTED: Columns = dict.fromkeys(Reject.__dataclass_fields__, str) | {
    **dict.fromkeys(("id", "generation", "attempts"), int),
    "kind": str,
}
COMPLETION: Columns = {
    **dict.fromkeys(("key", "stage", "model", "draw", "sampling", "messages", "text", "failure"), str),
    **dict.fromkeys(("max_tokens", "input_tokens", "output_tokens", "cached_tokens"), int),
}
KINDS = ("seeds", "journal", "rejects", "evolved", "done")

Rows = list[tuple[int, Record]]  # by row key, as on a spool
Completions = dict[str, dict[str, Any]]  # by key; the columns of COMPLETION


def partition_size(total: int) -> int:
    """Rows of a partition: whole groups, few enough to lose, many enough that files and tasks stay few.

    It changes in steps, so that a data set that grows keeps its finished partitions.
    """
    return GROUP_SIZE * (1 if total <= 1_000 else 10 if total <= 100_000 else 100)


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is given: the seeds of a partition, and completions that are paid for already."""

    number: int
    seeds: list[SeedInstruction]
    completions: Completions


@dataclass(frozen=True, slots=True)
class Counts:
    """What a finished partition came to. `source` is a digest of what it was made from; `calls` are by stage."""

    source: str
    rows: int
    evolved: int
    unavailable: int
    calls: dict[str, int]


class Parts:
    """The partitions of one run, in a folder on the driver's disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            for kind in KINDS:
                (folder / kind).mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise DataError(f"cannot make {folder}: {exc.strerror}; free space or check permissions") from exc

    def path(self, kind: str, number: int) -> Path:
        suffix = "json" if kind in ("seeds", "done") else "parquet"
        return self._folder / kind / f"part-{number:05}.{suffix}"

    def lay_out(self, seeds: Iterable[SeedInstruction], size: int, work: str) -> "Layout":
        """Cut `seeds` into partitions, and write what workers need for those that are not finished.

        `work` says what is done with the seeds: a partition made from anything else is made again.
        """
        iterator, first_ids, todo = iter(seeds), array("q"), []
        while part := list(islice(iterator, size)):
            number, text = len(first_ids), dumps([asdict(seed) for seed in part])
            first_ids.append(part[0].id)
            source = sha256(f"{work}\0{text}".encode()).hexdigest()[:16]
            counts = self.counts(number)
            if counts is None or counts.source != source or counts.unavailable:
                self.path("done", number).unlink(missing_ok=True)
                self._write("seeds", number, dumps({"source": source, "seeds": text}))
                todo.append(number)
        self._forget(len(first_ids))
        return Layout(first_ids, todo)

    def _forget(self, count: int) -> None:
        """Remove what a longer data set has left, so that the folders hold this run and nothing else."""
        for kind in KINDS:
            for path in (self._folder / kind).glob("part-*"):
                if int(path.stem.removeprefix("part-")) >= count:
                    path.unlink()

    def _write(self, kind: str, number: int, text: str) -> None:
        with replacing(self.path(kind, number)) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def counts(self, number: int) -> Counts | None:
        """What a finished partition came to; None for one that is not finished."""
        try:
            return Counts(**json.loads(self.path("done", number).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as exc:
            raise DataError(f"cannot read {self.path('done', number)}: delete it, then run again") from exc

    def task(self, number: int) -> Task:
        """What a worker needs for a partition."""
        seeds = json.loads(json.loads(self.path("seeds", number).read_text(encoding="utf-8"))["seeds"])
        return Task(number, [SeedInstruction(**seed) for seed in seeds], self.completions(number))

    def completions(self, number: int) -> Completions:
        path = self.path("journal", number)
        return {record["key"]: record for record in _read(path)} if path.exists() else {}

    def keep(self, number: int, completions: Completions) -> None:
        """Keep what was paid for, of a partition that is not finished as well."""
        write_rows(self.path("journal", number), completions.values(), COMPLETION)

    def finish(self, number: int, rows: Rows, completions: Completions) -> Counts:
        """Write a partition's files; it is finished when the last one stands. Returns what it came to."""
        evolved = [record for _, (kind, record) in rows if kind == "evolved"]
        rejects = [record | {"kind": kind} for _, (kind, record) in rows if kind != "evolved"]
        unavailable = sum(reject["kind"] == "unavailable" for reject in rejects)
        source = json.loads(self.path("seeds", number).read_text(encoding="utf-8"))["source"]
        calls = Counter(record["stage"] for record in completions.values())
        counts = Counts(source, len(rows), len(evolved), unavailable, dict(calls))
        self.keep(number, completions)
        write_rows(self.path("rejects", number), rejects, REJECTED)
        write_rows(self.path("evolved", number), evolved, EVOLVED)
        self._write("done", number, dumps(asdict(counts)))
        self.path("seeds", number).unlink()
        return counts

    def rows(self, number: int) -> Iterator[Record]:
        """The rows of a finished partition, in the order of their ids and generations."""
        rejects = (
            [record["kind"], {name: value for name, value in record.items() if name != "kind"}]
            for record in _read(self.path("rejects", number))
        )
        evolved = (["evolved", record] for record in _read(self.path("evolved", number)))
        return heapq.merge(rejects, evolved, key=lambda row: (row[1]["id"], row[1]["generation"]))


def _read(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(1_000):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"cannot read {path} ({exc}); delete the folder above it, then run again") from exc


@dataclass(frozen=True, slots=True)
class Layout:
    """The partitions of a run: the id of the first seed of each, and the numbers of those yet to be made."""

    first_ids: array
    todo: Sequence[int]


class PartRows:
    """All rows of a run as a spool shows them: finished partitions, under what was put here since.

    It holds one partition at a time. `spool` keeps what is put; `key_of` tells a row's key from id and generation.
    """

    def __init__(self, parts: Parts, layout: Layout, spool: Spool, generations: int) -> None:
        self._parts, self._first_ids, self._spool = parts, layout.first_ids, spool
        self._generations = max(1, generations)
        counts = (parts.counts(number) for number in range(len(layout.first_ids)))
        self._count = len(spool) + sum(count.rows for count in counts if count)

    def put(self, key: int, value: Record) -> None:
        """Put another record in the place of a row's own."""
        self._spool.put(key, value)

    def items(self) -> Iterator[tuple[int, Record]]:
        last = None
        for key, value in heapq.merge(self._spool.items(), self._parted(), key=lambda row: row[0]):
            if key != last:  # of two with one key the merge gives the spool's first
                yield key, value
            last = key

    def _parted(self) -> Iterator[tuple[int, Record]]:
        for number in range(len(self._first_ids)):
            yield from self._keyed(number)

    def _keyed(self, number: int) -> Iterator[tuple[int, Record]]:
        """Keys as `RunConfig.row_key` makes them: by id, and by place where a seed has a row per generation."""
        seen: Counter[int] = Counter()
        for kind, record in self._parts.rows(number):
            yield record["id"] * self._generations + seen[record["id"]], [kind, record]
            seen[record["id"]] += 1

    def get(self, key: int) -> Record:
        """The record of `key`; raises KeyError if there is none."""
        try:
            return self._spool.get(key)
        except KeyError:
            number = bisect_right(self._first_ids, key // self._generations) - 1
            return dict(self._keyed(number))[key] if number >= 0 else _missing(key)

    def __len__(self) -> int:
        return self._count


def _missing(key: int) -> Record:
    raise KeyError(key)


class PartJournal:
    """What `JournaledLLM` takes for its journal in a worker: the completions of the partition under way.

    Partitions share the connections of a worker, not their completions; which one asks is a matter of context.
    """

    def __init__(self) -> None:
        self._of_part: ContextVar[Completions] = ContextVar("completions")

    def open(self, completions: Completions) -> None:
        """From here on, and in tasks begun from here, completions are those of this partition."""
        self._of_part.set(completions)

    def get(self, request: Request, key: bytes) -> Completion | None:
        record = self._of_part.get().get(key.hex())
        if record is None or record["max_tokens"] != request.sampling.max_tokens:
            return None
        usage = Usage(record["input_tokens"], record["output_tokens"], record["cached_tokens"])
        return Completion(record["text"], record["failure"], usage)

    def put(self, request: Request, completion: Completion, key: bytes) -> None:
        sampling = asdict(replace(request.sampling, max_tokens=None))
        self._of_part.get()[key.hex()] = {
            "key": key.hex(),
            "stage": request.stage,
            "model": request.model,
            "draw": request.draw,
            "sampling": dumps({name: value for name, value in sampling.items() if value is not None}),
            "messages": _utf8(dumps([[message.role, message.content] for message in request.messages])),
            "text": _utf8(completion.text),
            "failure": completion.failure,
            "max_tokens": request.sampling.max_tokens,
            **asdict(completion.usage),
        }


def _utf8(text: str) -> str:
    """`text` with halves of surrogate pairs, which no Parquet file can hold, replaced."""
    return text.encode("utf-8", "replace").decode()
