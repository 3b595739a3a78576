"""Which rows of the data set are seeds, and which partition each belongs to: a table of chunks, no rows.

The data set is read once, in chunks of a thousand rows (`ingest.py`). Of a chunk the table knows how many rows it
has and how many of them are seeds; so the place of every row among all rows (its id) and of every seed among all
seeds (its number) follows by adding up. Groups of ten, and partitions of whole groups, are cut by these numbers, just
as one machine cuts them.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

from generator.group import GROUP_SIZE
from utils.dataset import SetAside
from utils.errors import DataError
from utils.results import Columns, parquet_bytes, parquet_rows
from utils.schema import Message, SeedInstruction
from utils.storage import Store

CHUNK = 1_000  # rows
SEED: Columns = dict.fromkeys(("text", "reference", "extra", "reason"), str)  # a chunk's file; seeds have no reason

Row = SeedInstruction | SetAside


def chunk_name(piece: int, start: int) -> str:
    """The file of the chunk that begins at row `start` of a piece of the data set."""
    return f"seeds/{piece:06}-{start:012}.parquet"


def write_chunk(store: Store, name: str, rows: list[Row]) -> str:
    """Write the rows of a chunk; returns a digest of them. Ids are not written: they follow from the layout."""
    records = [_seed_record(row) for row in rows]
    store.write(name, parquet_bytes(records, SEED))
    return sha256(json.dumps(records).encode()).hexdigest()[:16]


def _seed_record(row: Row) -> dict[str, str | None]:
    if isinstance(row, SetAside):
        return {"text": row.text, "reference": None, "extra": None, "reason": row.reason}
    extra = json.dumps([[astuple(turn) for turn in row.context], row.extra], ensure_ascii=False)
    return {"text": row.text, "reference": row.reference, "extra": extra, "reason": None}


@dataclass(frozen=True)
class Layout:
    """The chunks in row order: parallel arrays, and the ids of seeds that repeat an earlier one (ascending)."""

    pieces: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    seeds: np.ndarray  # usable ones that repeat nothing
    digests: np.ndarray
    repeated: np.ndarray

    @cached_property
    def first_ids(self) -> np.ndarray:
        """The id of the first row of every chunk; behind the last, the number of all rows."""
        return np.concatenate(([0], np.cumsum(self.rows, dtype=np.int64)))

    @cached_property
    def first_numbers(self) -> np.ndarray:
        """How many seeds come before every chunk; behind the last, the number of all seeds."""
        return np.concatenate(([0], np.cumsum(self.seeds, dtype=np.int64)))

    @property
    def total(self) -> int:
        return int(self.first_numbers[-1])

    def chunk_of_number(self, number: int) -> int:
        """The chunk that holds the seed with this number."""
        return int(np.searchsorted(self.first_numbers, number, side="right")) - 1

    def chunk_of_id(self, row_id: int) -> int:
        return int(np.searchsorted(self.first_ids, row_id, side="right")) - 1

    def read(self, store: Store, chunk: int) -> Iterator[Row]:
        """The rows of a chunk, with their ids. Raises DataError where its file is gone."""
        name, first_id = chunk_name(self.pieces[chunk], self.starts[chunk]), int(self.first_ids[chunk])
        content = store.read(name)
        if content is None:
            raise DataError(f"{name} is gone from the run folder: delete its folder seeds, then run again")
        repeated = self._repeated_between(chunk)
        for row_id, record in enumerate(parquet_rows(content), first_id):
            if record["reason"] is not None or row_id in repeated:
                yield SetAside(row_id, record["text"], record["reason"] or "duplicate")
            else:
                context, extra = json.loads(record["extra"])
                turns = tuple(Message(*turn) for turn in context)
                yield SeedInstruction(row_id, record["text"], record["reference"], turns, extra)

    def _repeated_between(self, chunk: int) -> set[int]:
        low, high = np.searchsorted(self.repeated, self.first_ids[chunk : chunk + 2])
        return set(self.repeated[low:high].tolist())

    def digest(self, chunk: int) -> str:
        """Stands for the rows of a chunk, their ids and numbers."""
        places = (int(self.first_ids[chunk]), int(self.first_numbers[chunk]), sorted(self._repeated_between(chunk)))
        return f"{self.digests[chunk]} {places}"

    def to_bytes(self) -> bytes:
        sink = io.BytesIO()
        np.savez_compressed(sink, **{name: getattr(self, name) for name in Layout.__dataclass_fields__})
        return sink.getvalue()

    @staticmethod
    def from_bytes(content: bytes) -> "Layout":
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Layout(**{name: arrays[name] for name in Layout.__dataclass_fields__})


@dataclass(frozen=True)
class Partitions:
    """The seeds of a layout in partitions of `size`, each with the rows set aside that follow its seeds.

    With a `limit` only so many seeds count, and no rows that were set aside.
    """

    layout: Layout
    size: int
    limit: int | None = None

    @property
    def seeds(self) -> int:
        return min(self.layout.total, self.limit or self.layout.total)

    def __len__(self) -> int:
        return -(-self.seeds // self.size)

    def name(self, number: int) -> str:
        return f"part-{self.size}-{number:06}"

    @property
    def names(self) -> list[str]:
        """The names of all partitions, by their numbers."""
        return [self.name(number) for number in range(len(self))]

    @cached_property
    def _of_chunks(self) -> np.ndarray:
        """Between any two chunks, the partition that has come last."""
        # A row that was set aside belongs to the seed before it, the first ones to the first seed.
        return np.maximum(self.layout.first_numbers - 1, 0) // self.size

    def chunks(self, number: int) -> range:
        """The chunks in which a partition has rows."""
        first, last = self._of_chunks[:-1], self._of_chunks[1:]
        return range(int(np.searchsorted(last, number)), int(np.searchsorted(first, number, side="right")))

    def read(self, store: Store, number: int) -> tuple[list[SeedInstruction], list[SetAside]]:
        """The seeds and the rows set aside of a partition, in their order."""
        seeds: list[SeedInstruction] = []
        aside: list[SetAside] = []
        for chunk in self.chunks(number):
            passed = int(self.layout.first_numbers[chunk])  # seeds before the row at hand
            for row in self.layout.read(store, chunk):
                if isinstance(row, SeedInstruction):
                    passed += 1
                    if (passed - 1) // self.size == number and passed <= self.seeds:
                        seeds.append(row)
                elif max(passed - 1, 0) // self.size == number and not self.limit:
                    aside.append(row)
        return seeds, aside

    def source(self, number: int, work: str) -> str:
        """Stands for what a partition is made from; `work` for what is done with it."""
        parts = [work, self.name(number), str(self.limit), *map(self.layout.digest, self.chunks(number))]
        return sha256("\0".join(parts).encode()).hexdigest()[:16]


def partition_size(seeds: int) -> int:
    """Seeds of a partition: whole groups, few enough to be shared out, many enough that files stay few."""
    return GROUP_SIZE * (1 if seeds <= 1_000 else 10 if seeds <= 100_000 else 100 if seeds <= 10_000_000 else 1_000)
