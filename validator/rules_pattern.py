"""What the failure rules know of a language: a table of patterns, compiled when they are first used."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


class Pattern:
    """A regular expression that is compiled on first use, behind a cheap test.

    `hints` are literal strings, one of which stands in every text that matches. Most texts hold none of them,
    and looking for a literal is many times faster than trying alternatives at every character.
    """

    def __init__(self, alternatives: tuple[str, ...], hints: tuple[str, ...] = ()) -> None:
        self.alternatives, self.hints = alternatives, hints

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{alternative})" for alternative in self.alternatives))

    def possible(self, text: str) -> bool:
        """Tell whether a hint stands in the text, or there are no hints."""
        for hint in self.hints:
            if hint in text:
                return True
        return not self.hints

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self.compiled.search(text, start, end) if self.possible(text) else None

    def match(self, text: str) -> re.Match[str] | None:
        return self.compiled.match(text) if self.possible(text) else None

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self.compiled.fullmatch(text) if self.possible(text) else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        return self.compiled.finditer(text) if self.possible(text) else iter(())

    def sub(self, new: str, text: str) -> str:
        return self.compiled.sub(new, text)


def any_of(*alternatives: str, hints: str = "") -> Pattern:
    """Make one pattern that matches what any of the alternatives does; hints are separated by commas."""
    return Pattern(alternatives, tuple(filter(None, hints.split(","))))


def words(*lines: str) -> frozenset[str]:
    """Return the set of the words in some lines."""
    return frozenset(word for line in lines for word in line.split())


@dataclass(frozen=True, slots=True)
class Language:
    """The patterns of one language. A third language is one more table of this type.

    Patterns are searched in a text that `plain` has levelled, so they need neither capitals nor curly
    apostrophes. Every one of them is free of nested quantifiers.
    """

    name: str
    letters: Pattern
    """A letter of its alphabet: where there is none, its other patterns need no try."""
    declines: Pattern
    """The speaker says that it will not or cannot do what was asked."""
    declines_generically: Pattern
    """The same, said of "this request" as such, or of writing a text at all."""
    hedges: Pattern
    """A caveat that usually opens an answer: no personal opinions, no way to predict."""
    names_itself: Pattern
    """The speaker calls itself a program or cites its guidelines."""
    condemns: Pattern
    """What was asked for is called a crime, wrong, not to be done: the head of a moralizing refusal."""
    sermonizes: Pattern
    """A sentence that opens a sermon: a condemnation, a premise refuted, a word of comfort."""
    preaches: Pattern
    """A sentence of moral argument, or one that only says "it depends"."""
    appeals: Pattern
    """A sentence that admonishes the reader, sends elsewhere or offers something else."""
    states: Pattern
    """A sentence that states something; one that does not is taken for a step of an answer."""
    morals: tuple[Pattern, ...]
    """Kinds of moral argument; several of them together make a sermon."""
    complies_after_all: Pattern
    """The turn from a caveat to the real answer."""
    turns: Pattern
    """A word that begins the other side of a thought."""
    asks_how: Pattern
    """Instruction: asks for a way to do something, or to write or name something."""
    asks_whether: Pattern
    """Instruction: asks about law, risk or morals, so that a condemnation may be the answer."""
    asks_why: Pattern
    """Instruction: asks for reasons, which moral arguments may be."""
    wants_refusal: Pattern
    """Instruction: wants an apology or a refusal written."""
    wants_text: Pattern
    """Instruction: wants words for someone else's mouth (letter, dialogue, translation, role)."""
    addresses: Pattern
    """An answer that begins as a letter, a notice or a dialogue does."""
    wants_question: Pattern
    """Instruction: wants a question as its answer."""
    asks_back: Pattern
    """The speaker asks for material that it says is missing, or asks what is wanted."""
    names_task: Pattern
    """The speaker says what it would do with the missing material, as no one does in a sample of such words."""
    wants_reply: Pattern
    """Instruction: an acknowledgement or a promise may be the right answer."""
    acknowledges: Pattern
    """Nothing but a word of understanding, whole text."""
    promises: Pattern
    """A sentence that promises the answer for later."""
    does_not_know: Pattern
    """The speaker says that it does not know."""
    function_words: frozenset[str]
    """Words that mean nothing alone."""
    wants_word: Pattern
    """Instruction: a function word or a sign may be the right answer."""
    wants_repetition: Pattern
    """Instruction: asks for something repeated."""
    leaks: Pattern
    """Words of a rewriting prompt."""
    rewriting_refused: Pattern
    """Rewrite: the rewriting LLM asks for the instruction or declines to rewrite it."""
    answers: Pattern
    """Rewrite: begins as an answer does."""
    requests: Pattern
    """A text that asks for something."""
    politeness: frozenset[str]
    """Words whose coming or going does not change an instruction."""
    chatter: Pattern
    """A sentence that an instruction can lose without loss."""
    asks_for_language: Pattern
    """Instruction: names a language, so that its script may change."""
