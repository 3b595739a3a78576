"""Seeds held out (`--hold-out`): evolved and answered like all, but kept out of learning and of the result.

They lie in `x.heldout.json` beside `x.json`, in the same form: rows that no training on the result has seen.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from utils.config import RunConfig
from utils.files.row_store import RowStore

HELD_OUT = "held_out"


def held_out_path(result: Path) -> Path:
    """Return the path of the rows held out of a result: `x.heldout.json` beside `x.json`."""
    return result.with_name(f"{result.stem}.heldout{result.suffix}")


def draw_held_out(ids: Sequence[int], share: float, seed: int) -> frozenset[int]:
    """Draw the ids to hold out: at least one and never all, the same for the same ids, `share` (0 to 1) and `seed`."""
    if not share:
        return frozenset()
    count = min(max(1, round(share * len(ids))), len(ids) - 1)
    return frozenset(ids[place] for place in random.Random(f"{seed}:hold-out").sample(range(len(ids)), count))


def hold_out(rows: RowStore, ids: frozenset[int], config: RunConfig) -> None:
    """Mark the evolved rows of the seeds `ids` as held out, in every generation; rejects stay what they are."""
    for row_id in ids:
        for generation in range(1, max(1, config.generations) + 1):
            key = config.row_key(row_id, generation)
            if (row := rows.find(key)) and row[0] == "evolved":
                rows.put(key, [HELD_OUT, *row[1:]])
