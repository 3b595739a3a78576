"""How much two instructions say the same in the same order (ROUGE-L), and which new ones are near-duplicates.

ROUGE-L (Lin 2004) is the F1 measure of the longest common subsequence (LCS) of two token sequences. All texts
here are hostile: everything that reads them takes linear time, but for the LCS itself, which is bit-parallel.
"""

from __future__ import annotations  # the type of an array can be written so since Python 3.12 only

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import numpy as np
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from utils.files.row_store import RowStore
from utils.process.each import Each, in_silence
from utils.rows.records import dropped_row, stored_rows
from utils.schema import Message, Seeds

# Scripts written without spaces (Han, kana, Thai, Lao, Burmese, Khmer), and Hangul, whose words carry endings.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3130-\u318f"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# Bounded, as normalizing takes time quadratic in a run of combining marks.
_RUN = re.compile(rf"([{_UNSPACED}]{{1,200}})|[^\W_{_UNSPACED}]{{1,200}}")
_PAIR = re.compile(f"[{_UNSPACED}]")

PROBED_BEYOND = 2  # terms looked up beyond the necessary ones: more lookups, fewer candidates
MOST_SEEDS = 20_000  # that near-duplicates are counted among before a run
UNKNOWN = 0  # what all terms are of a text that is only looked for, where no text that was added holds them
BATCH = 4096  # candidates compared at a time, which bounds scratch memory

Numbers = np.ndarray


def tokens(text: str) -> tuple[str, ...]:
    """Return the tokens of a text: lower-case words and numbers; in Hangul and scripts without spaces, character pairs.

    A run of such a script gives one token per character: the character with the one before it, or with `^` where
    the run begins (`사과를` -> `^사 사과 과를`). A changed particle or ending then costs a token or two and not
    the word, while the common syllables of Korean do not match out of context.

    Chosen by measurement: 40 Korean near-duplicates written by hand (particle, ending, politeness, a word, order,
    numbers), 35 pairs of the same topic or frame but another task, 152,076 pairs of different real seeds; English
    with 30, 30 and 35,511 pairs. Shown: near-duplicates above 0.7, same-topic pairs above 0.7, the 99.9th percentile of
    different seeds, and the threshold that separates near-duplicates from same-topic pairs best.

        Korean                    near-duplicates   same topic   different   best threshold
        words                     5 of 40       0 of 35      0.29        0.49
        syllables                 38            2            0.43        0.71
        pairs inside the word     27            1            0.35        0.62
        pairs, first one marked   37            0            0.35        0.70
        triples inside the word   13            2            0.35        0.54
        letters (jamo)            39            4            0.55        0.76
        English words             26 of 30      1 of 30      0.33        0.63
    """
    found: list[str] = []
    for match in _RUN.finditer(text):
        run = match.group()
        run = run.lower() if run.isascii() else unicodedata.normalize("NFKC", run).casefold()
        if match.group(1):
            found += map("".join, zip("^" + run, run, strict=False))
        else:
            found.append(run)
    return tuple(found)


def is_syllable_pair(token: str) -> bool:
    """Tell whether a token is a character pair of Hangul or of a script without spaces, and not a word."""
    return not token.isascii() and _PAIR.match(token, len(token) - 1) is not None


def rouge_l(a: str, b: str) -> float:
    """Return the ROUGE-L F1 of two texts (Lin 2004), 2 LCS / (m + n) over `tokens`; 0 where one has none."""
    codes: dict[str, int] = {}  # small integers are their own hash, so that no two tokens can be taken for one
    x, y = ([codes.setdefault(token, len(codes)) for token in tokens(text)] for text in (a, b))
    return 2 * LCSseq.similarity(x, y) / (len(x) + len(y)) if x and y else 0.0


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """What a near-duplicate is a copy of: the id of the closest instruction's row, and their ROUGE-L."""

    other_id: int
    overlap: float


def near_duplicates_among(seeds: Seeds, max_overlap: float) -> str:
    """Return a line that says how many seeds nearly repeat an earlier one: as rewrites they will hardly survive.

    Of a large set only the first `MOST_SEEDS` are looked at, which bounds the time.
    """
    near = NearDuplicatesInContext(max_overlap)
    found = sum(near.of(seed.context).check(seed.id, seed.text) is not None for seed in islice(seeds, MOST_SEEDS))
    among = f"{len(seeds):,} seeds" if len(seeds) <= MOST_SEEDS else f"the first {MOST_SEEDS:,} of {len(seeds):,} seeds"
    what_becomes = ", which will hardly survive as rewrites" if found else ""
    return f"near-duplicates among {among}: {found:,} (--max-overlap {max_overlap:g}){what_becomes}"


