"""Failure rules on rewrites: each looks at a parent instruction and its rewrite and says whether the rule fires.

Evolving adds ten to twenty words (Auto Evol-Instruct, section 3), so a good rewrite may differ little from a
long parent, and a good rewrite of a chatty parent may be shorter. Whether a rewrite is *better* is the
judge's business; these rules catch what has no need of a judge.
"""

from collections import Counter
from itertools import pairwise

from rapidfuzz.fuzz import ratio

from validator.rules_languages import LANGUAGES, says, spoken_in
from validator.rules_refusal import is_refusal
from validator.rules_text import (
    fences,
    opening,
    plain,
    scripts,
    sentences,
    tokens,
    without_foreign_matter,
)

SAME_ORDER = 0.8
"""Share of neighbouring tokens that a near-duplicate keeps."""

INFLECTED = 60
"""Similarity (0 to 100) from which two words count as forms of one word."""

FEW = 6
"""New words up to which it is worth looking for inflections."""

LOSS = 0.05
"""Share of its words that a near-duplicate may lose."""

SHRUNK = 0.3
"""Share of the parent's substance below which a rewrite has lost something."""

LONG = 150
"""Size from which a parent can shrink."""

EMPTY = 100

NEW_SCRIPT = 0.1
"""Share of the parent's letters up to which a script is new in the rewrite."""

FOREIGN_TERMS = {"latin": 0.9}
"""Share of the rewrite's letters that a script takes in mere terms: technical Korean is full of English."""

FEWEST_LETTERS = 12


def is_empty(parent: str, rewrite: str) -> bool:
    """Tell whether there is no word in the rewrite."""
    return not tokens(rewrite[:EMPTY]) and len(rewrite) <= EMPTY


def is_unchanged(parent: str, rewrite: str) -> bool:
    """Tell whether the rewrite says nothing new: case, punctuation, politeness and the endings of words aside."""
    before, after = tokens(parent), tokens(rewrite)
    if before == after:
        return True
    old, new = Counter(before), Counter(after)
    added, removed = list((new - old).elements()), list((old - new).elements())
    if len(added) > FEW or len(removed) > FEW + len(before) * LOSS:
        return False
    lost = sum(not _is_trifle(word, added) for word in removed)
    if lost > len(before) * LOSS or any(not _is_trifle(word, removed) for word in added):
        return False
    neighbours = Counter(pairwise(before)), Counter(pairwise(after))
    kept = (neighbours[0] & neighbours[1]).total()
    return kept + 2 * len(added) >= SAME_ORDER * (len(after) - 1)


def _is_trifle(word: str, others: list[str]) -> bool:
    """Tell whether a word that was added or removed is mere politeness, or another form of one of the `others`."""
    if any(word in language.politeness for language in LANGUAGES):
        return True
    return word.isalpha() and any(
        word[0] == other[0] and ratio(word, other) >= INFLECTED for other in others[: 4 * FEW]
    )


def is_shrunk(parent: str, rewrite: str) -> bool:
    """Tell whether most of a long parent is gone. Greetings and small talk of the parent do not count."""
    before = size(parent)
    if before < LONG or size(rewrite) >= SHRUNK * before:
        return False
    return size(rewrite) < SHRUNK * size(_substance(parent))


def size(text: str) -> int:
    """Return the length without white space; a Hangul or Han character, which holds more, counts as two letters."""
    compact = "".join(text.split())
    return len(compact) if compact.isascii() else len(compact) + sum("\u1100" <= char <= "\ud7a3" for char in compact)


def _substance(parent: str) -> str:
    prose, blocks, _ = fences(parent)
    kept = [sentence for sentence in sentences(prose) if not says(plain(sentence), "chatter")]
    return "\n".join(kept + blocks)


def has_changed_language(parent: str, rewrite: str) -> bool:
    """Tell whether the rewrite is written in another script than its parent, code and quotations aside."""
    if parent.isascii() and rewrite.isascii():
        return False
    before, after = scripts(without_foreign_matter(parent)), scripts(without_foreign_matter(rewrite))
    if before.total() < FEWEST_LETTERS or after.total() < FEWEST_LETTERS:
        return False
    own, _ = before.most_common(1)[0]
    if after[own] >= 0.5 * after.total():
        return False
    if after[own] >= NEW_SCRIPT * after.total() and says(plain(parent, len(parent)), "asks_for_language"):
        return False
    if before["hangul"] >= NEW_SCRIPT * before.total() and not after["hangul"]:
        return True
    return any(
        count >= FOREIGN_TERMS.get(script, 0.3) * after.total() and before[script] < NEW_SCRIPT * before.total()
        for script, count in after.items()
    )


def has_leaked_prompt(parent: str, rewrite: str) -> bool:
    """Tell whether words of the rewriting prompt stand in the rewrite, and not in its parent."""
    after = plain(rewrite, len(rewrite))
    leaks = [found.group() for language in spoken_in(after) for found in language.leaks.finditer(after)]
    if not leaks:
        return False
    before = plain(parent, len(parent))
    return any(leak not in before for leak in leaks)


def answers_instead(parent: str, rewrite: str) -> bool:
    """Tell whether the rewrite begins as an answer, or is code, and asks for nothing."""
    prose, blocks, _ = fences(rewrite)
    if says(plain(prose, len(prose)), "requests"):
        return False
    if says(plain(rewrite).strip(), "answers"):
        return not says(plain(parent).strip(), "answers")
    return bool(blocks) and size(prose) < size("".join(blocks)) and "```" not in parent


def is_refused(parent: str, rewrite: str) -> bool:
    """Tell whether the rewriting LLM declined, or asked for the instruction it was given."""
    if says(opening(rewrite), "rewriting_refused"):
        return not says(plain(parent), "rewriting_refused")
    if not is_refusal("", rewrite) or is_refusal("", parent):
        return False
    return not says(plain(parent), "rewriting_refused")
