"""The filter of benchmarks where rows are too many for one machine: tasks look at them, each row by itself."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import ray

from generator.scale_out.cluster import LOOK, cause_of
from generator.scale_out.near_duplicates import ON_DRIVER
from utils.errors import EndpointError
from utils.files.row_store import RowStore
from utils.process.each import Each
from utils.rows.records import dropped_row, row_of, stored_rows
from utils.seeds.seed_set import Benchmarks
from utils.text.decontamination import CONTAMINATED, eliminate_contaminated, is_rewrite

IN_A_TASK, AHEAD = 20_000, 2  # rewrites; tasks per CPU that are given out before one is waited for


async def eliminate_contaminated_in_tasks(rows: RowStore, benchmarks: Benchmarks, each: Each) -> None:
    """Eliminate the rewrites among `rows` that repeat an item of a benchmark."""
    if len(rows) <= ON_DRIVER:
        eliminate_contaminated(rows, benchmarks, each)
        return
    shared, looking = ray.put(benchmarks), ray.remote(notes_on)
    most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    under_way: list[tuple[list[int], Any]] = []
    try:
        for keys, texts in _batches(rows, each):
            under_way.append((keys, looking.remote(shared, texts)))
            if len(under_way) > most:
                _drop(rows, under_way[0][0], await under_way.pop(0)[1])
        for keys, notes in under_way:
            _drop(rows, keys, await notes)
    except ray.exceptions.RayError as exc:
        raise EndpointError(f"the filter of benchmarks lost its tasks ({cause_of(exc)}); {LOOK}") from exc


def notes_on(benchmarks: Benchmarks, texts: list[str]) -> list[str | None]:
    """Return the item that each text repeats, or None."""
    return [benchmarks.match(text) for text in texts]


def _batches(rows: RowStore, each: Each) -> Iterator[tuple[list[int], list[str]]]:
    """Yield keys and instructions of the rewrites, `IN_A_TASK` at a time."""
    seen = each("benchmarks", stored_rows(rows), len(rows))
    new = ((key, row.record["instruction"]) for key, row in seen if is_rewrite(row))
    while batch := list(islice(new, IN_A_TASK)):
        yield [key for key, _ in batch], [text for _, text in batch]


def _drop(rows: RowStore, keys: list[int], notes: list[str | None]) -> None:
    for key, note in zip(keys, notes, strict=True):
        if note:
            rows.put(key, dropped_row(row_of(rows, key), CONTAMINATED, note))
