"""The files of groups: those that are to be worked on, and what became of them.

    groups/000012.parquet   a row per group: its name, and its seeds as JSON
    rows/….parquet          the same with its records, as Ray Data writes it

A group is named by a digest of its seeds and of all that is done with them: what is written under its name is finished.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from itertools import islice

import pyarrow as pa
from pydantic import TypeAdapter

from generator.group import groups_of_ten
from utils.files.row_store import RowStore
from utils.files.storage import Store
from utils.files.writing import parquet_bytes, parquet_rows
from utils.rows.records import KeyedRows
from utils.schema import SeedInstruction

GROUPS, ROWS = "groups", "rows"
IN_A_FILE = 1_000  # groups
SEEDS = TypeAdapter(list[SeedInstruction])


class Groups:
    """The groups of a run on its store; `work` stands for all that is done with them."""

    def __init__(self, store: Store, seeds: Iterable[SeedInstruction], work: str) -> None:
        self._store, self._seeds, self._work = store, seeds, work.encode()
        self._seen: set[str] = set()

    def named(self) -> Iterator[tuple[str, list[SeedInstruction], str]]:
        """Yield all groups in row order: the name, the seeds, and the seeds as JSON."""
        for group in groups_of_ten(self._seeds):
            text = json.dumps([asdict(seed) for seed in group])
            yield sha256(self._work + text.encode()).hexdigest()[:32], group, text

    def write(self, todo: set[str]) -> None:
        """Write the files of the groups `todo`, in the place of former files."""
        self._store.delete(self._store.names(GROUPS))
        lines = ({"group": name, "seeds": text} for name, _, text in self.named() if name in todo)
        for number, batch in enumerate(iter(lambda: list(islice(lines, IN_A_FILE)), [])):
            self._store.write(f"{GROUPS}/{number:06}.parquet", parquet_bytes(batch, {"group": str, "seeds": str}))

    def finish(self, name: str, rows: KeyedRows) -> None:
        """Write what became of a group to a file such as Ray Data writes."""
        line = {"group": name, "records": json.dumps(rows)}
        self._store.write(f"{ROWS}/{name}.parquet", parquet_bytes([line], {"group": str, "records": str}))

    def gather(self, todo: set[str], rows: RowStore) -> tuple[int, int]:
        """Put the rows of groups `todo` written since the last call into `rows`, and take these groups out of `todo`.

        Files of no use are deleted: those of other groups, and what a killed process has left. Return how many rows
        there were, and how many of them are not evolved.
        """
        total = failed = 0
        for name in set(self._store.names(ROWS)) - self._seen:
            self._seen.add(name)
            found = [record for record in _records(self._store.read(name) or b"") if record["group"] in todo]
            if not found:
                self._store.delete([name])
            for record in found:
                records = json.loads(record["records"])
                rows.put_many((key, row) for key, row in records)
                total += len(records)
                failed += sum(kind != "evolved" for _, (kind, *_) in records)
            todo -= {record["group"] for record in found}
        return total, failed


def _records(content: bytes) -> list[dict[str, str]]:
    try:
        return list(parquet_rows(content))
    except (pa.ArrowException, OSError):  # half a file
        return []
