"""What the failure rules look at in a text, language by language: openings, sentences, scripts, fences.

Everything here takes time linear in the text. Patterns that search for meaning read a window (an opening of
a few hundred characters); the few that read whole texts bound every quantifier. So no hostile text is slow.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

WINDOW = 600
ITEM = 10
"""Characters that the mark of a list item takes at most."""
INSTRUCTION_WINDOW = 2000

_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_LABEL = re.compile(r"[\s#*>_`-]{0,8}(?:answer|response|output|assistant|ai|답변|답|응답|출력)[*_]{0,2} ?[:：]", re.I)
_HEADING = re.compile(r"\s{0,8}#{1,6} [^\n]{0,120}\n")
_QUOTED = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|「[^」\n]{1,300}」|『[^』\n]{1,300}』|《[^》\n]{1,300}》")
_TYPOGRAPHIC = (("’", "'"), ("‘", "'"), ("´", "'"), ("\u00a0", " "), ("\u200b", ""), ("\ufeff", ""))
_LIST_ITEM = re.compile(r"\n[ \t]{0,6}(?:[-*•] |\d{1,2}[.)] |#{1,6} |\*\*)")
_URL = re.compile(r"https?://\S+")
_LATEX = re.compile(r"\$\$[^$]{1,2000}\$\$|\$[^$\n]{1,300}\$|\\[A-Za-z]+")
_INLINE_CODE = re.compile(r"`[^`\n]{1,300}`")


def plain(text: str, limit: int = WINDOW) -> str:
    """Level the first `limit` characters: lower case, straight apostrophes, no bold marks."""
    text = text[:limit].replace("**", "").lower()
    if not text.isascii():
        for sign, level in _TYPOGRAPHIC:
            text = text.replace(sign, level)
    return text


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, stripped, without empty ones; the end of a line always ends one."""
    return (s for m in _SENTENCE.finditer(text) if (s := m.group().strip(" \t*>\"'")))


def opening(text: str, count: int = 3) -> str:
    """Return the first `count` sentences of an answer, levelled by `plain`, without label, heading and quoted words."""
    return " ".join(islice(sentences(_beginning(text)), count))


def first_sentences(text: str, count: int) -> list[str]:
    """Return the sentences that `opening` joins, as a list."""
    return list(islice(sentences(_beginning(text)), count))


def _beginning(text: str) -> str:
    text = text[: 4 * WINDOW].lstrip()
    for mark in (_HEADING, _LABEL):
        if (found := mark.match(text)) and found.end() < len(text):
            text = text[found.end() :].lstrip()
    first_item = _LIST_ITEM.search(text, 0, WINDOW + ITEM)
    return _QUOTED.sub('""', plain(text[: first_item.start()] if first_item else text))


def is_quotation(text: str) -> bool:
    """Tell whether a text is nothing but quoted words."""
    text = text.strip()
    return len(text) <= WINDOW and bool(_QUOTED.fullmatch(text))


def list_items(text: str) -> int:
    """Count the list items and headings within the first 4,000 characters."""
    return sum(1 for _ in _LIST_ITEM.finditer("\n" + text[:4000]))


def fences(text: str) -> tuple[str, list[str], int]:
    """Split a text at its code fences (``` or ~~~ at the start of a line).

    Return the prose, the code blocks, and how many fences are still open at the end. A fence with a
    language name inside a block opens a nested one.
    """
    if "```" not in text and "~~~" not in text:
        return text, [], 0
    prose: list[str] = []
    blocks: list[list[str]] = []
    depth = 0
    for line in text.splitlines():
        mark = line.strip()
        if mark.startswith(("```", "~~~")) and "`" not in (name := mark.lstrip("`~").strip()):
            if depth == 0:
                blocks.append([])
                depth = 1
            else:
                depth += 1 if name else -1
        elif depth:
            blocks[-1].append(line)
        else:
            prose.append(line)
    return "\n".join(prose), ["\n".join(block) for block in blocks], depth


def without_foreign_matter(text: str) -> str:
    """Take code, LaTeX, URLs and quotations out of a text: what is left is written in its own language."""
    prose, _, _ = fences(text)
    for pattern in (_URL, _INLINE_CODE, _LATEX, _QUOTED):
        prose = pattern.sub(" ", prose)
    return prose


_SCRIPTS = (
    ("hangul", "\u1100\u11ff"), ("hangul", "\u3130\u318f"), ("hangul", "\uac00\ud7a3"),
    ("kana", "\u3040\u30ff"), ("han", "\u3400\u4dbf"), ("han", "\u4e00\u9fff"), ("han", "\uf900\ufaff"),
    ("latin", "az"), ("latin", "AZ"), ("latin", "\u00c0\u024f"), ("latin", "\u1e00\u1eff"),
    ("greek", "\u0370\u03ff"), ("cyrillic", "\u0400\u052f"), ("hebrew", "\u0590\u05ff"),
    ("arabic", "\u0600\u06ff"), ("devanagari", "\u0900\u097f"), ("thai", "\u0e00\u0e7f"),
)  # fmt: skip


def scripts(text: str) -> Counter[str]:
    """Count the letters of a text by script."""
    found: Counter[str] = Counter()
    for char, count in Counter(text).items():
        if name := _script(char):
            found[name] += count
    return found


@lru_cache(maxsize=4096)
def _script(char: str) -> str | None:
    return next((name for name, bounds in _SCRIPTS if bounds[0] <= char <= bounds[1]), None)


_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*|[+*/<>=%^&|~]")


def tokens(text: str) -> list[str]:
    """Return words, numbers and operators, case-folded and in compatibility form (NFKC); punctuation is left out."""
    return _TOKEN.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())
