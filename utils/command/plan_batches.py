"""What `--plan` says of batches: how many rounds there are, and how long they take."""

from collections.abc import Iterable
from math import ceil

from utils.config import RunConfig

MEDIAN_MINUTES = 10  # of a batch; measured by others over 230,000 of them: 7, and 90 % within an hour
WORST_HOURS = 24


def rounds_of(title: str, least: int, most: int, config: RunConfig, rows: int, group: int) -> tuple[int, int]:
    """Return in how many rounds the calls of a stage go, in a smooth run and at most; (0, 0) if they are made live.

    A stage asks once for each of its `rows`, or for each `group` of them, and all at once; then it may ask again.
    """
    is_final = title.startswith(("final: ", "answer"))
    if not config.in_batches or not (is_final or config.batch_api == "all"):
        return 0, 0
    each = rows * (config.answers if title == "final: answer" else 1)
    if title.endswith(" train"):
        each = config.train_size
    elif title.startswith("validate: "):
        each = config.dev_size
    elif title in ("analyze", "optimize"):
        each = config.candidate_size
    at_once = max(1, each if (least or most) >= each else ceil(each / group))
    return ceil(least / at_once), ceil(most / at_once)


def said_of_rounds(rounds: Iterable[tuple[int, int]]) -> list[str]:
    """Return the line of the plan that says how long the rounds of all stages take; none where there are none."""
    least, most = (sum(ends) for ends in zip(*rounds, strict=True))
    if not most:
        return []
    hours, minutes = least * MEDIAN_MINUTES / 60, MEDIAN_MINUTES
    return [
        f"batches: {least:,} rounds, at most {most:,}; about {hours:.1f} h where a round takes {minutes} min, the "
        f"median, and at worst {most * WORST_HOURS:,} h; the time above is that of live calls"
    ]
