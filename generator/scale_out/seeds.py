"""The seed set of a cluster: read there in pieces, in chunks on the store; the driver has the table of them alone."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import ray

from generator.scale_out.cluster import Cluster, Place, in_blocks, on_this_node
from generator.scale_out.ingest import (
    Piece,
    Survey,
    forget_layout,
    keep_layout,
    known_layout,
    made_from,
    pieces,
    read_piece,
)
from generator.scale_out.layout import Layout, Row
from utils.dataset import SeedSource
from utils.errors import DataError
from utils.schema import SeedInstruction

LINE = pa.schema(
    [
        *((name, pa.int64()) for name in ("piece", "start", "rows")),
        *((name, pa.binary()) for name in ("seeds", "texts")),
        *((name, pa.string()) for name in ("digest", "reasons", "error")),
        ("away", pa.bool_()),
    ]
)


class ClusterSeeds:
    """What a `SeedSet` gives, read from chunks. The rows that are no seeds come with the partitions.

    Its `cluster` is connected to until it is closed.
    """

    def __init__(self, cluster: Cluster, place: Place, layout: Layout) -> None:
        self.cluster = cluster
        self.place = place
        self.layout = layout
        self.ids = _Ids(self)
        self._store = place.here()
        self.rows = lru_cache(maxsize=8)(self._rows)

    def _rows(self, chunk: int) -> list[Row]:
        return list(self.layout.read(self._store, chunk))

    def __len__(self) -> int:
        return self.layout.total

    @property
    def total(self) -> int:
        """All rows of the data set."""
        return int(self.layout.first_ids[-1])

    def get(self, ids: Iterable[int]) -> list[SeedInstruction]:
        """The seeds of `ids`, in their order; KeyError for a row that is no seed."""
        return list(map(self._seed, ids))

    def _seed(self, row_id: int) -> SeedInstruction:
        chunk = self.layout.chunk_of_id(row_id)
        row = self.rows(chunk)[row_id - int(self.layout.first_ids[chunk])]
        if not isinstance(row, SeedInstruction):
            raise KeyError(row_id)
        return row

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that the result has because of these seeds."""
        return {}

    def __enter__(self) -> "ClusterSeeds":
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.close()


class _Ids(Sequence[int]):
    """The ids of all seeds, ascending; each is looked up when it is asked for."""

    def __init__(self, seeds: ClusterSeeds) -> None:
        self._seeds = seeds

    def __len__(self) -> int:
        return len(self._seeds)

    @overload
    def __getitem__(self, number: int) -> int: ...
    @overload
    def __getitem__(self, number: slice) -> list[int]: ...

    def __getitem__(self, number):
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        chunk = self._seeds.layout.chunk_of_number(number)
        seeds = [row for row in self._seeds.rows(chunk) if isinstance(row, SeedInstruction)]
        return seeds[number - int(self._seeds.layout.first_numbers[chunk])].id


async def read_seeds(cluster: Cluster, sources: Sequence[SeedSource], root: str, scratch: Path) -> ClusterSeeds:
    """Read the data set on the cluster, unless an earlier run with this `root` has read the very same one.

    Raises DataError for all that can be wrong with it.
    """
    try:
        place, found = cluster.place(root), pieces(sources)
        made, store = made_from(found), place.here()
        layout = known_layout(store, made)
        if layout is None:
            forget_layout(store)
            layout = (await _survey(cluster, found, place, Survey(scratch))).layout(sources)
            keep_layout(store, made, layout)
        return ClusterSeeds(cluster, place, layout)
    except BaseException:
        cluster.close()
        raise


async def _survey(cluster: Cluster, found: list[Piece], place: Place, survey: Survey) -> Survey:
    away: set[int] = set()

    def take(line: dict[str, Any]) -> None:
        if line["away"]:
            away.add(line["piece"])
        else:
            survey.take(line)

    numbers = list(range(len(found)))
    await cluster.stream(lambda: _reading(numbers, found, place), take)
    if left := sorted(away):  # files of the driver's disk, which another node was asked for
        away.clear()
        here = {"num_cpus": 0, "scheduling_strategy": on_this_node()}
        await cluster.stream(lambda: _reading(left, found, place, **here), take)
    if away:
        raise DataError(f"{found[min(away)].source.data_path} changed while it was read; run again")
    return survey


def _reading(numbers: list[int], found: list[Piece], place: Place, **options: Any) -> Any:
    stamps = [piece.stamp() for piece in found]
    return in_blocks([{"piece": number} for number in numbers]).map_batches(
        read_pieces,
        fn_args=(found, stamps, place),
        batch_size=1,
        batch_format="pyarrow",
        **options,
    )


def read_pieces(batch: pa.Table, found: list[Piece], stamps: list[str], place: Place) -> Iterator[pa.Table]:
    """What a task of Ray Data does with some pieces; one that is not seen from its node is `away`."""
    os.environ.update(ray.get(place.keeper.environment.remote()))
    store = place.open()
    for number in batch["piece"].to_pylist():
        if found[number].stamp() != stamps[number]:
            yield pa.Table.from_pylist([{"piece": number, "away": True}], LINE)
            continue
        for line in read_piece(found[number], store, place.keeper.hear.remote):
            yield pa.Table.from_pylist([{**line, "away": False}], LINE)
