"""Benchmarks stay out: seeds that repeat one of their items are set aside, rewrites that do are eliminated.

A text repeats an item if the grams that both share cover at least half of the item (shared_grams.py), or if its ROUGE-L
with the item is above `--max-overlap`. Contexts do not matter. Both are exact; memory holds the items, not the texts.
"""

import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping

from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.process.each import Each, in_silence
from utils.rows.records import StoredRow, dropped_row, stored_rows
from utils.rows.summary import BenchmarkSummary
from utils.seeds.benchmarks import load_items
from utils.seeds.seed_set import Benchmarks

log = logging.getLogger(__name__)

CONTAMINATED = "contaminated"


class BenchmarkItems:
    """The items of benchmarks, by the name of each; what is raised while they are gone through is not caught."""

    def __init__(self, of: Mapping[str, Iterable[str]], max_overlap: float) -> None:
        from utils.text.near_duplicates import NearDuplicates  # numpy, which other runs can spare
        from utils.text.shared_grams import SharedGrams

        self._names, self._items, self._starts = list(of), list[str](), list[int]()
        for name, items in of.items():
            self._starts.append(len(self._items))
            self._items += items
            log.info("%s: %d items that must stay out", name, len(self._items) - self._starts[-1])
        self._grams, self._near = SharedGrams(self._items), NearDuplicates(max_overlap)
        for number, item in enumerate(self._items):
            self._near.add(number, item)

    def match(self, text: str) -> str | None:
        """Return the item that a text repeats, under a first line that names its benchmark; None for no item.

        Of several it is the one that shared grams cover most of, else the closest by ROUGE-L.
        """
        number = self._grams.most_covered(text)
        if number is None:
            closest = self._near.closest(-1, text)
            if closest is None:
                return None
            number = closest.other_id
        return f"{self._names[bisect_right(self._starts, number) - 1]}\n{self._items[number]}"

    def summaries(self, rows: RowStore) -> list[BenchmarkSummary]:
        """Return what became of `rows` by benchmark, in the order of the flags."""
        lost = (row for _, row in stored_rows(rows) if row.record.get("reason") == CONTAMINATED)
        found = Counter((row.outcome, row.record["note"].partition("\n")[0]) for row in lost)
        ends = [*self._starts[1:], len(self._items)]
        return [
            BenchmarkSummary(
                name=name, items=end - start, seeds=found["set_aside", name], rewrites=found["eliminated", name]
            )
            for name, start, end in zip(self._names, self._starts, ends, strict=True)
        ]


def benchmarks_of(config: RunConfig) -> BenchmarkItems | None:
    """Read the benchmarks of `--decontaminate`; None without the flag. Raises DataError where one cannot be read."""
    items = {name: load_items(name) for name in config.decontaminate}
    return BenchmarkItems(items, config.max_overlap) if items else None


def eliminate_contaminated(rows: RowStore, benchmarks: Benchmarks, each: Each = in_silence) -> None:
    """Eliminate the rewrites among `rows` that repeat an item of a benchmark."""
    for key, row in each("benchmarks", stored_rows(rows), len(rows)):
        if is_rewrite(row) and (note := benchmarks.match(row.record["instruction"])):
            rows.put(key, dropped_row(row, CONTAMINATED, note))


def is_rewrite(row: StoredRow) -> bool:
    """Tell whether a row of the result was rewritten: a seed that stays as it is was looked at when it was read."""
    return row.outcome == "evolved" and bool(row.record["generation"])
