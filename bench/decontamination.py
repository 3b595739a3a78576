"""What --decontaminate finds and what it takes for found, by the number of syllable pairs in a gram; and its speed.

    python -m bench.decontamination [--data-path examples/seed_ko.jsonl] [--pairs 8 12 16 20 24] [--items 10000]

Seeds are planted between two others: as they are, with the ending of one word in so many changed, without one word in
so many, or with neighbours changing places. A false alarm is a seed that counts as a copy of one of the other half of
the seeds, over `HALVES` ways to halve them. Grams alone are measured: ROUGE-L, the other criterion, knows no n. Speed
is that of both, of made-up rewrites against made-up items as in bench.near_duplicates; half of the rewrites are of
seeds that are no items. Grams of up to 300 are compared with brute force.
"""

import argparse
import resource
import time
from collections.abc import Callable
from random import Random

import utils.text.shared_grams as grams
from bench.harness import table
from bench.near_duplicates import evolved, seed
from utils.seeds import load_items
from utils.text.decontamination import BenchmarkItems
from utils.text.near_duplicates import tokens

HALVES = 20
ENDINGS = ("은", "는", "이", "가", "을", "를", "에", "의", "도", "로", "와", "과", "만", "요", "까", "다")
BRUTE_FORCE = 300
Edit = Callable[[Random, list[str], int], list[str]]


def endings(random: Random, words: list[str], one_in: int) -> list[str]:
    changed = list(words)
    for place in range(random.randrange(one_in), len(words), one_in):
        word = words[place]
        changed[place] = (word[:-1] if len(word) > 1 else word) + random.choice(ENDINGS)
    return changed


def dropped(random: Random, words: list[str], one_in: int) -> list[str]:
    first = random.randrange(one_in)
    return [word for place, word in enumerate(words) if place % one_in != first]


def swapped(random: Random, words: list[str], one_in: int) -> list[str]:
    changed = list(words)
    for place in range(random.randrange(one_in), len(words) - 1, one_in):
        changed[place], changed[place + 1] = changed[place + 1], changed[place]
    return changed


PLANTED: list[tuple[str, Edit, int]] = [
    ("as it is", lambda _, words, __: words, 1),
    *((f"endings 1/{k}", endings, k) for k in (10, 6, 4)),
    *((f"dropped 1/{k}", dropped, k) for k in (10, 6)),
    *((f"swapped 1/{k}", swapped, k) for k in (10, 6)),
]


def set_pairs(count: int) -> None:
    """Have a gram be `count` syllable pairs long."""
    grams.PAIRS = grams.OF_A_WORD = count
    grams.GRAM = grams.WORDS * count


def recall(seeds: list[str], edit: Edit, one_in: int) -> float:
    """Return the share of seeds that are found again where they are planted between two others."""
    random, found = Random(f"{edit}:{one_in}".partition(" at ")[0]), 0
    for number, text in enumerate(seeds):
        around = [seeds[(number + step) % len(seeds)] for step in (1, 2)]
        planted = " ".join((around[0], *edit(random, text.split(), one_in), around[1]))
        found += grams.SharedGrams([text]).most_covered(planted) is not None
    return found / len(seeds)


def false_alarms(seeds: list[str]) -> tuple[int, int]:
    """Return how many texts were taken for a copy of one of the other half, and how many were looked at."""
    found = looked_at = 0
    for half in range(HALVES):
        shuffled = Random(half).sample(seeds, len(seeds))
        index = grams.SharedGrams(shuffled[::2])
        found += sum(index.most_covered(text) is not None for text in shuffled[1::2])
        looked_at += len(shuffled[1::2])
    return found, looked_at


def brute_force(items: list[str], text: str) -> int | None:
    """Return what SharedGrams.most_covered does, by comparing all grams with all."""
    mine, best, share = set(runs(text).values()), None, 0.0
    for number, item in enumerate(items):
        weights = [grams._weight(token) for token in tokens(item)]
        covered = {place for (start, end), run in runs(item).items() if run in mine for place in range(start, end)}
        part = sum(weights[place] for place in covered) / sum(weights) if weights else 0.0
        if part >= 0.5 and part > share:
            best, share = number, part
    return best


def runs(text: str) -> dict[tuple[int, int], tuple[str, ...]]:
    """Return the grams of a text by where they begin and end."""
    found, result = tokens(text), {}
    weights = [grams._weight(token) for token in found]
    for start in range(len(found)):
        end = next((end for end in range(start, len(found) + 1) if sum(weights[start:end]) >= grams.GRAM), None)
        if end or (start == 0 and found):
            result[start, end or len(found)] = found[start : end or len(found)]
    return result


def speed(items: int, max_overlap: float) -> list[str]:
    texts = [" ".join(seed(row)) for row in range(items)]
    started = time.process_time()
    index = BenchmarkItems({"made up": texts}, max_overlap)
    built = time.process_time() - started
    half = min(items, 10_000) // 2
    rewrites = [evolved(row, 2 * items) for row in range(items - half, items + half)]
    started = time.process_time()
    found = sum(index.match(text) is not None for text in rewrites)
    seconds = time.process_time() - started
    same = ""
    if items <= BRUTE_FORCE:
        by_grams = grams.SharedGrams(texts)
        if any(by_grams.most_covered(text) != brute_force(texts, text) for text in rewrites):
            raise SystemExit("the index and brute force disagree")
        same = "same"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = (f"{built:.1f}", f"{memory:.0f}", f"{len(rewrites):,}", f"{len(rewrites) / seconds:,.0f}", f"{found:,}")
    return [f"{items:,}", *shown, same]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-path", default="examples/seed_ko.jsonl")
    parser.add_argument("--pairs", type=int, nargs="+", default=[8, 12, 16, 20, 24])
    parser.add_argument("--items", type=int, nargs="+", default=[300, 10_000])
    parser.add_argument("--max-overlap", type=float, default=0.7)
    options = parser.parse_args()
    chosen, seeds = grams.PAIRS, list(load_items(options.data_path))
    lines = []
    for count in options.pairs:
        set_pairs(count)
        alarms, looked_at = false_alarms(seeds)
        shares = [f"{recall(seeds, edit, one_in):.1%}" for _, edit, one_in in PLANTED]
        lines.append([f"{count}{' *' if count == chosen else ''}", *shares, f"{alarms} of {looked_at:,}"])
    head = ["pairs", *(name for name, *_ in PLANTED), "false alarms"]
    table(f"{len(seeds)} seeds planted in others, found again by n (* in use)", head, lines)
    set_pairs(chosen)
    head = ["items", "s to index", "MiB in all", "rewrites", "rewrites/s", "found", "brute force"]
    table(
        "Speed, by the processor time of one core", head, [speed(items, options.max_overlap) for items in options.items]
    )


if __name__ == "__main__":
    main()
