"""The near-duplicate filter where rows are too many for one machine. Texts are numbered, seeds first, then new
instructions in row order, and cut into shards. A task lists which new instructions are too close to an earlier text of
its shard; the driver drops an instruction if one such text is kept, so that the same are dropped as by one machine.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import ray

from generator.scale_out.cluster import LOOK, cause_of
from utils.errors import EndpointError
from utils.files.row_store import RowStore
from utils.process.each import Each
from utils.rows.records import StoredRow, dropped_row, stored_rows
from utils.schema import Message, Seeds
from utils.text.near_duplicates import NearDuplicates, NearDuplicatesInContext, eliminate_near_duplicates

ON_DRIVER, IN_A_SHARD = 1_000_000, 250_000  # rows at most, which take 25 minutes; texts of a shard


async def eliminate_near_duplicates_in_shards(rows: RowStore, seeds: Seeds, max_overlap: float, each: Each) -> None:
    """Eliminate new instructions that nearly repeat another row's, in the order of rows."""
    if len(rows) <= ON_DRIVER:
        eliminate_near_duplicates(rows, seeds, max_overlap, each)
        return
    records = (row.record for _, row in _new(rows))
    new = (([Message(**turn) for turn in r["context"]], r["id"], r["instruction"]) for r in records)
    texts = chain(((seed.context, seed.id, seed.text) for seed in seeds), new)
    shards = [ray.put(shard) for shard in iter(lambda: list(islice(texts, IN_A_SHARD)), [])]
    listing, partners = ray.remote(near_pairs), defaultdict[int, list[int]](list)
    try:
        for found in [listing.remote(shards, IN_A_SHARD, k, len(seeds), max_overlap) for k in range(len(shards))]:
            for number, partner in await found:
                partners[number].append(partner)
    except ray.exceptions.RayError as exc:
        raise EndpointError(f"the near-copy filter lost its tasks ({cause_of(exc)}); {LOOK}") from exc
    dropped: set[int] = set()
    for number, (key, row) in enumerate(_new(rows), len(seeds)):
        if not dropped.issuperset(partners[number]):
            dropped.add(number)
            rows.put(key, dropped_row(row, "near_copy"))


def _new(rows: RowStore) -> Iterator[tuple[int, StoredRow]]:
    return ((key, row) for key, row in stored_rows(rows) if row.outcome == "evolved" and row.record["generation"])


def near_pairs(shards: list[Any], size: int, own: int, seeds: int, max_overlap: float) -> list[tuple[int, int]]:
    """Return numbers of new instructions, each with that of an earlier text of shard `own` that it is too close to."""
    near, numbers, pairs = NearDuplicatesInContext(max_overlap), defaultdict[NearDuplicates, list[int]](list), []
    for number, (context, row_id, text) in enumerate(ray.get(shards[own]), own * size):
        near.of(context).add(row_id, text)
        numbers[near.of(context)].append(number)
    for shard in range(own, len(shards)):
        for number, (context, row_id, text) in enumerate(ray.get(shards[shard]), shard * size):
            if number >= seeds:
                partners = (numbers[near.of(context)][place] for place in near.of(context).all_above(row_id, text))
                pairs += [(number, partner) for partner in partners if partner < number]
    return pairs
