"""Temporary: brute force, until the real one is in its place."""

from dataclasses import dataclass

from rapidfuzz.distance import LCSseq


@dataclass(frozen=True, slots=True)
class NearCopy:
    other_id: int
    overlap: float


def tokens(text: str) -> tuple[str, ...]:
    return tuple(text.lower().split())


def rouge_l(a: str, b: str) -> float:
    one, other = tokens(a), tokens(b)
    return 2 * LCSseq.similarity(one, other) / (len(one) + len(other)) if one and other else 0.0


class NearCopies:
    def __init__(self, max_overlap: float) -> None:
        self._max = max_overlap
        self._texts: list[tuple[int, str]] = []

    def add_seed(self, row_id: int, text: str) -> None:
        self._texts.append((row_id, text))

    def check(self, row_id: int, text: str) -> NearCopy | None:
        for other, known in self._texts:
            if other != row_id and (overlap := rouge_l(text, known)) > self._max:
                return NearCopy(other, overlap)
        self._texts.append((row_id, text))
        return None
