"""The measures of a run: its seeds and every generation, from the records that it ends with."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, pairwise
from typing import Any

from utils.process.each import Each, in_silence
from utils.rows.records import StoredRow
from utils.text.measures.dataset import Measurer
from utils.text.measures.model import RunMeasures
from utils.text.measures.verb_noun import FirstPair, first_pair_of


def measure_run(
    rows: Iterable[StoredRow], finder: Callable[[str], FirstPair | None] = first_pair_of, each: Each = in_silence
) -> RunMeasures:
    """Measure the stored rows of a run in seed order: those of one id stand together.

    Seeds are all rows that were not set aside, evolved or not. A generation holds the rewrites of that round that
    evolved rows are made of; a rewrite that several of them share counts once.
    """
    seeds, generations, reasons = Measurer(), dict[int, Measurer](), dict[int, Counter[str]]()
    for _, group in groupby(rows, key=lambda row: row.record["id"]):
        entries = list(group)
        for row in entries:
            if row.outcome in ("eliminated", "set_aside"):
                reasons.setdefault(row.record["generation"], Counter())[row.record["reason"]] += 1
        live = [row for row in entries if row.outcome != "set_aside"]
        if live:
            seeds.add(live[0].record["seed_instruction"])
        for generation, text, parent in _rewrites(row.record for row in live if row.outcome == "evolved"):
            generations.setdefault(generation, Measurer()).add(text, parent)
    last = max((*generations, 0))
    return RunMeasures(
        seeds=seeds.measures(finder, each),
        generations=tuple(generations.get(n, Measurer()).measures(finder, each) for n in range(1, last + 1)),
        reasons=tuple(dict(reasons.get(n, Counter()).most_common()) for n in range(max((*reasons, last)) + 1)),
    )


def _rewrites(records: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str, str]]:
    """Yield each rewrite of one seed's rows once: its generation, its text, its parent's text."""
    seen: set[tuple[str, str]] = set()
    for record in records:
        texts = [record["seed_instruction"], *(stage["instruction"] for stage in record["stages"])]
        first = record["generation"] - len(record["stages"])  # of a pool, rounds that failed left no stage
        for number, (parent, text) in enumerate(pairwise(texts), start=1):
            if (parent, text) not in seen:
                seen.add((parent, text))
                yield first + number, text, parent
