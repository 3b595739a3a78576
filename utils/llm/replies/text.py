"""Fences and quotation marks: what stands around the text of a reply."""

import re
from itertools import accumulate

from utils.llm.replies.headings import _KO_NOUN

_FENCE = re.compile(r"[ \t>]*+(?P<mark>`{3,}+|~{3,}+)[ \t]*+(?P<info>[^`]*+)$")


def fence_in(line: str) -> tuple[str, str] | None:
    """Return the mark and the info text of a fence line; None for any other line."""
    found = _FENCE.match(line)
    return (found["mark"], found["info"].strip()) if found else None


def closes(fence: tuple[str, str], mark: str) -> bool:
    """Tell whether a fence line (its mark, its info text) can close the block that `mark` has opened."""
    return not fence[1] and fence[0].startswith(mark)


def fence_blocks(lines: list[str]) -> list[tuple[int, int | None]]:
    """Find fenced blocks, as line numbers (opening, closing); closing is None for one that never closes."""
    opened: list[tuple[int, str]] = []
    blocks: list[tuple[int, int | None]] = []
    for number, line in enumerate(lines):
        fence = fence_in(line)
        if fence is None:
            continue
        if opened and closes(fence, opened[-1][1]):
            blocks.append((opened.pop()[0], number))
        else:
            opened.append((number, fence[0]))
    return blocks + [(number, None) for number, _ in opened]


# --- What wraps a whole text -------------------------------------------------------------------

RULE = re.compile(r"\s*+(?:-{3,}+|\*{3,}+|_{3,}+)\s*+$")
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "「": "」", "『": "』", "`": "`"}
PLACEHOLDER = re.compile(
    r"[.…\s]++|\{\{[^{}]{0,200}+\}\}"
    r"|[\[<({（【]{1,2}+[\s*_#.…]*+(?:(?:your|the|insert|put|write|provide|add|place|an?)[\s_]+){0,3}"
    r"(?:(?:final(?:ly)?|re-?written|new|evolved|revised|complete|complex|more)[\s_]+){0,4}"
    r"(?:(?:instruction|prompt|text|rewrite|content)s?(?:[\s_]+(?:goes[\s_]+)?(?:here|text))?|(?:여기에[ \t]*+)?"
    r"(?:(?:최종|새로운|재작성된|수정된|다시[ \t]?작성된)[ \t]*+){0,3}(?:" + _KO_NOUN + r"|내용)[을를]?"
    r"(?:[ \t]*+(?:여기에[ \t]*+)?(?:작성|입력|삽입)[가-힣]{0,6})?)?[\s*_#.…]*+[\]>)}）】]{1,2}+",
    re.I,
)


def fenced_lines(lines: list[str]) -> list[bool]:
    """Tell of each line whether it stands inside a fenced block that closes."""
    change = [0] * (len(lines) + 1)
    for opening, closing in fence_blocks(lines):
        if closing is not None:
            change[opening + 1] += 1
            change[closing] -= 1
    return [depth > 0 for depth in accumulate(change)]


def peel_fence(text: str) -> str:
    lines = text.split("\n")
    fences = [fence_in(lines[0]), fence_in(lines[-1])]
    blocks = dict(fence_blocks(lines))
    last = len(lines) - 1
    if fences[0] and len(fences[0][1].split()) <= 1 and last:
        if blocks[0] == last or (last > 2 and fences[1] and fence_in(lines[-2]) == fences[1]):
            return "\n".join(lines[1:-1])
        if blocks[0] is None:
            return "\n".join(lines[1:])
    orphan = fences[1] and not fences[1][1] and blocks.get(last, last) is None
    return "\n".join(lines[:-1]) if orphan else text


def peel_blockquote(text: str) -> str:
    lines = text.split("\n")
    if not all(re.match(r">(?!>)", line) for line in lines if line.strip()):
        return text
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines)


def peel_quotes(text: str) -> str:
    mark = text[: len(text) - len(text.lstrip("`"))] or text[:1]
    closing = _QUOTES.get(mark[:1], "")
    if not closing or len(text) < 2:
        return text
    if closing == "`":
        inner = text[len(mark) : -len(mark)]
        return inner if text.endswith(mark) and "`" not in inner and "\n" not in inner else text
    inner = text[1:]
    if not inner.endswith(closing):
        return inner if mark in '"“' and closing not in inner else text
    return inner[:-1] if _is_one_quotation(inner[:-1], mark, closing) else text


def _is_one_quotation(inner: str, mark: str, closing: str) -> bool:
    """Tell whether the outer marks belong together: `"A" and "B"` begins and ends with quotes, too."""
    if mark != closing:
        closed = inner.find(closing)
        return closed < 0 or 0 <= inner.find(mark) < closed
    found = re.search(r"(?<!\w)'|'(?!\w)" if mark == "'" else re.escape(mark), inner)
    return found is None or found.start() == 0 or inner[found.start() - 1] in " \t\n([{:"


def peel_bold(text: str) -> str:
    inner = text[2:-2]
    return inner if len(text) > 4 and text.startswith("**") and text.endswith("**") and "**" not in inner else text
