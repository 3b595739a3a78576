"""Reading the prompts that the roles send, and the randomness that follows from a request alone.

The parts of a prompt are found by the markers that every edition of `prompts/` keeps (headings and
`Name: ` lines), never by its sentences. A text inside a case is indented, so a line that is not
indented belongs to the prompt; an instruction stands last, so the first marker is the prompt's own.
"""

import hashlib
from dataclasses import dataclass
from random import Random

from utils.errors import ConfigError

METHOD = "\n## Method\n"
RULES = "\n## What holds for every method\n"
RESULT = "#Finally Rewritten Instruction#:"
INSTRUCTION = "\n#Instruction#:\n"
NEW_INSTRUCTIONS = "You write new instructions."
REASON = "\nReason: "
CASES = "\nThe cases:\n"
ANALYZED_METHOD = "\n## The method\n"
ANALYZED_CASES = "\n## The cases\n"
CASE = "### Case "
INDENT = "    "


@dataclass(frozen=True, slots=True)
class EvolvePrompt:
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

    @property
    def found(self) -> tuple[str, ...]:
        return tuple(text for name, text in self.lines if name == "Found")

    def text(self, name: str) -> str:
        """The text of the line `name`, empty where there is none."""
        return next((text for given, text in self.lines if given == name), "")


@dataclass(frozen=True, slots=True)
class AnalyzePrompt:
    method: str
    cases: tuple[Case, ...]


def dice(*parts: str) -> Random:
    """A generator that depends on the given texts alone; texts need not be valid UTF-8."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return Random(int.from_bytes(hashlib.blake2b(joined, digest_size=16).digest(), "big"))


def read_evolve(prompt: str) -> EvolvePrompt:
    """The parts of `prompts/evolve.txt` as filled in. Raises ConfigError where a marker is missing."""
    method = _after(prompt, METHOD, 0)
    rules = _after(prompt, RULES, method)
    result = _after(prompt, RESULT, rules)
    instruction = _after(prompt, INSTRUCTION, result)
    retry = prompt[result : instruction - len(INSTRUCTION)]
    reason = retry.partition(REASON)[2].partition("\n")[0]
    return EvolvePrompt(prompt[method : rules - len(RULES)].strip(), reason, prompt[instruction:])


def in_breadth(prompt: str) -> bool:
    """Is it prompts/evolve_breadth.txt? Its first words tell it from prompts/evolve.txt."""
    return prompt.startswith(NEW_INSTRUCTIONS)


def read_cases(prompt: str) -> tuple[Case, ...]:
    """The cases of a judging or comparing prompt. Raises ConfigError where they are not marked."""
    return _cases(prompt[_after_last(prompt, CASES) :])


def read_analyze(prompt: str) -> AnalyzePrompt:
    """Method and cases of `prompts/analyze.txt` as filled in. Raises ConfigError where a marker is missing."""
    method, cases = _after(prompt, ANALYZED_METHOD, 0), _after_last(prompt, ANALYZED_CASES)
    return AnalyzePrompt(prompt[method : cases - len(ANALYZED_CASES)].strip(), _cases(prompt[cases:]))


def _after(prompt: str, marker: str, start: int) -> int:
    return _end(prompt.find(marker, start), marker)


def _after_last(prompt: str, marker: str) -> int:
    return _end(prompt.rfind(marker), marker)


def _end(position: int, marker: str) -> int:
    if position < 0:
        raise ConfigError(f"a prompt lacks the line {marker.strip()!r}, which --offline reads: put it back in prompts/")
    return position + len(marker)


def _cases(text: str) -> tuple[Case, ...]:
    cases: list[Case] = []
    for block in f"\n{text}".split(f"\n{CASE}")[1:]:
        number, _, body = block.partition("\n")
        if number.strip().isdecimal():
            cases.append(Case(int(number), _named_lines(body)))
    return tuple(cases)


def _named_lines(body: str) -> tuple[tuple[str, str], ...]:
    named: list[tuple[str, list[str]]] = []
    for line in body.rstrip("\n").split("\n"):  # not splitlines(): a text may hold other separators
        if named and (not line or line.startswith(INDENT)):
            named[-1][1].append(line.removeprefix(INDENT))
        elif ":" in line:
            name, _, text = line.partition(":")
            named.append((name, [text.removeprefix(" ")]))
    return tuple((name, "\n".join(lines)) for name, lines in named)
