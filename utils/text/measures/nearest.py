"""ROUGE-L on encoded texts: of two, and of a sample of texts to the nearest other one.

A text is encoded as a string of one character per token, the form that rapidfuzz compares fastest. ROUGE-L is its
normalized InDel similarity: (m + n - (m + n - 2 LCS)) / (m + n).
"""

import sys
from collections.abc import Sequence

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel

from utils.process.each import Each, in_silence
from utils.text.measures.model import OVERLAP_EDGES, Distribution, NearestOverlap
from utils.text.near_duplicates import tokens

LONGEST = 400  # tokens of each text that are compared with other rows
STEPS = 1_000_000_000  # steps of the bit-parallel LCS: about five seconds
BLOCK = 64  # tokens that one step takes
FEWEST = 100  # rows looked at, however long that takes


class Vocabulary(dict[str, str]):
    """A character for every token, numbered as they come.

    Beyond the 1.1 million characters that there are, tokens share one: overlaps may then come out too high.
    """

    def __missing__(self, token: str) -> str:
        self[token] = character = chr(len(self) % (sys.maxunicode + 1))
        return character

    def encode(self, text: str) -> str:
        """Return one character per token of `text`; the same token is the same character."""
        return "".join(map(self.__getitem__, tokens(text)))


def overlap(one: str, other: str) -> float:
    """Return the ROUGE-L F1 of two encoded texts; 0 where one is empty."""
    return Indel.normalized_similarity(one, other) if one and other else 0.0


def nearest_overlap(texts: Sequence[str], rows: int, each: Each = in_silence) -> NearestOverlap | None:
    """Measure the highest ROUGE-L of encoded texts with any other of `texts`; None for fewer than two.

    `texts` stand in random order and are all `rows` rows of a set or a sample of them. As many of them are looked
    at as the time allows, from the first; each is compared with all.
    """
    if len(texts) < 2:
        return None
    # Two empty texts would count as equal: what has no tokens is left out of the comparison.
    shown: list[str | None] = [text[:LONGEST] or None for text in texts]
    looked_at = _affordable(shown)
    numbers = each("measuring: nearest instructions", range(looked_at), looked_at)
    values = np.fromiter((_highest(number, shown) for number in numbers), float, looked_at)
    distribution = Distribution.of(values, OVERLAP_EDGES)
    assert distribution  # there are at least two texts
    return NearestOverlap(distribution=distribution, among=len(texts), exact=looked_at == rows)


def _affordable(texts: Sequence[str | None]) -> int:
    """Return how many texts can be compared with all within `STEPS`; at least `FEWEST`, if there are as many."""
    lengths = np.array([len(text or "") for text in texts])
    steps_each = max(1.0, float(np.ceil(lengths / BLOCK).mean()) * float(lengths.sum()))
    return min(len(texts), max(FEWEST, int(STEPS / steps_each)))


def _highest(number: int, texts: list[str | None]) -> float:
    own, texts[number] = texts[number], None  # None is passed over
    found = process.extractOne(own, texts, scorer=Indel.normalized_similarity) if own else None
    texts[number] = own
    return found[1] if found else 0.0
