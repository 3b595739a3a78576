"""What became of rows, counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from utils.files.row_store import RowStore
from utils.rows.records import StoredRow, evolved_records, rejected_records, stored_rows


@dataclass(slots=True)
class RowCounts:
    """Rows by kind (evolved, eliminated, unavailable, set_aside), reason and generation.

    `seeds` counts rows of the data set, of which one may have a row per generation; `methods` are those of the last
    stages of evolved rows.
    """

    rows: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seeds: int = 0
    methods: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def of(records: Iterable[StoredRow]) -> "RowCounts":
        """Count stored rows, among which those of one seed stand next to each other."""
        counts, last_id = RowCounts(), None
        for kind, record in records:
            counts.rows[kind, record.get("reason", ""), record["generation"]] += 1
            counts.seeds += record["id"] != last_id
            last_id = record["id"]
            if record.get("stages"):
                counts.methods[record["stages"][-1]["method_id"]] += 1
        return counts

    def by_reason(self, kind: str) -> Counter[str]:
        """Count the rows of a kind by reason."""
        counts: Counter[str] = Counter()
        for (of_kind, reason, _), count in self.rows.items():
            if of_kind == kind:
                counts[reason] += count
        return counts

    def by_generation(self) -> dict[int, Counter[str]]:
        """Count the rows of each generation by kind."""
        counts: dict[int, Counter[str]] = {}
        for (kind, _, generation), count in self.rows.items():
            counts.setdefault(generation, Counter())[kind] += count
        return counts


@dataclass(frozen=True, slots=True)
class Finished:
    """The rows of a run that has come to its end.

    `counts` counts them, `evolved` and `rejected` stream their records in row order; `rows` holds them by key.
    """

    counts: RowCounts
    rows: RowStore
    evolved: Callable[[], Iterator[dict[str, Any]]]
    rejected: Callable[[], Iterator[dict[str, Any]]]

    @staticmethod
    def on(rows: RowStore) -> "Finished":
        """Count the rows of a row store that holds all rows of a run."""
        counts = RowCounts.of(row for _, row in stored_rows(rows))
        return Finished(counts, rows, partial(evolved_records, rows), partial(rejected_records, rows))
