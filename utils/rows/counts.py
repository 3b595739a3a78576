"""What became of rows, counted."""

from collections import Counter
from dataclasses import dataclass

from utils.files.row_store import RowStore
from utils.rows.records import stored_rows


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows by outcome (evolved, held_out, eliminated, unavailable, set_aside) and reason, empty for the first two."""

    by_both: Counter[tuple[str, str]]

    @staticmethod
    def of(rows: RowStore) -> "RowCounts":
        """Count the rows of a row store that holds all rows of a run."""
        return RowCounts(Counter((row.outcome, row.record.get("reason", "")) for _, row in stored_rows(rows)))

    @property
    def total(self) -> int:
        return self.by_both.total()

    def by_reason(self, outcome: str) -> Counter[str]:
        """Count the rows of an outcome by reason."""
        return Counter({reason: n for (of_outcome, reason), n in self.by_both.items() if of_outcome == outcome})
