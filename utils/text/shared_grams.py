"""Which of many texts another text holds at least half of, in pieces of eight words or more: exactly, and quickly.

A *gram* is a run of tokens as long as eight words, or as twelve syllable pairs of Korean, or as a mixture of the same
weight; a text shorter than that is one gram. So a short text shares a gram with none but its equals: taken as a part of
others, `다음 중 옳은 것은?` would be in every second exam.

Twelve was chosen by measurement (bench/decontamination.py): 414 real Korean seeds, each planted between two others as
it is, with the ending of every tenth or sixth word changed, or without every tenth word; and 4,140 texts against 207
others each.

    pairs   as it is   endings 1/10   endings 1/6   dropped 1/10   false alarms
    8       99.8 %     98.1 %         96.1 %        96.9 %         112
    10      98.6       94.2           90.8          91.3             5
    12      94.7       87.9           79.5          83.8             0
    16      84.1       73.2           50.2          69.8             0

What is missed as it is, is short. `… 이유는 무엇인가요?` makes the false alarms of 8.
"""

from __future__ import annotations  # the type of an array can be written so since Python 3.12 only

from array import array
from collections.abc import Iterable

import numpy as np

from utils.text.near_duplicates import Numbers, is_syllable_pair, tokens

WORDS, PAIRS = 8, 12  # of a gram
GRAM, OF_A_WORD, OF_A_PAIR = WORDS * PAIRS, PAIRS, WORDS  # weights
UNKNOWN = 0  # what a token is that no text of the index has
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2 ** 64
INVERSE = pow(BASE, -1, 1 << 64)


class SharedGrams:
    """An index of the grams of texts, numbered from 0 as they come.

    Grams are looked up by a hash of 64 bits and then compared token by token, so that no chance decides. Memory holds
    16 bytes per token, and every distinct token once.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._ids: dict[str, int] = {}
        sequence, weights, starts = array("I"), array("B"), array("q", [0])
        for text in texts:
            for token in tokens(text):
                sequence.append(self._ids.setdefault(token, len(self._ids) + 1))
                weights.append(_weight(token))
            starts.append(len(sequence))
        self._sequence, self._starts = np.array(sequence), np.array(starts)
        self._before = _sums(np.array(weights))
        begins, ends = _grams(self._before, self._starts)
        hashes = _hashes(self._sequence, begins, ends)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._begins, self._ends = hashes[order], begins[order], ends[order]

    def most_covered(self, text: str) -> int | None:
        """Return the number of the text that shares grams with `text` which cover the largest part of it; of equals
        the first. None where that is less than half of it."""
        found = tokens(text)
        sequence = np.array([self._ids.get(token, UNKNOWN) for token in found], "I")
        begins, ends = _grams(_sums(np.array([_weight(token) for token in found])), np.array([0, len(found)]))
        hashes = _hashes(sequence, begins, ends)
        first = np.searchsorted(self._hashes, hashes)
        times = np.searchsorted(self._hashes, hashes, "right") - first
        if not times.any():
            return None
        hits = _runs(first, times)
        own, lengths = np.repeat(begins, times), np.repeat(ends - begins, times)
        same = self._ends[hits] - self._begins[hits] == lengths
        hits, own, lengths = hits[same], own[same], lengths[same]
        return self._half_covered(np.unique(hits[self._equal(sequence, own, self._begins[hits], lengths)]))

    def _equal(self, sequence: Numbers, own: Numbers, places: Numbers, lengths: Numbers) -> Numbers:
        """Tell which runs of `sequence`, of `lengths` tokens from `own` on, are those of the index from `places` on."""
        if not len(own):
            return np.zeros(0, bool)
        differ = sequence[_runs(own, lengths)] != self._sequence[_runs(places, lengths)]
        equal: Numbers = ~np.logical_or.reduceat(differ, np.cumsum(lengths) - lengths)
        return equal

    def _half_covered(self, grams: Numbers) -> int | None:
        """Return the text that `grams` cover most of, if that is half of it."""
        if not len(grams):
            return None
        begins, ends = np.sort(self._begins[grams]), np.sort(self._ends[grams])  # of a text both ascend together
        texts = np.searchsorted(self._starts, begins, "right") - 1
        ends[:-1] = np.minimum(ends[:-1], np.where(texts[1:] == texts[:-1], begins[1:], ends[:-1]))
        numbers, where = np.unique(texts, return_index=True)
        covered = np.add.reduceat(self._before[ends] - self._before[begins], where)
        whole = self._before[self._starts[numbers + 1]] - self._before[self._starts[numbers]]
        best = int((covered / whole).argmax())
        return int(numbers[best]) if 2 * covered[best] >= whole[best] else None


def _weight(token: str) -> int:
    return OF_A_PAIR if is_syllable_pair(token) else OF_A_WORD


def _sums(weights: Numbers) -> Numbers:
    """Return the weight before each token, and that of all."""
    sums: Numbers = np.concatenate([np.zeros(1, np.int64), np.cumsum(weights, dtype=np.int64)])
    return sums


def _grams(before: Numbers, starts: Numbers) -> tuple[Numbers, Numbers]:
    """Return where grams begin and where they end, of texts that lie end to end and begin at `starts`.

    `before` are the weights before each token. A gram is the shortest run from its first token that is heavy enough.
    """
    ends = np.searchsorted(before, before[:-1] + GRAM)
    last = np.repeat(starts[1:], np.diff(starts))
    is_whole = ends <= last
    short = (before[starts[1:]] - before[starts[:-1]] < GRAM) & (np.diff(starts) > 0)
    begins = np.flatnonzero(is_whole)
    return np.concatenate([begins, starts[:-1][short]]), np.concatenate([ends[begins], starts[1:][short]])


def _hashes(sequence: Numbers, begins: Numbers, ends: Numbers) -> Numbers:
    """Return a hash of each run of tokens: a polynomial of them, taken from sums over all tokens before its ends."""
    power = np.cumprod(np.full(len(sequence) + 1, BASE, np.uint64))
    back = np.cumprod(np.full(len(sequence) + 1, INVERSE, np.uint64))
    mixed = (sequence.astype(np.uint64) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * power[:-1], dtype=np.uint64)])
    hashes: Numbers = (sums[ends] - sums[begins]) * back[begins]
    return hashes


def _runs(begins: Numbers, lengths: Numbers) -> Numbers:
    """Return the numbers of runs, one run behind the other."""
    ends = np.cumsum(lengths)
    numbers: Numbers = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - (ends - lengths), lengths)
    return numbers
