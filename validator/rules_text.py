"""What the failure rules look at in a text, language by language: openings, sentences, scripts, fences.

Everything here takes time linear in the text. Patterns that search for meaning read a window (an opening of
a few hundred characters); the few that read whole texts bound every quantifier. So no hostile text is slow.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

WINDOW = 600
INSTRUCTION_WINDOW = 2000

_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_LABEL = re.compile(r"[\s#*>_`-]{0,8}(?:answer|response|output|assistant|ai|답변|답|응답|출력)[*_]{0,2} ?[:：]", re.I)
_HEADING = re.compile(r"\s{0,8}#{1,6} [^\n]{0,120}\n")
_QUOTED = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|「[^」\n]{1,300}」|『[^』\n]{1,300}』|《[^》\n]{1,300}》")
_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "´": "'", "\u00a0": " ", "\u200b": "", "\ufeff": ""})
_LIST_ITEM = re.compile(r"^[ \t]{0,6}(?:[-*•] |\d{1,2}[.)] |#{1,6} |\*\*)", re.M)
_URL = re.compile(r"https?://\S+")
_LATEX = re.compile(r"\$\$[^$]{1,2000}\$\$|\$[^$\n]{1,300}\$|\\[A-Za-z]+")
_INLINE_CODE = re.compile(r"`[^`\n]{1,300}`")


def any_of(*alternatives: str) -> re.Pattern[str]:
    """One pattern that matches what any of the alternatives does."""
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives))


def words(*lines: str) -> frozenset[str]:
    """The set of the words in some lines."""
    return frozenset(word for line in lines for word in line.split())


@dataclass(frozen=True, slots=True)
class Language:
    """The patterns of one language. A third language is one more table of this type.

    Patterns are searched in a text that `plain` has levelled, so they need neither capitals nor curly
    apostrophes. Every one of them is free of nested quantifiers.
    """

    name: str
    declines: re.Pattern[str]
    """The speaker says that it will not or cannot do what was asked."""
    declines_generically: re.Pattern[str]
    """The same, said of "this request" as such, or of writing a text at all."""
    hedges: re.Pattern[str]
    """A caveat that usually opens an answer: no personal opinions, no way to predict."""
    names_itself: re.Pattern[str]
    """The speaker calls itself a program or cites its guidelines."""
    condemns: re.Pattern[str]
    """What was asked for is called a crime, wrong, not to be done: the head of a moralizing refusal."""
    sermonizes: re.Pattern[str]
    """A sentence that opens a sermon: a condemnation, a premise refuted, a word of comfort."""
    preaches: re.Pattern[str]
    """A sentence of moral argument, or one that only says "it depends"."""
    appeals: re.Pattern[str]
    """A sentence that admonishes the reader, sends elsewhere or offers something else."""
    states: re.Pattern[str]
    """A sentence that states something; one that does not is taken for a step of an answer."""
    morals: tuple[re.Pattern[str], ...]
    """Kinds of moral argument; several of them together make a sermon."""
    complies_after_all: re.Pattern[str]
    """The turn from a caveat to the real answer."""
    turns: re.Pattern[str]
    """A word that begins the other side of a thought."""
    asks_how: re.Pattern[str]
    """Instruction: asks for a way to do something, or to write or name something."""
    asks_whether: re.Pattern[str]
    """Instruction: asks about law, risk or morals, so that a condemnation may be the answer."""
    asks_why: re.Pattern[str]
    """Instruction: asks for reasons, which moral arguments may be."""
    wants_refusal: re.Pattern[str]
    """Instruction: wants an apology or a refusal written."""
    wants_text: re.Pattern[str]
    """Instruction: wants words for someone else's mouth (letter, dialogue, translation, role)."""
    addresses: re.Pattern[str]
    """An answer that begins as a letter, a notice or a dialogue does."""
    wants_question: re.Pattern[str]
    """Instruction: wants a question as its answer."""
    asks_back: re.Pattern[str]
    """The speaker asks for material that it says is missing, or asks what is wanted."""
    names_task: re.Pattern[str]
    """The speaker says what it would do with the missing material, as no one does in a sample of such words."""
    wants_reply: re.Pattern[str]
    """Instruction: an acknowledgement or a promise may be the right answer."""
    acknowledges: re.Pattern[str]
    """Nothing but a word of understanding, whole text."""
    promises: re.Pattern[str]
    """A sentence that promises the answer for later."""
    does_not_know: re.Pattern[str]
    """The speaker says that it does not know."""
    function_words: frozenset[str]
    """Words that mean nothing alone."""
    wants_word: re.Pattern[str]
    """Instruction: a function word or a sign may be the right answer."""
    wants_repetition: re.Pattern[str]
    """Instruction: asks for something repeated."""
    leaks: re.Pattern[str]
    """Words of a rewriting prompt."""
    rewriting_refused: re.Pattern[str]
    """Rewrite: the rewriting LLM asks for the instruction or declines to rewrite it."""
    answers: re.Pattern[str]
    """Rewrite: begins as an answer does."""
    requests: re.Pattern[str]
    """A text that asks for something."""
    politeness: frozenset[str]
    """Words whose coming or going does not change an instruction."""
    chatter: re.Pattern[str]
    """A sentence that an instruction can lose without loss."""
    asks_for_language: re.Pattern[str]
    """Instruction: names a language, so that its script may change."""


def plain(text: str, limit: int = WINDOW) -> str:
    """The first `limit` characters, lower case, straight apostrophes, no bold marks."""
    return text[:limit].translate(_TYPOGRAPHIC).replace("**", "").lower()


def sentences(text: str) -> Iterator[str]:
    """Sentences of a text, stripped, without empty ones; lines always end one."""
    return (s for m in _SENTENCE.finditer(text) if (s := m.group().strip(" \t*>\"'")))


def opening(text: str, count: int = 3) -> str:
    """The first sentences of an answer as `plain` text, without label, heading and quoted words."""
    text = text[: 4 * WINDOW].lstrip()
    for mark in (_HEADING, _LABEL):
        if (found := mark.match(text)) and found.end() < len(text):
            text = text[found.end() :].lstrip()
    first_item = _LIST_ITEM.search(text, 1)
    unquoted = _QUOTED.sub('""', plain(text[: first_item.start()] if first_item else text))
    return " ".join(islice(sentences(unquoted), count))


def is_quotation(text: str) -> bool:
    """Whether a text is nothing but quoted words."""
    text = text.strip()
    return len(text) <= WINDOW and bool(_QUOTED.fullmatch(text))


def list_items(text: str) -> int:
    """Number of list items and headings within the first 4,000 characters."""
    return sum(1 for _ in _LIST_ITEM.finditer(text[:4000]))


def fences(text: str) -> tuple[str, list[str], int]:
    """Split a text at its code fences (``` or ~~~ at the start of a line).

    Returns the prose, the code blocks, and how many fences are still open at the end. A fence with a
    language name inside a block opens a nested one.
    """
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
    """A text without code, LaTeX, URLs and quotations: what is left is written in its own language."""
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
    """Letters of a text by script."""
    found: Counter[str] = Counter()
    for char, count in Counter(text).items():
        for name, (first, last) in _SCRIPTS:
            if first <= char <= last:
                found[name] += count
                break
    return found


_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[+*/<>=%^&|~]")


def tokens(text: str) -> list[str]:
    """Words, numbers and operators, case-folded and in compatibility form; punctuation is left out."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
