"""Speed and memory of the near-copy filter, and how both grow with the data set.

    python -m bench.near_duplicates [--rows 1000 5000 20000] [--max-overlap 0.7]

Each size has as many seeds as new instructions and a process of its own. The texts are made up: words drawn by
Zipf's law, half in a Latin script and half in Hangul with particles, a fifth after one of a few common openings. A new
instruction is its seed with up to twenty words more; one in thirty is another row's seed with a few words changed.
Up to 1,000 rows the outcome is compared with that of brute force. Time is that of the filter alone.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from multiprocessing import get_context
from random import Random

from bench.harness import table
from utils.text.near_duplicates import NearDuplicate, NearDuplicates, rouge_l

VOCABULARY = 50_000  # words by rank
OPENINGS = 40
PARTICLES = ("을", "를", "이", "가", "은", "는", "에", "의", "에서", "으로", "하고", "")
BRUTE_FORCE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds and peak growth in MiB of one size, and what was found."""

    rows: int
    seconds: float
    verified: int
    copies: int
    memory: float
    brute_force: float | None


@cache
def weights() -> list[float]:
    return list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))


@cache
def word(rank: int, korean: bool) -> str:
    """Return the word of frequency rank `rank`, always the same one; frequent words are shorter."""
    random = Random(f"word:{rank}:{korean}")
    length = (rank > 40) + (rank > 2000) + random.randint(1, 2)
    if korean:
        return "".join(
            chr(0xAC00 + 28 * int(400 * random.random() ** 2) + random.choice((0, 4, 8))) for _ in range(length)
        )
    return "".join(random.choice("bcdfglmnprst") + random.choice("aeiou") for _ in range(length))


def words(random: Random, count: int, korean: bool) -> list[str]:
    ranks = random.choices(range(VOCABULARY), cum_weights=weights(), k=count)
    found = [word(rank, korean) for rank in ranks]
    return [one + random.choice(PARTICLES) for one in found] if korean else found


def seed(row: int) -> list[str]:
    """Return the words of seed `row`: about 10 to 100 tokens, in Latin letters if `row` is even, in Hangul if odd."""
    random, korean = Random(f"seed:{row}"), row % 2 == 1
    opening = random.randrange(5 * OPENINGS)  # a fifth has one
    first = words(Random(f"opening:{opening}:{korean}"), 5, korean) if opening < OPENINGS else []
    length = min(100, max(10, int(random.lognormvariate(3.4, 0.6))))
    return first + words(random, length // 4 if korean else length, korean)


def evolved(row: int, rows: int) -> str:
    """Return the new instruction of a row: longer than its seed or, one in thirty, almost a copy of another row's.

    That other row is of the same language where `rows` is even.
    """
    random, korean = Random(f"new:{row}"), row % 2 == 1
    if random.random() > 1 / 30:
        return " ".join(seed(row) + words(random, random.randint(10, 20) // (2 if korean else 1), korean))
    copy = seed((row + 2 * random.randrange(1, max(2, rows // 2))) % rows)
    for place in random.sample(range(len(copy)), max(1, len(copy) // 12)):
        copy[place] = words(random, 1, korean)[0]
    return " ".join(copy)


def timed(
    call: Callable[[int, str], NearDuplicate | None], texts: Iterator[str]
) -> tuple[float, list[NearDuplicate | None]]:
    """Return the seconds that `call` took over all rows, not counting the making of texts, and what it returned."""
    seconds, found = 0.0, []
    for row, text in enumerate(texts):
        started = time.perf_counter()
        found.append(call(row, text))
        seconds += time.perf_counter() - started
    return seconds, found


def brute_force(rows: int, max_overlap: float) -> tuple[float, list[NearDuplicate | None]]:
    """Return seconds and findings as `timed` does, of a check that compares a text with all that were kept before."""
    kept = [(row, " ".join(seed(row))) for row in range(rows)]

    def check(row: int, text: str) -> NearDuplicate | None:
        scores = [(rouge_l(text, other), number) for number, (other_row, other) in enumerate(kept) if other_row != row]
        score, number = max(scores, key=lambda pair: (pair[0], -pair[1]))
        if score > max_overlap:
            return NearDuplicate(kept[number][0], score)
        kept.append((row, text))
        return None

    return timed(check, (evolved(row, rows) for row in range(rows)))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(rows: int, max_overlap: float) -> Measured:
    """Measure the filter over `rows` seeds and as many new texts. Exit if brute force finds others."""
    for rank in range(2 * VOCABULARY):  # so that the bench's own memory is not counted
        word(rank // 2, rank % 2 == 1)
    filled, before = NearDuplicates(max_overlap), peak()
    adding, _ = timed(filled.add, (" ".join(seed(row)) for row in range(rows)))
    checking, found = timed(filled.check, (evolved(row, rows) for row in range(rows)))
    memory, slow = peak() - before, None
    if rows <= BRUTE_FORCE_ROWS:
        slow, expected = brute_force(rows, max_overlap)
        if found != expected:
            raise SystemExit("the filter and brute force disagree")
    copies = sum(copy is not None for copy in found)
    return Measured(rows, adding + checking, filled.verified, copies, memory, slow)


def shown(m: Measured) -> list[str]:
    pairs = m.rows * m.rows + m.rows * (m.rows - 1) // 2
    found = (f"{m.verified:,}", f"{m.verified / pairs:.4%}", f"{m.copies:,}", f"{m.memory:.0f}")
    slow = "" if m.brute_force is None else f"{m.rows / m.brute_force:,.0f} rows/s, same"
    return [f"{m.rows:,}", f"{m.seconds:.1f}", f"{m.rows / m.seconds:,.0f}", *found, slow]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--max-overlap", type=float, default=0.7)
    options = parser.parse_args()
    lines = []
    for rows in options.rows:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            lines.append(shown(pool.submit(measure, rows, options.max_overlap).result()))
    head = ("seeds = new", "s", "rows/s", "pairs compared", "of all", "near-duplicates", "MiB", "brute force")
    table(f"Near-duplicate filter, ROUGE-L above {options.max_overlap:g}", head, lines)


if __name__ == "__main__":
    main()
