"""From finished partitions to the result: near copies are taken out, and every partition is written once more.

Near copies are found as on one machine, in row order, but with the texts shared out over many processes (*shards*):
of a partition's new instructions, every shard says which are too close to one of its seeds or to an instruction that
was kept before; what passes all of them is compared within the partition, and kept in one of the shards. So the set is
the very same whatever the number of shards, while memory and time are divided by it.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from generator.scale_out.cluster import LOOK, MARK, Cluster, Place, cause_of, in_blocks
from generator.scale_out.ingest import kept_layout
from generator.scale_out.layout import Partitions
from generator.scale_out.parts import read_rows, read_texts
from utils.errors import DataError, EndpointError
from utils.measures.sample import row_rank
from utils.overlap import NearCopies
from utils.results import EVOLVED, REJECTED, Record, dumps, near_copy_record, parquet_bytes
from utils.run_folder import SUCCESS
from utils.schema import SeedInstruction
from utils.spool import Spool
from utils.tally import Tally

log = logging.getLogger(__name__)

SEEDS_OF_SHARD = 50_000  # before there are more shards
TRIES = 3  # of the filter, which begins anew when a node with a shard dies
WRITTEN_TOGETHER = 8  # partitions that one task writes: little work each
REJECTS = "rejects"
GATHERED = pa.schema([(name, pa.string()) for name in ("name", "tally", "rows", "error")])

Texts = list[tuple[int, int, str]]  # key, id, instruction


# --- Near copies --------------------------------------------------------------------------------


class Shard:
    """Some of the seeds and of the instructions that were kept."""

    def __init__(self, seeds: Place, max_overlap: float) -> None:
        self._seeds, self._near = seeds, NearCopies(max_overlap)

    def add_seeds(self, chunks: list[int]) -> None:
        """Take in the seeds of these chunks of the data set."""
        store = self._seeds.open()
        layout = kept_layout(store)
        for chunk in chunks:
            self._seeds.keeper.hear.remote()
            for row in layout.read(store, chunk):
                if isinstance(row, SeedInstruction):
                    self._near.add(row.id, row.text)

    def copies(self, texts: Texts) -> np.ndarray:
        """Which of `texts` are near copies of something here."""
        return np.array([self._near.closest(row_id, text) is not None for _, row_id, text in texts], bool)

    def keep(self, texts: Texts) -> None:
        for _, row_id, text in texts:
            self._near.add(row_id, text)


class Sieve:
    """Takes the partitions of a run one after the other, and asks the shards."""

    def __init__(self, made: Place, shards: list[Any], max_overlap: float) -> None:
        self._made, self._store = made, made.open()
        self._shards, self._max_overlap = shards, max_overlap

    def dropped(self, names: list[str]) -> dict[int, list[int]]:
        """Keys of near copies, by the number of the partition."""
        found = {number: self._of(number, name) for number, name in enumerate(names)}
        return {number: keys for number, keys in found.items() if keys}

    def _of(self, number: int, name: str) -> list[int]:
        self._made.keeper.hear.remote()
        texts = read_texts(self._store, name)
        shown = ray.put(texts)
        copies = np.any(ray.get([shard.copies.remote(shown) for shard in self._shards]), axis=0)
        near, kept, dropped = NearCopies(self._max_overlap), [], []
        for (key, row_id, text), is_copy in zip(texts, copies, strict=True):
            if is_copy or near.check(row_id, text):
                dropped.append(key)
            else:
                kept.append((key, row_id, text))
        ray.get(self._shards[number % len(self._shards)].keep.remote(kept))
        return dropped


async def near_copies(
    cluster: Cluster, made: Place, seeds: Place, partitions: Partitions, max_overlap: float
) -> dict[int, list[int]]:
    """Keys of near copies, by the number of the partition. Raises EndpointError where nodes die again and again."""
    for _ in range(TRIES):
        try:
            return await _sieved(cluster, made, seeds, partitions, max_overlap)
        except ray.exceptions.RayError as exc:
            news = cause_of(exc)
            log.warning("the near-copy filter begins anew: %s", news)
    raise EndpointError(f"the near-copy filter lost its processes again and again ({news}); {LOOK}")


async def _sieved(
    cluster: Cluster, made: Place, seeds: Place, partitions: Partitions, max_overlap: float
) -> dict[int, list[int]]:
    cpus = int(ray.cluster_resources().get("CPU", 1))
    count = max(1, min(cpus, partitions.seeds // SEEDS_OF_SHARD))
    shards = [cluster.remote(Shard, scheduling_strategy="SPREAD").remote(seeds, max_overlap) for _ in range(count)]
    sieve = cluster.remote(Sieve).remote(made, shards, max_overlap)
    chunks = range(len(partitions.layout.rows))
    for loading in [shard.add_seeds.remote(list(chunks[k::count])) for k, shard in enumerate(shards)]:
        await cluster.result(loading)
    return await cluster.result(sieve.dropped.remote(partitions.names))


# --- The result ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where the files of a run go: `made` holds its partitions, and takes the rejects; `result` takes the result.

    Rows are gathered whose rank (utils.measures.sample) is below `gathered`.
    """

    made: Place
    result: Place
    gathered: int

    def write(self, name: str, dropped: set[int]) -> tuple[Tally, list[tuple[int, Record]]]:
        """Write result and rejects of a partition; returns the count of its rows, and those that are gathered."""
        made = self.made.open()
        rows = [
            (key, near_copy_record(record) if key in dropped else [kind, record])
            for key, (kind, record) in read_rows(made, name)
        ]
        evolved = (record for _, (kind, record) in rows if kind == "evolved")
        rejects = (record for _, (kind, record) in rows if kind != "evolved")
        self.result.open().write(f"{name}.parquet", parquet_bytes(evolved, EVOLVED))
        made.write(f"{REJECTS}/{name}.parquet", parquet_bytes(rejects, REJECTED))
        drawn = [(key, row) for key, row in rows if row_rank(row[1]["id"], row[1]["generation"]) < self.gathered]
        return Tally.of(row for _, row in rows), drawn


