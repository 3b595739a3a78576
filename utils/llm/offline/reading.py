"""Reading prompts and texts, and the chance that follows from a request alone.

The parts of a prompt are found by the markers that every edition of `prompts/` keeps (headings and `Name: ` lines),
never by its sentences. A text inside a case is indented, so a line that is not indented belongs to the prompt; an
instruction stands last, so the first marker is the prompt's own. Everything is linear in the text.
"""

import hashlib
import re
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from utils.errors import ConfigError

INDENT = "    "
HEAD = 400  # characters of the first line that decide on the language

_HANGUL = re.compile("[가-힣ㄱ-ㆎ]")
_LATIN = re.compile("[A-Za-z]")
_SENTENCE_END = re.compile(r"(?<=[.?!。？！\n])")
_WORD = re.compile(r"\w+")


class EvolvePrompt(NamedTuple):
    """What an evolving prompt holds; `retry_reason` is empty in a first attempt."""

    method: str
    retry_reason: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Case:
    """One `### Case N` block: its `Name: text` lines in order, with the indentation taken off."""

    id: int
    lines: tuple[tuple[str, str], ...]

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(text for name, text in self.lines if name.startswith("Stage "))

    def text(self, name: str) -> str:
        """Return the text of the line `name`; "" where there is none."""
        return next((text for given, text in self.lines if given == name), "")


def dice(*parts: str) -> Random:
    """Make a random generator that depends on the given texts alone; they need not be valid UTF-8."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return Random(int.from_bytes(hashlib.blake2b(joined, digest_size=16).digest(), "big"))


def read_evolve(prompt: str) -> EvolvePrompt:
    """Read the parts of `prompts/evolve.txt`, or of `evolve_breadth.txt`, as filled in."""
    method, rules = split(split(prompt, "\n## Method\n")[1], "\n## What holds for every method\n")
    retry, instruction = split(split(rules, "#Finally Rewritten Instruction#:")[1], "\n#Instruction#:\n")
    return EvolvePrompt(method.strip(), retry.partition("\nReason: ")[2].partition("\n")[0], instruction)


def read_cases(prompt: str) -> tuple[Case, ...]:
    """Read the cases of a prompt that judges, compares or tags."""
    return _cases(split(prompt, "\nThe cases:\n", last=True)[1])


def read_analyze(prompt: str) -> tuple[str, tuple[Case, ...]]:
    """Read the method and the cases of `prompts/analyze.txt` as filled in."""
    before, cases = split(prompt, "\n## The cases\n", last=True)
    return split(before, "\n## The method\n")[1].strip(), _cases(cases)


def split(prompt: str, marker: str, *, last: bool = False) -> tuple[str, str]:
    """Return what stands before and behind the first `marker`, or the last. Raises ConfigError where there is none."""
    before, found, behind = prompt.rpartition(marker) if last else prompt.partition(marker)
    if not found:
        raise ConfigError(f"a prompt lacks the line {marker.strip()!r}, which --offline reads: put it back in prompts/")
    return before, behind


def field(text: str, name: str) -> str:
    """Return the rest of the line, below the first, that begins with `name: `. Raises ConfigError without one."""
    return split(text, f"\n{name}: ")[1].partition("\n")[0]


def _cases(text: str) -> tuple[Case, ...]:
    blocks = (block.partition("\n") for block in f"\n{text}".split("\n### Case ")[1:])
    return tuple(Case(int(number), _named_lines(body)) for number, _, body in blocks if number.strip().isdecimal())


def _named_lines(body: str) -> tuple[tuple[str, str], ...]:
    named: list[tuple[str, list[str]]] = []
    for line in body.rstrip("\n").split("\n"):  # not splitlines(): a text may hold other separators
        if named and (not line or line.startswith(INDENT)):
            named[-1][1].append(line.removeprefix(INDENT))
        elif ":" in line:
            name, _, text = line.partition(":")
            named.append((name, [text.removeprefix(" ")]))
    return tuple((name, "\n".join(lines)) for name, lines in named)


def language(text: str) -> Literal["ko", "en", "other"]:
    """Tell the language of an instruction by its first line, as inputs and code come behind."""
    line = text.lstrip()[:HEAD].partition("\n")[0]
    hangul, latin = len(_HANGUL.findall(line)), len(_LATIN.findall(line))
    # Korean ends its sentences with the verb, however many foreign terms stand before it.
    ends_korean = bool(_HANGUL.search(line.rstrip()[-4:]))
    if hangul and 2 * hangul + 10 * ends_korean > latin:
        return "ko"
    return "en" if 2 * latin >= sum(map(str.isalpha, line)) else "other"


def tongue(text: str) -> Literal["ko", "en"]:
    """Return the language in which something is said about `text`: English unless it is Korean."""
    return "ko" if language(text) == "ko" else "en"


def sentences(text: str) -> list[str]:
    """Cut a text behind every sentence end and newline; joined, the pieces are the text again."""
    return _SENTENCE_END.split(text)


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
