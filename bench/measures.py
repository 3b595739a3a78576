"""Time and memory of the measures of a data set, half Korean and half English, evolved once.

    python -m bench.measures [--rows 1000 10000 100000]

Each size runs in a process of its own, so that its peak memory is its own; what importing alone takes is shown
first. Rows are made while they are read, as a run streams them from disk; making them is not counted.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from random import Random

from bench.harness import ROOT, Measured, table, timed

SUBJECTS = {
    "en": ("tides", "tax law", "binary trees", "vaccines", "jazz", "bridges", "soil", "elections", "orbits", "bread"),
    "ko": ("광합성", "조세법", "이진 트리", "백신", "판소리", "교량", "토양", "선거 제도", "위성 궤도", "김치"),
}
TASKS = {
    "en": ("Explain the basic idea of", "Write a short essay on", "Give three examples from", "Compare two views of"),
    "ko": ("핵심 개념을 설명해 주세요:", "짧은 글을 작성해 주세요:", "예를 세 가지 들어 주세요:", "두 관점을 비교해 주세요:"),
}
SYLLABLES = {"en": "ba ce di fo gu ka le mi no pu ra se ti vo wu".split(), "ko": list("가나다라마바사아자차카타파하고노")}


def rows(count: int) -> Iterator[tuple[str, str]]:
    """Different instructions with their parents: about 40 words in English, 110 characters in Korean."""
    random = Random(7)
    for number in range(count):
        tongue = "en" if number % 2 else "ko"
        name = lambda: "".join(random.choices(SYLLABLES[tongue], k=random.randint(2, 3)))  # noqa: B023, E731
        parent = f"{random.choice(TASKS[tongue])} {random.choice(SUBJECTS[tongue])} {' '.join(name() for _ in range(20))}."
        yield f"{parent} {random.choice(TASKS[tongue])} {' '.join(name() for _ in range(12))}.", parent


def one(count: int) -> None:
    """Measure `count` rows and print what the table shows, as JSON."""
    from utils.measures.dataset import Measurer

    made = list(rows(count))
    measurer = Measurer()
    started = time.perf_counter()
    for text, parent in made:
        measurer.add(text, parent)
    added = time.perf_counter()
    measures = measurer.measures(lambda _: None)
    nearest = time.perf_counter()
    looked_at = measures.nearest_overlap.distribution.count if measures.nearest_overlap else 0
    size = sum(len(text) + len(parent) for text, parent in made)
    tagged = measurer.measures()
    seconds = {"add": added - started, "rest": nearest - added, "all": time.perf_counter() - nearest}
    found = tagged.verb_noun.rows if tagged.verb_noun else 0
    print(json.dumps(seconds | {"looked_at": looked_at, "characters": size, "tagged": found}))


def line(count: int, measured: Measured) -> list[str]:
    if measured.code:
        raise SystemExit(f"measuring failed:\n{measured.output}")
    told = json.loads(measured.output)
    tagging = told["all"] - told["rest"]
    parts = (f"{told['add']:.1f} s", f"{told['rest']:.1f} s", f"{tagging:.1f} s")
    return [f"{count:,}", *parts, f"{told['looked_at']:,}", f"{told['tagged']:,}", f"{measured.peak:,.0f} MiB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(options.one)
        return
    lines = [line(n, timed([sys.executable, "-m", "bench.measures", "--one", str(n)], ROOT)) for n in [2, *options.rows]]
    head = ("rows", "each row", "nearest", "verb-noun", "compared", "tagged", "peak memory")
    table("Measures of one data set (2 rows: imports and taggers alone)", head, lines)


if __name__ == "__main__":
    main()