def write_parts(batch: pa.Table, shelves: Shelves) -> Iterator[pa.Table]:
    """What a task of Ray Data does with some partitions; what a store refuses is a line with an `error`."""
    for line in batch.to_pylist():
        shelves.made.keeper.hear.remote()
        try:
            tally, drawn = shelves.write(line["name"], set(line["dropped"]))
        except DataError as exc:
            yield pa.Table.from_pylist([{"error": str(exc)}], GATHERED)
            continue
        yield pa.Table.from_pylist([{"name": line["name"], "tally": tally.to_json(), "rows": dumps(drawn)}], GATHERED)


async def publish_result(
    cluster: Cluster, shelves: Shelves, partitions: Partitions, dropped: dict[int, list[int]], rows: Spool
) -> Tally:
    """Write the result of all partitions, and put the rows that are gathered on `rows`; returns the count of all."""
    result, made = shelves.result.here(), shelves.made.here()
    names = partitions.names
    files = {f"{name}.parquet" for name in names}
    result.delete([SUCCESS])  # from here on until the end the folder is not complete
    result.delete(name for name in result.names("") if name.startswith("part-") and name not in files)
    made.delete(name for name in made.names(REJECTS) if name.rpartition("/")[2] not in files)
    tallies: dict[str, Tally] = {}

    def take(line: dict[str, Any]) -> None:
        if line["error"]:
            raise DataError(line["error"])
        if line["name"] not in tallies:
            tallies[line["name"]] = Tally.from_json(line["tally"])
            rows.put_many(json.loads(line["rows"]))

    def dataset() -> Any:
        lines = [{"name": name, "dropped": dropped.get(number, [])} for number, name in enumerate(names)]
        return in_blocks(lines, WRITTEN_TOGETHER).map_batches(
            write_parts, fn_args=(shelves,), batch_size=1, batch_format="pyarrow"
        )

    await cluster.stream(dataset, take)
    result.write(SUCCESS, b"")
    result.delete([MARK])
    total = Tally()
    for name in names:
        total.add(tallies[name])
    return total
