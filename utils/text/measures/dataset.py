"""The measures of one set of instructions, taken in one pass over its rows."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from utils.process.each import Each, in_silence
from utils.text.measures.languages import count_scripts, language, shares
from utils.text.measures.model import LENGTH_EDGES, OVERLAP_EDGES, DataSetMeasures, Distribution
from utils.text.measures.nearest import Vocabulary, nearest_overlap, overlap
from utils.text.measures.sample import Sample, rank
from utils.text.measures.verb_noun import HEAD, FirstPair, first_pair_of, verb_noun_pairs

COMPARED = 100_000  # rows among which the nearest other instruction is looked for
TAGGED = 2_000  # rows in which verb-noun pairs are looked for
LONGEST = 8_000  # tokens of a text that are compared with its parent
PENDING = 2_000_000  # pairs of tokens counted at a time


def measure_rows(
    rows: Iterable[tuple[str, str | None]], finder: Callable[[str], FirstPair | None] = first_pair_of
) -> DataSetMeasures:
    """The measures of rows (instruction, its parent's text or None).

    Rows are read once, as a stream; their order changes nothing but the places at which samples are cut.
    `finder` gives what finds verb-noun pairs in texts of a language, or None where that is not installed.
    """
    measurer = Measurer()
    for text, parent in rows:
        measurer.add(text, parent)
    return measurer.measures(finder)


class Measurer:
    """Takes rows one by one; memory grows by some hundred bytes a row up to `COMPARED` rows, then hardly at all."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._characters, self._tokens, self._parent_overlaps = array("I"), array("I"), array("f")
        self._distinct_tokens, self._distinct_pairs = Distinct(), Distinct()
        self._languages: Counter[str] = Counter()
        self._scripts: Counter[str] = Counter()
        self._compared: Sample[str] = Sample(COMPARED)
        self._tagged: Sample[tuple[str, str]] = Sample(TAGGED)

    def add(self, text: str, parent: str | None = None) -> None:
        """Take in one instruction and the text that it was made from, if any."""
        encoded = self._vocabulary.encode(text)
        self._characters.append(len(text))
        self._tokens.append(len(encoded))
        if parent is not None:
            self._parent_overlaps.append(overlap(encoded[:LONGEST], self._vocabulary.encode(parent)[:LONGEST]))
        self._count_tokens(encoded)
        scripts = count_scripts(text)
        spoken = language(text, scripts)
        self._scripts.update(scripts)
        self._languages[spoken] += 1
        chance = rank(f"{len(self._characters)}:{text}")
        self._compared.add(chance, encoded)
        self._tagged.add(chance, (spoken, text[:HEAD]))

    def _count_tokens(self, encoded: str) -> None:
        numbers = np.frombuffer(encoded.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
        self._distinct_tokens.add(numbers)
        self._distinct_pairs.add(numbers[:-1] << 32 | numbers[1:])

    def measures(
        self, finder: Callable[[str], FirstPair | None] = first_pair_of, each: Each = in_silence
    ) -> DataSetMeasures:
        """What the rows so far measure."""
        pairs, note = verb_noun_pairs(self._tagged.values(), finder, each)
        return DataSetMeasures(
            rows=len(self._characters),
            characters=Distribution.of(np.array(self._characters), LENGTH_EDGES),
            tokens=Distribution.of(np.array(self._tokens), LENGTH_EDGES),
            parent_overlap=Distribution.of(np.array(self._parent_overlaps), OVERLAP_EDGES),
            nearest_overlap=nearest_overlap(self._compared.values(), len(self._characters), each),
            distinct_1=self._distinct_tokens.share(),
            distinct_2=self._distinct_pairs.share(),
            verb_noun=pairs,
            verb_noun_note=note,
            languages=shares(self._languages),
            scripts=shares(self._scripts),
        )


class Distinct:
    """Counts different numbers exactly, in eight bytes for each."""

    def __init__(self) -> None:
        self._known = np.empty(0, np.uint64)
        self._pending: list[np.ndarray] = []
        self._waiting = 0
        self._total = 0

    def add(self, numbers: np.ndarray) -> None:
        self._pending.append(numbers)
        self._waiting += len(numbers)
        self._total += len(numbers)
        if self._waiting >= PENDING:
            self._merge_pending()

    def _merge_pending(self) -> None:
        self._known = np.unique(np.concatenate((self._known, *self._pending)))
        self._pending, self._waiting = [], 0

    def share(self) -> float | None:
        """Different numbers / all numbers; None where there are none."""
        self._merge_pending()
        return round(len(self._known) / self._total, 4) if self._total else None