def eliminate_near_duplicates(rows: RowStore, seeds: Seeds, max_overlap: float, each: Each = in_silence) -> None:
    """Eliminate, in the order of `rows`, new instructions that nearly repeat another row's in the same context."""
    near = NearDuplicatesInContext(max_overlap)
    for seed in each("near-duplicates: seeds", seeds, len(seeds)):
        near.of(seed.context).add(seed.id, seed.text)
    for key, row in each("near-duplicates", stored_rows(rows), len(rows)):
        if row.outcome == "evolved" and row.record["generation"]:
            context = [Message(**turn) for turn in row.record["context"]]
            if near.of(context).check(row.record["id"], row.record["instruction"]):
                rows.put(key, dropped_row(row, "near_copy"))


class NearDuplicatesInContext:
    """Looks for near-duplicates only among instructions in the same context: in another one, words are another task."""

    def __init__(self, max_overlap: float) -> None:
        self._max_overlap = max_overlap
        self._by_context: dict[bytes, NearDuplicates] = {}

    def of(self, context: Sequence[Message]) -> NearDuplicates:
        """Return the NearDuplicates of the instructions in this context; it is empty where the context is new."""
        said = "\0".join(part for turn in context for part in (turn.role, turn.content))
        key = blake2b(said.encode(), digest_size=16).digest() if context else b""
        if key not in self._by_context:
            self._by_context[key] = NearDuplicates(self._max_overlap)
        return self._by_context[key]


