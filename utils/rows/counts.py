"""What became of rows, counted."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from utils.files.row_store import RowStore
from utils.rows.records import stored_rows
from utils.schema import FirstAttempt


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows by outcome (evolved, held_out, eliminated, unavailable, set_aside) and reason, empty for the first two.

    `labels` and `grades` are those of evolved rows; `first` counts first attempts, by whether learning saw the row.
    """

    by_both: Counter[tuple[str, str]] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    grades: Counter[str] = field(default_factory=Counter)
    first: Counter[tuple[bool, FirstAttempt]] = field(default_factory=Counter)

    @staticmethod
    def of(rows: RowStore, seen: Collection[int] = ()) -> "RowCounts":
        """Count the rows of a row store that holds all rows of a run; `seen` are the ids of rows that learning saw."""
        counts = RowCounts()
        for _, row in stored_rows(rows):
            counts.by_both[row.outcome, row.record.get("reason", "")] += 1
            if row.first:
                counts.first[row.record["id"] in seen, row.first] += 1
            if row.outcome == "evolved":
                counts.labels.update(row.record["labels"])
                counts.grades.update([row.record["grade"]] if row.record["grade"] else [])
        return counts

    @property
    def total(self) -> int:
        return self.by_both.total()

    def by_reason(self, outcome: str) -> Counter[str]:
        """Count the rows of an outcome by reason."""
        return Counter({reason: n for (of_outcome, reason), n in self.by_both.items() if of_outcome == outcome})

    def first_attempts(self, seen: bool) -> Counter[FirstAttempt]:
        """Count the first attempts at rows that learning saw, or at those that it never saw."""
        return Counter({attempt: n for (was_seen, attempt), n in self.first.items() if was_seen == seen})
