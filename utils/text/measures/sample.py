"""Samples of a stream of unknown length that depend on what is in it, not on when it came."""

import heapq
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")


def rank(key: str) -> int:
    """Return a number from 0 to 2**64 - 1 that looks random and depends on `key` alone."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def row_rank(row_id: int, generation: int) -> int:
    """Return the rank of a row of a run: whoever draws rows by it draws the same ones."""
    return rank(f"row:{row_id}:{generation}")


class Sample(Generic[T]):
    """Keeps the `size` values whose keys have the lowest ranks; ties by order of adding."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, int, T]] = []
        self._added = 0

    def add(self, rank: int, value: T) -> None:
        self._added += 1
        entry = (-rank, -self._added, value)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def values(self) -> list[T]:
        """Return the kept values, lowest rank first: any first part of them is a sample, too."""
        return [value for *_, value in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]
