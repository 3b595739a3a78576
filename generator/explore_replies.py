"""Readers of what an LLM replies when a domain is explored: sub-tasks as JSON, instructions as free text.

As in `utils.llm.replies`: pure functions that forgive what real models do to a format, never raise, and are linear.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, Field

from generator.explore_tree import one_line
from utils.llm.replies import split_thoughts
from utils.llm.replies.cases import clean, validated
from utils.llm.replies.objects import json_objects
from utils.llm.replies.text import PLACEHOLDER, RULE, fence_blocks, fenced_lines, peel_bold, peel_fence, peel_quotes

# --- Sub-tasks ---------------------------------------------------------------------------------

LONGEST_NAME = 120  # characters; what is longer is a sentence, not a name

_NAME_MARKS = re.compile(r"(?:\d{1,3}[.)]\s++|[-*•#]++\s++)")


@dataclass(frozen=True, slots=True)
class Subtask:
    """A sub-task as the LLM proposes it; the reason may be missing."""

    name: str
    reason: str


def _name(value: Any) -> str:
    line = one_line(clean(value))
    if marks := _NAME_MARKS.match(line):
        line = line[marks.end() :]
    name = line.strip(' *_`"“”#')
    if not any(sign.isalnum() for sign in name) or len(name) > LONGEST_NAME:
        raise ValueError("not a name")
    return name


class _Proposed(BaseModel):
    task: Annotated[str, BeforeValidator(_name), Field(validation_alias=AliasChoices("task", "subtask", "name"))]
    reason: Annotated[str, BeforeValidator(clean), AfterValidator(one_line)] = ""


def read_subtasks(reply: str) -> list[Subtask]:
    """Read the sub-tasks of a reply of the form {"subtasks": [{"task": str, "reason": str}]}; skip unreadable ones.

    The last such list counts; of a list that stands alone or is cut off, the entries that are whole.
    """
    objects = json_objects(split_thoughts(reply)[0])
    lists = [entries for found in objects if isinstance(entries := found.get("subtasks"), list)]
    raw = [{"task": entry} if isinstance(entry, str) else entry for entry in (lists[-1] if lists else objects)]
    return [Subtask(item.task, item.reason) for entry in raw if (item := validated(_Proposed, entry))]


# --- Instructions ------------------------------------------------------------------------------

_HEADING_LIMIT = 80  # characters of a line in which a heading is looked for
_HEADING = re.compile(
    r"(?P<marks>[\s>*_#\[【(`\-]*+)(?:(?P<before>\d{1,4})[ \t]*+(?:[.):번]|번째)[\s*_#\[【(`]*+)?+"
    r"(?P<noun>instruction|prompt|지시[ \t]?사항|지시문|지시|명령문|명령|프롬프트)(?![^\W\d_])"
    r"[ \t]*+(?:(?:#|no\.|번호)[ \t]*+(?=\d))?+(?P<number>\d{1,4})?(?P<closing>[ \t*_#\]】).]*+)"
    r"(?P<colon>[:：]?[*_#`]*+)",
    re.I,
)
_LISTED = re.compile(r"[ \t*]*+(?P<number>\d{1,4})[.)][*]*+[ \t]++(?=\S)")
# Narrow: "Note: all prices are in euros." is part of an instruction, and a lost condition spoils it.
_FAREWELL = re.compile(
    r"[\s>*_(#\-]*+(?:(?:note(?: that|[:*_]{1,4}+)|참고[:*_]{1,4}+)[ \t]++)?(?:"
    r"(?:these|the above|all(?: of)?(?: these| the)?|each of (?:these|the)) (?:\w{1,12} )?instructions\b"
    r"|(?:이|위|이상|총|모든|각)(?:의|은)?[ \t]?[^\n.]{0,15}지시문"
    r"|i hope (?:these|this|they|that) (?:help|work|meet|are)|let me know if you(?:'d| would)? (?:like|need|want)\b"
    r"|would you like (?:me to|more)\b|(?:더|추가|다른)[ \t][^\n.]{0,20}(?:필요|원)하시면|도움이 되(?:길|기를|었))",
    re.I,
)


@dataclass(frozen=True, slots=True)
class _Heading:
    """A heading of an instruction; `number` is None where it bears none, `rest` what follows it on its line."""

    line: int
    style: tuple[str, bool]
    number: int | None
    rest: str


def read_instructions(reply: str) -> list[str]:
    """Read the instructions of a reply, each under a heading like "#Instruction 1#:"; [] where it cannot be read.

    A list of single numbered lines without any heading is read as well. A fence around everything, quotes, bold
    and fences around one instruction, and remarks after the last one are taken off.
    """
    lines = _unwrapped(clean(split_thoughts(reply)[0]).replace("\r\n", "\n").split("\n"))
    headings = _own(_headings(lines))
    if not headings:
        return _kept(_numbered_lines(lines))
    ends = [*(heading.line for heading in headings[1:]), len(lines)]
    bodies = [[found.rest, *lines[found.line + 1 : end]] for found, end in zip(headings, ends, strict=True)]
    bodies[-1] = _without_farewell(bodies[-1])
    return _kept([_bare(body) for body in bodies])


def _headings(lines: list[str]) -> list[_Heading]:
    found = [heading for number, line in enumerate(lines) if (heading := _heading(number, line))]
    fenced = fenced_lines(lines)
    return [heading for heading in found if not fenced[heading.line]] or found


def _heading(number: int, line: str) -> _Heading | None:
    """Read a line as a heading: numbered or between hash signs, and set off from what follows; None for other lines."""
    found = _HEADING.match(line[:_HEADING_LIMIT])
    if found is None:
        return None
    marks, rest = found["marks"], line[found.end() :].strip()
    hashed = "#" in marks and "#" in found["closing"] + found["colon"]
    enclosed = hashed or any(sign in found["closing"] for sign in "*]】")
    if not (found["colon"] or enclosed or not rest) or not (found["number"] or found["before"] or hashed):
        return None
    if "**" in marks and "**" not in found["closing"] + found["colon"] and rest.count("**") == 1:
        rest = rest.removesuffix("**")  # bold that encloses heading and instruction together
    told = found["number"] or found["before"]
    return _Heading(number, (found["noun"].casefold(), "#" in marks), int(told) if told else None, rest)


def _own(headings: list[_Heading]) -> list[_Heading]:
    """Return the headings that the model set itself: those like the first, counting upwards; others are quoted text."""
    alike = [heading for heading in headings if heading.style == headings[0].style]
    if len({heading.number for heading in alike}) == 1:
        return alike  # never counted at all
    own: list[_Heading] = []
    for heading in alike:
        if heading.number is not None and (not own or heading.number > (own[-1].number or 0)):
            own.append(heading)
    return own


def _unwrapped(lines: list[str]) -> list[str]:
    """Return the inside of a fence around all headings (without any: around all lines but the first), else `lines`."""
    headings = [heading.line for heading in _headings(lines)] or [n for n, line in enumerate(lines) if line.strip()][1:]
    for opening, closing in fence_blocks(lines):
        if headings and opening < headings[0] and (closing is None or headings[-1] < closing):
            return lines[opening + 1 : closing]
    return lines


def _numbered_lines(lines: list[str]) -> list[str]:
    """Return the texts of a list 1., 2., … of single lines, if the reply is that and at most one line before it."""
    spoken = [line for line in lines if line.strip()]
    if spoken and not _LISTED.match(spoken[0]):
        spoken = spoken[1:]
    found = [(_LISTED.match(line), line) for line in spoken]
    numbers = [int(match["number"]) for match, _ in found if match]
    if len(found) < 2 or numbers != list(range(1, len(found) + 1)):
        return []
    return [line[match.end() :] for match, line in found if match]


def _without_farewell(body: list[str]) -> list[str]:
    """Cut the text before the paragraph in which the model speaks of its list or takes its leave."""
    fenced = fenced_lines(body)
    for number, line in enumerate(body):
        if number and not fenced[number] and not body[number - 1].strip(" \t-*_") and _FAREWELL.match(line[:200]):
            return body[:number]
    return body


def _bare(body: list[str]) -> str:
    """Return the instruction without separating rules (---) behind it, or a fence, quotes or bold around it."""
    end = len(body)
    while end and (not body[end - 1].strip() or RULE.match(body[end - 1])):
        end -= 1
    text = "\n".join(body[:end]).strip()
    for peel in (peel_fence, peel_quotes, peel_bold):
        text = peel(text).strip()
    return text


def _kept(texts: list[str]) -> list[str]:
    """Return the texts that say anything: no empty ones, and not the format's own example."""
    return [text for text in texts if any(sign.isalnum() for sign in text) and not PLACEHOLDER.fullmatch(text)]
