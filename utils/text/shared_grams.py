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
from collections.abc import Iterable, Iterator

import numpy as np

from utils.text.near_duplicates import Numbers, is_syllable_pair, tokens

WORDS, PAIRS = 8, 12  # of a gram
GRAM, OF_A_WORD, OF_A_PAIR = WORDS * PAIRS, PAIRS, WORDS  # weights
HALF, COMMON = 0.5, 100  # the share of a text that makes it meant; texts with a gram, beyond which it is common
UNKNOWN = 0  # what a token is that no text of the index has
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2 ** 64
INVERSE = pow(BASE, -1, 1 << 64)


class SharedGrams:
    """An index of the grams of texts, numbered from 0 as they come.

    Hashes of 64 bits say which texts may be meant; their grams are then compared token by token, so that no chance
    decides. A text of which common grams cover less than half can only be meant if a rare one is shared too, so that
    a template that all texts begin with costs no time. Memory holds 30 bytes per token, and every distinct token once.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._ids: dict[str, int] = {}
        sequence, weights, starts = array("I"), array("B"), array("q", [0])
        for text in texts:
            for token in tokens(text):
                sequence.append(self._ids.setdefault(token, len(self._ids) + 1))
                weights.append(_weight(token))
            starts.append(len(sequence))
        self._sequence, self._starts, self._before = np.array(sequence), np.array(starts), _sums(np.array(weights))
        self._begins, self._ends = _grams(self._before, self._starts)
        self._firsts = np.searchsorted(self._begins, self._starts)  # each text's first gram
        hashes = _hashes(self._sequence, self._begins, self._ends)
        worth = self._worth_looking_up(hashes)
        order = np.argsort(hashes[worth])
        self._hashes, self._texts = hashes[worth][order], self._text_of(worth)[order].astype(np.uint32)

    def most_covered(self, text: str) -> int | None:
        """Return the number of the text that shares grams with `text` which cover the largest part of it; of equals
        the first. None where that is less than half of it."""
        found = tokens(text)
        sequence = np.array([self._ids.get(token, UNKNOWN) for token in found], "I")
        begins, ends = _grams(_sums(np.array([_weight(token) for token in found])), np.array([0, len(found)]))
        hashes = _hashes(sequence, begins, ends)
        first = np.searchsorted(self._hashes, hashes)
        texts = np.unique(self._texts[_runs(first, np.searchsorted(self._hashes, hashes, "right"))])
        grams = _runs(self._firsts[texts], self._firsts[texts + 1])
        own = set(_as_bytes(sequence, begins, ends))
        is_shared = [gram in own for gram in _as_bytes(self._sequence, self._begins[grams], self._ends[grams])]
        texts, shares = self._covered(grams[is_shared])
        if not len(texts) or shares.max() < HALF:
            return None
        return int(texts[shares.argmax()])

    def _worth_looking_up(self, hashes: Numbers) -> Numbers:
        """Return which grams are looked up: rare ones, and all of texts that are half covered by common ones."""
        _, where, times = np.unique(hashes, return_inverse=True, return_counts=True)
        is_common = times[where] > COMMON
        texts, shares = self._covered(np.flatnonzero(is_common))
        of_template = np.isin(self._text_of(np.arange(len(hashes))), texts[shares >= HALF])
        return np.flatnonzero(~is_common | of_template)

    def _text_of(self, grams: Numbers) -> Numbers:
        numbers: Numbers = np.searchsorted(self._firsts, grams, "right") - 1
        return numbers

    def _covered(self, grams: Numbers) -> tuple[Numbers, Numbers]:
        """Return the texts that have any of `grams`, which ascend, and the share of each text that they cover."""
        if not len(grams):
            return grams, grams
        begins, ends, texts = self._begins[grams], self._ends[grams], self._text_of(grams)
        ends[:-1] = np.minimum(ends[:-1], np.where(texts[1:] == texts[:-1], begins[1:], ends[:-1]))  # no token twice
        numbers, where = np.unique(texts, return_index=True)
        covered = np.add.reduceat(self._before[ends] - self._before[begins], where)
        return numbers, covered / (self._before[self._starts[numbers + 1]] - self._before[self._starts[numbers]])


def _weight(token: str) -> int:
    return OF_A_PAIR if is_syllable_pair(token) else OF_A_WORD


def _sums(weights: Numbers) -> Numbers:
    """Return the weight before each token, and that of all."""
    sums: Numbers = np.concatenate([np.zeros(1, np.int64), np.cumsum(weights, dtype=np.int64)])
    return sums


def _grams(before: Numbers, starts: Numbers) -> tuple[Numbers, Numbers]:
    """Return where grams begin, ascending, and where they end, of texts that lie end to end and begin at `starts`.

    `before` are the weights before each token. A gram is the shortest run from its first token that is heavy enough.
    """
    ends = np.searchsorted(before, before[:-1] + GRAM)
    of_text = np.repeat(starts[1:], np.diff(starts))
    short = starts[:-1][(before[starts[1:]] - before[starts[:-1]] < GRAM) & (np.diff(starts) > 0)]
    ends[short] = of_text[short]
    begins = np.flatnonzero(ends <= of_text)
    return begins, ends[begins]


def _hashes(sequence: Numbers, begins: Numbers, ends: Numbers) -> Numbers:
    """Return a hash of each run of tokens: a polynomial of them, taken from sums over all tokens before its ends."""
    power = np.cumprod(np.full(len(sequence) + 1, BASE, np.uint64))
    back = np.cumprod(np.full(len(sequence) + 1, INVERSE, np.uint64))
    mixed = (sequence.astype(np.uint64) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed * power[:-1], dtype=np.uint64)])
    hashes: Numbers = (sums[ends] - sums[begins]) * back[begins]
    return hashes


def _runs(begins: Numbers, ends: Numbers) -> Numbers:
    """Return the numbers from each begin to its end, one run behind the other."""
    lengths = ends - begins
    behind = np.cumsum(lengths)
    numbers: Numbers = np.arange(lengths.sum()) + np.repeat(begins - (behind - lengths), lengths)
    return numbers


def _as_bytes(sequence: Numbers, begins: Numbers, ends: Numbers) -> Iterator[bytes]:
    """Yield the tokens of each run as bytes: equal where all tokens are."""
    return (sequence[begin:end].tobytes() for begin, end in zip(begins.tolist(), ends.tolist(), strict=True))
