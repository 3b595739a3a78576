"""How the time of a computation grows with the length of a text: not how long it takes, which the machine decides."""

import time
from collections.abc import Callable

LONG, SHORT = 100_000, 25_000  # characters


def grows_linearly(work: Callable[[int], object]) -> bool:
    """Whether `work` on four times the length takes about four times as long: what is quadratic takes sixteen times.

    Processor time, which other processes do not use; the lesser of several, as these still disturb it.
    """
    short, limit = min(_taken(work, SHORT) for _ in range(3)), 0.0
    for _ in range(3):
        limit = 8 * short + 0.1
        if _taken(work, LONG) < limit:
            return True
        short = max(short, _taken(work, SHORT))
    return False


def _taken(work: Callable[[int], object], length: int) -> float:
    started = time.process_time()
    work(length)
    return time.process_time() - started
