"""Prompts are files of `prompts/`, filled in one pass.

Text written by an LLM or found in a data set is always a value, never a template: `string.Template`
replaces the names of the file once and does not look at what it has put in.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template

from utils.schema import Message

PROMPT_FOLDER = Path(__file__).resolve().parent.parent / "prompts"


@cache
def template(name: str) -> Template:
    """The prompt file `prompts/NAME.txt` as a template."""
    return Template((PROMPT_FOLDER / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n"))


@cache
def _identifiers(name: str) -> frozenset[str]:
    return frozenset(template(name).get_identifiers())


def fill(name: str, **values: str) -> str:
    """Fill the prompt `name`; its variables and the given ones must be the same set.

    Raises KeyError, a mistake of the program, where they differ.
    """
    if values.keys() != _identifiers(name):
        raise KeyError(f"prompt {name!r} has {sorted(_identifiers(name))}, was given {sorted(values)}")
    return template(name).substitute(values)


def user(content: str) -> tuple[Message, ...]:
    """A conversation of one user turn."""
    return (Message("user", content),)


INDENT = "    "


def case_block(case_id: int, lines: Sequence[tuple[str, str]]) -> str:
    """One case as the Analyzer and the judges are shown it: `### Case N`, then `Name: text` lines.

    Further lines of a text are indented, whatever character separates them, so that no text can pass for
    the next line or the next case.
    """
    shown = (f"{name}: " + ("\n" + INDENT).join(text.splitlines()) for name, text in lines)
    return "\n".join((f"### Case {case_id}", *shown))