class NearDuplicates:
    """Finds near-duplicates in a stream of new instructions, exactly as comparing all pairs would.

    Add all seeds, then check the new instructions in a fixed order, by (id, generation). One is a near-duplicate when
    its ROUGE-L with a seed, or with a new instruction that was kept before it, is above `max_overlap` (0 to 1);
    texts of its own row never count. So the outcome depends on the texts and their order alone.

    Pruning is lossless. The LCS is at most the number of terms that two texts share (a term is a token and how
    often it has occurred before, so that repetitions count). A near-duplicate of a text of m terms shares at least
    s terms with it, the length of the shortest possible partner; so it holds one of any m - s + 1 of them. Those that
    occur in the fewest texts *so far* are looked up in an inverted index. As the index holds all terms of all texts,
    this choice is free at every check, and frequencies may change while texts come. What was not looked up
    counts as shared, which bounds each candidate's ROUGE-L; rapidfuzz computes it for those that are left.
    """

    def __init__(self, max_overlap: float) -> None:
        self.verified = 0
        """Pairs whose LCS was computed so far."""
        self._max_overlap = max_overlap
        self._ids: dict[str, int] = {"": UNKNOWN}
        self._postings: list[array[int] | int | None] = [None]  # by term; a bare number where only one text holds it
        self._sequences = array("I")  # the token ids of all texts, end to end
        self._starts = array("q", [0])
        self._lengths = array("I")
        self._rows = array("q")
        self._codes = np.zeros(0, dtype="<u4")  # by token id; all zero between two calls of _lcs

    def add(self, row_id: int, text: str) -> None:
        """Add a text of row `row_id` that needs no check, as a seed instruction."""
        self._add(row_id, *self._encode(text, self._new_id))

    def closest(self, row_id: int, text: str) -> NearDuplicate | None:
        """Find the closest text of another row, of equals the first, above `max_overlap`; do not add `text`."""
        return self._closest(row_id, *self._encode(text, self._known_id))

    def all_above(self, row_id: int, text: str) -> list[int]:
        """Return the numbers (from 0, as added) of other rows' texts above `max_overlap`; do not add `text`."""
        sequence, terms = self._encode(text, self._known_id)
        batches = self._candidates(row_id, terms)
        return [
            number
            for texts in batches
            for number in texts[self._overlaps(sequence, texts) > self._max_overlap].tolist()
        ]

    def check(self, row_id: int, text: str) -> NearDuplicate | None:
        """Return what `closest` finds; where that is None, add `text`."""
        sequence, terms = self._encode(text, self._new_id)
        found = self._closest(row_id, sequence, terms)
        if found is None:
            self._add(row_id, sequence, terms)
        return found

    def _encode(self, text: str, id_of: Callable[[str], int]) -> tuple[array[int], list[int]]:
        """Return token ids in the order of the text, and its terms: as many as tokens, all different or `UNKNOWN`."""
        sequence, terms, seen = array("I"), list[int](), dict[str, int]()
        for token in tokens(text):
            before = seen[token] = seen.get(token, -1) + 1
            sequence.append(id_of(token))
            terms.append(id_of(f"{token} {before}") if before else sequence[-1])
        return sequence, terms

    def _known_id(self, term: str) -> int:
        return self._ids.get(term, UNKNOWN)

    def _new_id(self, term: str) -> int:
        number = self._ids.setdefault(term, len(self._ids))
        if number == len(self._postings):
            self._postings.append(None)
        return number

    def _add(self, row_id: int, sequence: array[int], terms: list[int]) -> None:
        text = len(self._rows)
        for term in terms:
            postings = self._postings[term]
            if isinstance(postings, array):
                postings.append(text)
            else:
                self._postings[term] = text if postings is None else array("I", (postings, text))
        self._sequences.extend(sequence)
        self._starts.append(len(self._sequences))
        self._lengths.append(len(sequence))
        self._rows.append(row_id)

    def _closest(self, row_id: int, sequence: array[int], terms: list[int]) -> NearDuplicate | None:
        best, found = self._max_overlap, None
        for texts in self._candidates(row_id, terms):
            overlaps = self._overlaps(sequence, texts)
            first = int(overlaps.argmax())
            if overlaps[first] > best:
                best = float(overlaps[first])
                found = NearDuplicate(self._rows[texts[first]], best)
        return found

    def _candidates(self, row_id: int, terms: list[int]) -> Iterator[Numbers]:
        """Yield batches of the numbers of other rows' texts that may be above `max_overlap`, in the order of adding."""
        shortest = self._shortest_partner(len(terms))
        if shortest > len(terms):
            return
        unprobed = max(0, shortest - 1 - PROBED_BEYOND)
        probed = sorted(terms, key=self._frequency)[: len(terms) - unprobed]
        texts, shared = np.unique(self._texts_with(probed), return_counts=True)
        lengths = _view(self._lengths)[texts]
        bound = 2 * np.minimum(shared + unprobed, lengths) / (len(terms) + lengths)
        texts = texts[(bound > self._max_overlap) & (_view(self._rows)[texts] != row_id)]
        for start in range(0, len(texts), BATCH):
            yield texts[start : start + BATCH]

    def _shortest_partner(self, length: int) -> int:
        """Return the fewest tokens that a near-duplicate of a text of `length` tokens has; length + 1 for none."""
        return bisect_left(
            range(length + 1), True, key=lambda other: bool(other) and 2 * other / (length + other) > self._max_overlap
        )

    def _frequency(self, term: int) -> int:
        postings = self._postings[term]
        return len(postings) if isinstance(postings, array) else postings is not None

    def _texts_with(self, terms: Sequence[int]) -> Numbers:
        """Return the numbers of texts that hold any of the terms, a text once for each term that it holds."""
        found = [self._postings[term] for term in terms]
        single = array("I", [postings for postings in found if isinstance(postings, int)])
        return np.concatenate([_view(single), *(_view(postings) for postings in found if isinstance(postings, array))])

    def _overlaps(self, sequence: array[int], texts: Numbers) -> Numbers:
        """Return the ROUGE-L of `sequence` with each of `texts`."""
        lengths = _view(self._lengths)[texts]
        overlaps: Numbers = 2 * self._lcs(sequence, texts, lengths) / (len(sequence) + lengths)
        return overlaps

    def _lcs(self, sequence: array[int], texts: Numbers, lengths: Numbers) -> Numbers:
        """Return the LCS of `sequence` with each of `texts`, in tokens.

        Tokens are written as characters, numbered by their place in `sequence`; all others are one character,
        which is not in it. So the number of different tokens may exceed that of characters.
        """
        self.verified += len(texts)
        if len(self._codes) < len(self._ids) or not self._codes.flags.writeable:  # nor is it in a task of Ray
            self._codes = np.zeros(2 * len(self._ids), dtype="<u4")
        distinct = list(dict.fromkeys(sequence))
        self._codes[distinct] = np.arange(1, len(distinct) + 1)
        ends = np.cumsum(lengths, dtype=np.int64)
        places = np.arange(ends[-1]) + np.repeat(_view(self._starts)[texts] - (ends - lengths), lengths)
        query = _characters(self._codes[_view(sequence)])
        others = _characters(self._codes[_view(self._sequences)[places]])
        self._codes[distinct] = 0
        slices = [others[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]
        common: Numbers = cdist([query], slices, scorer=LCSseq.similarity, dtype=np.int32)[0]
        return common


def _view(numbers: array[int]) -> Numbers:
    return np.frombuffer(numbers, dtype=numbers.typecode)


def _characters(codes: Numbers) -> str:
    return codes.tobytes().decode("utf-32-le", "surrogatepass")
