"""Prompts are files of `prompts/`, filled in one pass; a replay has those of its recording, and sends them to nobody.

Text written by an LLM or found in a data set is always a value, never a template: `string.Template`
replaces the names of the file once and does not look at what it has put in.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template

from utils.schema import Message

PROMPT_FOLDER = Path(__file__).resolve().parent.parent / "prompts"
_recorded: dict[str, Template] = {}  # in the place of the files of these names


@cache
def _of_file(name: str) -> Template:
    return Template((PROMPT_FOLDER / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n"))


@cache
def _identifiers(name: str) -> frozenset[str]:
    return frozenset(_of_file(name).get_identifiers())


def template(name: str) -> Template:
    """Return the prompt file `prompts/NAME.txt` as a template, or what `use_prompts` has put in its place."""
    return _recorded.get(name) or _of_file(name)


@cache
def prompt_names() -> tuple[str, ...]:
    """Return the names of all prompts."""
    files = PROMPT_FOLDER.rglob("*.txt")
    return tuple(sorted(path.relative_to(PROMPT_FOLDER).with_suffix("").as_posix() for path in files))


def all_prompts() -> dict[str, str]:
    """Return the texts of all prompts in use, by name."""
    return {name: template(name).template for name in prompt_names()}


def use_prompts(texts: Mapping[str, str]) -> None:
    """Use these texts, by name, in the place of the files, as a replay has to; none of an earlier call stays in use.

    Names that no file has are left out. Raise ValueError where a text has other variables than the file of its name.
    """
    templates = {name: Template(texts[name]) for name in prompt_names() if name in texts}
    for name, recorded in templates.items():
        if not recorded.is_valid() or {*recorded.get_identifiers()} != _identifiers(name):
            raise ValueError(f"the prompt {name!r} has other variables than {sorted(_identifiers(name))}")
    _recorded.clear()
    _recorded.update(templates)


def fill(name: str, **values: str) -> str:
    """Fill the prompt `name`; its variables and the given ones must be the same set.

    Raise KeyError, a mistake of the program, where they differ.
    """
    if values.keys() != _identifiers(name):
        raise KeyError(f"prompt {name!r} has {sorted(_identifiers(name))}, was given {sorted(values)}")
    return template(name).substitute(values)


def user(content: str) -> tuple[Message, ...]:
    """Return a conversation of one user turn."""
    return (Message("user", content),)


INDENT = "    "
LONGEST_CONTEXT = 6_000  # characters of what was said before an instruction that a prompt shows


def shown_context(context: Sequence[Message]) -> str:
    """Return what was said before an instruction as prompts show it, turn by turn; empty where nothing was.

    A turn that is too long loses its middle; of more than six turns the first ones go, but for the system prompt.
    """
    share = LONGEST_CONTEXT // max(2, min(len(context), 6))
    clipped = [(turn.role, clip(turn.content, share).splitlines()) for turn in context]
    lines = [f"{role}: " + ("\n" + INDENT).join(text) for role, text in clipped]
    first, rest = (lines[:1], lines[1:]) if context and context[0].role == "system" else ([], lines)
    last = rest[-(6 - len(first)) :]
    missing = [f"[… {len(rest) - len(last)} earlier turns are not shown here …]"] if len(last) < len(rest) else []
    return "\n".join((*first, *missing, *last))


def clip(text: str, most: int) -> str:
    """Return `text`, or its beginning and end where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters are not shown here …]\n{text[-half:]}"


def indented(text: str) -> str:
    """Indent every line of a text, so that none can pass for one of the prompt."""
    return "\n".join(INDENT + line for line in text.splitlines())


def case_block(case_id: int, lines: Sequence[tuple[str, str]]) -> str:
    """Write one case as the Analyzer and the judges are shown it: `### Case N`, then `Name: text` lines.

    Further lines of a text are indented, whatever character separates them, so that no text can pass for
    the next line or the next case.
    """
    shown = (f"{name}: " + ("\n" + INDENT).join(text.splitlines()) for name, text in lines)
    return "\n".join((f"### Case {case_id}", *shown))
