"""Time and memory of the measures of a data set, half Korean and half English, evolved once.

    python -m bench.measures [--rows 1000 10000 100000]

Each size runs in a process of its own, so that its peak memory is its own; what importing and the taggers take is
shown first. All rows are made before the clock starts and stay in memory, where a run would stream them from disk.
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
    "ko": (
        "핵심 개념을 설명해 주세요:",
        "짧은 글을 작성해 주세요:",
        "예를 세 가지 들어 주세요:",
        "두 관점을 비교해 주세요:",
    ),
}
SYLLABLES = {"en": ("ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "ra"), "ko": tuple("가나다라마바사아자차")}


def rows(count: int) -> Iterator[tuple[str, str]]:
    """Yield instructions, each with its parent, Korean and English in turn: about 150 characters, or about 40 words."""
    random = Random(7)
    for number in range(count):
        tongue = "en" if number % 2 else "ko"
        parent = f"{random.choice(TASKS[tongue])} {random.choice(SUBJECTS[tongue])} {_words(tongue, 20, random)}."
        yield f"{parent} {random.choice(TASKS[tongue])} {_words(tongue, 12, random)}.", parent


def _words(tongue: str, count: int, random: Random) -> str:
    return " ".join("".join(random.choices(SYLLABLES[tongue], k=random.randint(2, 3))) for _ in range(count))


def one(count: int) -> None:
    """Measure `count` rows; print as JSON seconds of four parts, rows compared, rows tagged, languages not tagged."""
    from utils.text.measures.dataset import TAGGED, Measurer
    from utils.text.measures.verb_noun import first_pair_of, verb_noun_pairs

    made, measurer, clock = list(rows(count)), Measurer(), [time.perf_counter()]
    for text, parent in made:
        measurer.add(text, parent)
    clock.append(time.perf_counter())
    nearest = measurer.measures(lambda _: None).nearest_overlap
    clock.append(time.perf_counter())
    missing = [tongue for tongue in TASKS if first_pair_of(tongue) is None]
    clock.append(time.perf_counter())
    verb_noun_pairs([("en" if n % 2 else "ko", text) for n, (text, _) in enumerate(made[:TAGGED])])
    clock.append(time.perf_counter())
    print(json.dumps([*map(float.__sub__, clock[1:], clock), nearest.distribution.count, min(count, TAGGED), missing]))


def line(count: int, measured: Measured) -> list[str]:
    if measured.code:
        raise SystemExit(f"measuring failed:\n{measured.output}")
    each, nearest, loading, tagging, compared, tagged, missing = json.loads(measured.output)
    seconds = [f"{value:.1f} s" for value in (each, nearest, loading, tagging)]
    return [f"{count:,}", *seconds, f"{compared:,}", "none" if missing else f"{tagged:,}", f"{measured.peak:,.0f} MiB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(options.one)
        return
    lines = [
        line(n, timed([sys.executable, "-m", "bench.measures", "--one", str(n)], ROOT)) for n in [2, *options.rows]
    ]
    head = ("rows", "all rows", "nearest", "load taggers", "tagging", "compared", "tagged", "peak memory")
    table("Measures of one data set (2 rows: imports and taggers alone)", head, lines)


if __name__ == "__main__":
    main()
