"""The final run on a Ray cluster: rows go from store to store by way of workers; the driver sees tables and counts.

    cluster.py     the connection; what every process needs of the driver's node
    ingest.py      the data set, read in pieces; seeds.py runs that on the cluster
    layout.py      which rows are seeds, and which partition each belongs to
    parts.py       the files of a partition, its completions
    workers.py     what does partitions; desk.py hears of it, and keeps the budget
    final_run.py   passes over the partitions, whatever dies on the way
    publish.py     near copies, and the result

Only `--engine ray` imports this; it needs requirements-ray.txt.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator.scale_out.cluster import Cluster
from generator.scale_out.final_run import Work, make_partitions
from generator.scale_out.layout import partition_size
from generator.scale_out.parts import PartJournal
from generator.scale_out.publish import REJECTS, Shelves, near_copies, publish_result
from generator.scale_out.seeds import ClusterSeeds, read_seeds
from generator.scale_out.workers import Build, Hands, Plan
from utils.results import parquet_rows
from utils.spool import Spool
from utils.storage import Store
from utils.tally import Tally

log = logging.getLogger(__name__)

GATHERED = 100_000  # rows that come to the driver, for measures and report: all of a run of so many, else a sample


@dataclass(frozen=True, slots=True)
class Published:
    """A result in partitions: the count of its rows, and their records as streams, in row order."""

    tally: Tally
    _names: list[str]
    _made: Store
    _result: Store

    def evolved(self) -> Iterator[dict[str, Any]]:
        return self._records(self._result, "")

    def rejected(self) -> Iterator[dict[str, Any]]:
        return self._records(self._made, f"{REJECTS}/")

    def _records(self, store: Store, folder: str) -> Iterator[dict[str, Any]]:
        for name in self._names:
            yield from parquet_rows(store.read(f"{folder}{name}.parquet") or b"")


async def scale_out(
    seeds: ClusterSeeds,
    work: Work,
    roots: tuple[str, str],
    max_overlap: float,
    rows: Spool,
    limit: int | None = None,
) -> Published:
    """Make and publish all partitions; `roots` are the folder or URL of partitions and rejects, and of the result.

    With a `limit` only so many seeds count. Up to `GATHERED` rows are put on `rows`. Raises EndpointError where the
    cluster cannot go on, and what ends a run on one machine as well.
    """
    cluster, made = seeds.cluster, seeds.cluster.place(roots[0])
    plan = Plan(made, seeds.place, partition_size(min(len(seeds), limit or len(seeds))), limit, work.digest)
    parts = await make_partitions(cluster, work, plan)
    partitions = parts.partitions
    log.info("looking for near copies in %d partitions", len(partitions))
    dropped = await near_copies(cluster, made, seeds.place, partitions, max_overlap) if max_overlap < 1 else {}
    gathered = 2**64 * GATHERED // max(GATHERED, seeds.total * work.rows_of_seed)
    result = cluster.place(roots[1])
    tally = await publish_result(cluster, Shelves(made, result, gathered), partitions, dropped, rows)
    return Published(tally, partitions.names, made.here(), result.here())


__all__ = ["Build", "Cluster", "ClusterSeeds", "Hands", "PartJournal", "Published", "Work", "read_seeds", "scale_out"]
