"""Prompts are files of `prompts/`, filled in one pass; a replay has those of its recording, and sends them to nobody.

Text written by an LLM or found in a data set is always a value, never a template: `string.Template`
replaces the names of the file once and does not look at what it has put in.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template

from utils.errors import ConfigError
from utils.schema import Message

PROMPT_FOLDER = Path(__file__).resolve().parent.parent / "prompts"
OPERATIONS = ("breadth", "complicate_input", "concretize", "constraints", "deepen", "reasoning")
# What each prompt is filled with; one with nothing to be filled in is a text that is taken as it is.
VARIABLES: dict[str, str] = {
    "analyze": "cases method",
    "case_context": "context",
    "compare": "cases",
    "context": "context",
    "equal": "cases",
    "evolve": "context instruction method retry",
    "evolve_breadth": "context instruction method retry",
    "examine": "cases",
    "explore/backtrack": "count subtask task",
    "explore/instructions": "count domain reason task tasks written",
    "explore/lookahead": "count task",
    "explore/subtasks": "domain known order",
    "explore/written": "instructions",
    "initial_method": "",
    "judge": "cases",
    "optimize": "max_chars repair",
    "repair": "reason",
    "retry": "reason",
    "tag": "cases",
    **{f"evol_instruct/{operation}": "" for operation in OPERATIONS},
}
_recorded: dict[str, Template] = {}  # in the place of the files of these names


def use_prompts(recorded: Mapping[str, str]) -> None:
    """Use the prompts of a recording, by name, and else the files; see that all of them can be filled.

    Names that this program has no prompt of are left out. Raise ConfigError where a file cannot be read, or where a
    prompt has other variables than VARIABLES says.
    """
    _recorded.clear()
    _recorded.update((name, Template(recorded[name])) for name in VARIABLES if name in recorded)
    for name, variables in VARIABLES.items():
        prompt, wanted = template(name), variables.split()
        if wanted and not (prompt.is_valid() and sorted(prompt.get_identifiers()) == wanted):
            listed = ", ".join(f"${variable}" for variable in wanted)
            raise ConfigError(
                f"the recording has another prompt {name!r}, without just {listed}; replay it with the program that "
                "wrote it"
                if name in _recorded
                else f"prompts/{name}.txt must hold {listed} and no other name; write a dollar sign as $$"
            )


def template(name: str) -> Template:
    """Return the prompt `name` as a template. Raise ConfigError where its file cannot be read."""
    return _recorded.get(name) or _read(PROMPT_FOLDER / f"{name}.txt")


@cache
def _read(path: Path) -> Template:
    shown = path.relative_to(PROMPT_FOLDER.parent)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"cannot read {shown}: {exc.strerror}; put it back") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{shown} is not UTF-8; save it as UTF-8") from exc
    return Template(text.removesuffix("\n"))


def all_prompts() -> dict[str, str]:
    """Return the texts of all prompts in use, by name."""
    return {name: template(name).template for name in VARIABLES}


def fill(name: str, **values: str) -> str:
    """Fill the prompt `name`; its variables and the given ones must be the same set.

    Raise KeyError, a mistake of the program, where they differ.
    """
    if sorted(values) != VARIABLES[name].split():
        raise KeyError(f"prompt {name!r} has {VARIABLES[name]!r}, was given {sorted(values)}")
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
