"""Intention tags of instructions: folded to one spelling, merged where similar, counted (InsTag, arXiv 2308.07074).

InsTag drops tags that are rare in a data set of many thousands, and merges by meaning. A sample of a hundred
instructions holds mostly tags that occur once, so that no tag is dropped here, and only spelling merges them: case,
spaces, hyphens, accents, plurals, order of words, small differences. "maths" and "arithmetic" remain two tags.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain

from utils.text.measures.model import Measure

Tags = tuple[str, ...] | None
"""The tags of one instruction; None where it could not be tagged."""

SIMILAR = 91  # rapidfuzz ratio from which two spellings are one: optimization and optimisation, not conver(sat/s)ion
PREFIX = 6  # letters in which all words of similar tags agree: translation is no transaction
LONGEST = 60  # characters of a tag; what is longer is a sentence
SHOWN = 30  # tags listed

_SPACE = re.compile(r"[\s_/|-]+")
_STRANGE = re.compile(r"[^a-z0-9+#.&' ]")
_LETTER = re.compile("[a-z]")


class TagCount(Measure):
    """A tag and the instructions that bear it."""

    tag: str
    count: int


class TagMeasures(Measure):
    """Complexity and diversity of a sample of instructions, as Auto Evol-Instruct (arXiv 2406.00770) reports them."""

    instructions: int
    """Instructions that were asked about."""
    tagged: int
    """Instructions that could be tagged; the other figures are about these."""
    complexity: float | None
    """Mean number of tags per instruction; None where none was tagged."""
    diversity: float | None
    """Different tags / instructions. It falls as a sample grows: compare samples of the same size."""
    unique: int
    """Different tags."""
    tags_per_instruction: dict[int, int]
    """Instructions by their number of tags, fewest tags first."""
    most_common: tuple[TagCount, ...]
    """The most frequent tags, most frequent first."""


def measure_tags(tagged: Sequence[Tags]) -> TagMeasures:
    """Measure complexity and diversity of instructions (InsTag) by their tags, which are taken as they stand."""
    found = [tags for tags in tagged if tags is not None]
    counts, sizes = _frequencies(found), Counter(len(tags) for tags in found)
    return TagMeasures(
        instructions=len(tagged),
        tagged=len(found),
        complexity=round(sum(map(len, found)) / len(found), 4) if found else None,
        diversity=round(len(counts) / len(found), 4) if found else None,
        unique=len(counts),
        tags_per_instruction=dict(sorted(sizes.items())),
        most_common=tuple(TagCount(tag=tag, count=counts[tag]) for tag in _by_frequency(counts)[:SHOWN]),
    )


def fold(tag: str) -> str:
    """Write `tag` in lower-case ASCII with single spaces.

    Returns an empty text for what is no tag: one without a Latin letter, or a whole sentence.
    """
    if len(tag) > 4 * LONGEST:  # normalizing takes time quadratic in a run of combining marks
        return ""
    plain = unicodedata.normalize("NFKD", tag).encode("ascii", "ignore").decode().lower()
    folded = _STRANGE.sub("", _SPACE.sub(" ", plain))
    folded = " ".join(folded.split()).lstrip("#&'+ ").rstrip(".&' ")
    return folded if _LETTER.search(folded) and len(folded) <= LONGEST else ""


def merge_similar(tagged: Sequence[Tags]) -> list[Tags]:
    """Replace similar tags of instructions by one of them: the most frequent, of equals the first by name.

    What is compared must be merged together: tags of seeds and of evolved rows in one call.
    """
    names = _merged_names(_frequencies([tags for tags in tagged if tags is not None]))
    return [None if tags is None else tuple(dict.fromkeys(names[tag] for tag in tags)) for tags in tagged]


def _frequencies(tagged: Sequence[tuple[str, ...]]) -> Counter[str]:
    return Counter(chain.from_iterable(map(dict.fromkeys, tagged)))


def _by_frequency(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda tag: (-counts[tag], tag))


def _merged_names(counts: Counter[str]) -> dict[str, str]:
    """Return for every tag the one that is kept in its place."""
    from rapidfuzz import fuzz, process  # numpy with it, which a run without tags can spare

    names: dict[str, str] = {}
    joined: dict[str, str] = {}  # kept tags by their words without spaces
    alike: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # by beginnings of words, then by spelling
    for tag in _by_frequency(counts):
        words = [_singular(word) for word in tag.split()]
        spelling, rivals = " ".join(sorted(words)), alike[tuple(sorted(word[:PREFIX] for word in words))]
        found = process.extractOne(spelling, list(rivals), scorer=fuzz.ratio, score_cutoff=SIMILAR)
        names[tag] = joined.get("".join(words)) or (rivals[found[0]] if found else tag)
        if names[tag] == tag:
            rivals[spelling] = joined["".join(words)] = tag
    return names


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return word
    return word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]


class TagComparison(Measure):
    """The seeds and what became of them, by tags that were merged together, so that the figures compare."""

    seeds: TagMeasures
    evolved: TagMeasures

    @classmethod
    def of(cls, seeds: Sequence[Tags], evolved: Sequence[Tags]) -> "TagComparison":
        return cls(seeds=measure_tags(seeds), evolved=measure_tags(evolved))
