"""The measures of a set of instructions, as they stand in files; every field says what it counts.

A token is what `utils.text.near_duplicates.tokens` makes: a lower-case word or number, and for Hangul and scripts
without spaces a character with the one before it, so that a token is about a word in English and a syllable in Korean.
"""

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np

OVERLAP_EDGES = tuple(round(step / 20, 2) for step in range(21))
# Each bin is wider by the square root of 2, so that 20 tokens and 2,000 fit one picture.
LENGTH_EDGES = (0.0, *(float(round(5 * 2 ** (step / 2))) for step in range(23)))


class Measure(BaseModel):
    """What all results share: they never change, and the text under a field is its description."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Distribution(Measure):
    """How a number is spread over rows."""

    count: int
    """Rows that were measured."""
    mean: float
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    edges: tuple[float, ...]
    """Borders of the histogram's bins, one more than bins; the same for all sets, so that sets can be compared."""
    counts: tuple[int, ...]
    """Rows per bin; a bin holds its lower border, the last one also whatever lies above."""

    @classmethod
    def of(cls, values: "np.ndarray", edges: tuple[float, ...]) -> Self | None:
        """Return the distribution of `values` (one-dimensional) over bins between `edges`; None for no values."""
        import numpy as np  # not before something is measured: the start of the program can spare it

        if not len(values):
            return None
        quartiles = np.percentile(values, (0, 25, 50, 75, 100))
        counts, _ = np.histogram(np.minimum(values, edges[-1]), edges)
        names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
        return cls(
            count=len(values),
            mean=round(float(values.mean()), 4),
            edges=edges,
            counts=tuple(counts.tolist()),
            **{name: round(float(value), 4) for name, value in zip(names, quartiles, strict=True)},
        )


class NearestOverlap(Measure):
    """ROUGE-L of rows to the nearest other instruction of the same set."""

    distribution: Distribution
    """One value per row looked at: its highest ROUGE-L (0 to 1) with any other row."""
    among: int
    """Rows that each was compared with, itself included."""
    exact: bool
    """Every row of the set was looked at and compared with all others; if not, rows were drawn by chance."""


class VerbNoun(Measure):
    """A verb, its direct object, and how many instructions ask for that."""

    verb: str
    noun: str
    count: int


class VerbNounPairs(Measure):
    """What instructions ask for: the figure by which Explore-Instruct (arXiv 2310.09168) shows breadth."""

    unique: int
    """Different pairs. It grows with the rows looked at: compare sets only where `rows` is about the same."""
    found: int
    """Rows in which a pair was found, at most one per row."""
    rows: int
    """Korean and English rows looked at; of a large set a sample."""
    most_common: tuple[VerbNoun, ...]
    """The most frequent pairs, most frequent first."""


class DataSetMeasures(Measure):
    """One set of instructions: the seeds, or one generation."""

    rows: int
    characters: Distribution | None
    """Length in characters; None for an empty set, as for all distributions."""
    tokens: Distribution | None
    """Length in tokens: words in English, syllables in Korean."""
    parent_overlap: Distribution | None
    """ROUGE-L (0 to 1) to the parent, of rows that have one."""
    nearest_overlap: NearestOverlap | None
    """None for fewer than two rows."""
    distinct_1: float | None
    """Different tokens / all tokens (Li et al. 2016). Falls as a set grows, so compare sets of similar size."""
    distinct_2: float | None
    """Different pairs of neighbouring tokens / all such pairs."""
    verb_noun: VerbNounPairs | None
    """None where a tagger is not installed, and where no row is Korean or English."""
    verb_noun_note: str
    """Why `verb_noun` is None and what to install; empty where it is there."""
    languages: dict[str, float]
    """Share of rows by language: ko, en, ja, zh, other, none (no letters), most frequent first."""
    scripts: dict[str, float]
    """Share of letters by script, over all rows, most frequent first."""


class RunMeasures(Measure):
    """What went into a run and what came out."""

    seeds: DataSetMeasures
    generations: tuple[DataSetMeasures, ...]
    """Generation 1 first: all rewrites of that round that are in the result or led to a row of it."""
    reasons: tuple[dict[str, int], ...]
    """By generation, from 0: rows that were eliminated or set aside by reason (a rule or a label), commonest first."""
