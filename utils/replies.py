"""Readers of what LLMs reply: pure functions from text to values; None (or a missing case) means unreadable.

Each reader forgives what real models do to a format and never raises, whatever the text. Replies are hostile:
every pattern is either possessive or bounded, so all readers are linear in the length of the reply.
The parts: reasoning, fences, headings, the rewrite, the method, JSON.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from utils.schema import LABELS, FailedCase, Finding

Item = TypeVar("Item", bound=BaseModel)

# --- Reasoning ---------------------------------------------------------------------------------

_OPENED_REASONING = re.compile(r"\s*+<(think|thinking|reasoning)>", re.I)
_CLOSING_TAGS = re.compile(r"(?:\s*+</(?:think|thinking|reasoning)>)*+\s*+", re.I)
_LONE_TAG = re.compile(r"(?<![`'\"/\\])<(/?)think(?:ing)?>(?![`'\"])", re.I)


def strip_reasoning(text: str) -> str:
    """The answer without the reasoning in front of it; "" where the reasoning never ends.

    Reasoning is a block that opens the reply, or all that stands before a closing tag which nothing opened.
    Tags that the answer speaks of (in quotes, code, or after its own opening tag) are left alone.
    """
    answer = _strip_opening_blocks(text)
    if answer != text:
        return answer
    lone = _LONE_TAG.search(text)
    if lone is None or not lone[1] or _inside_fence(text[: lone.start()]):
        return text
    return text[lone.end() :].lstrip()


def _strip_opening_blocks(text: str) -> str:
    position = 0
    while opened := _OPENED_REASONING.match(text, position):
        closed = re.compile(f"(?<![`'\"])</{opened[1]}>(?![`'\"])", re.I).search(text, opened.end())
        if closed is None:
            return ""
        position = closed.end()
    if position == 0:
        return text
    doubled = _CLOSING_TAGS.match(text, position)
    return text[doubled.end() if doubled else position :]


# --- Fences ------------------------------------------------------------------------------------

_FENCE = re.compile(r"[ \t>]*+(?P<mark>`{3,}+|~{3,}+)[ \t]*+(?P<info>[^`]*+)$")


def _fence(line: str) -> tuple[str, str] | None:
    """The mark and the info text of a fence line."""
    found = _FENCE.match(line)
    return (found["mark"], found["info"].strip()) if found else None


def _closes(fence: tuple[str, str], mark: str) -> bool:
    return not fence[1] and fence[0].startswith(mark)


def _blocks(lines: list[str]) -> list[tuple[int, int | None]]:
    """Fenced blocks as line numbers (opening, closing); closing is None for one that never closes."""
    opened: list[tuple[int, str]] = []
    blocks: list[tuple[int, int | None]] = []
    for number, line in enumerate(lines):
        fence = _fence(line)
        if fence is None:
            continue
        if opened and _closes(fence, opened[-1][1]):
            blocks.append((opened.pop()[0], number))
        else:
            opened.append((number, fence[0]))
    return blocks + [(number, None) for number, _ in opened]


def _inside_fence(before: str) -> bool:
    return any(closing is None for _, closing in _blocks(before.split("\n")))


# --- Headings of the evolving format -----------------------------------------------------------

_HEADING_LIMIT = 200  # characters of a line in which a heading or the start of a remark is looked for
_KO_NOUN = r"(?:지시|명령|프롬프트|인스트럭션|질문|요청|과제|문제)(?:문|어|사항|[ \t]사항|내용)?+"
_KO_REWRITTEN = r"(?:재작성|수정|다시[ \t]?작성|다시[ \t]?쓴|개선|진화|변형|변환|보완|완성)(?:된|한|본)?+[ \t]*+"
_SEP = r"[ \t_-]{1,3}+"
_EN_REWRITTEN = (
    r"(?:the|re-?writt?en|rewriting|revised|evolved|improved|updated|modified|enhanced|complex|new|version|of)"
)
_OPENING = re.compile(
    r"[\s>*_#\-+•`\[【(\"“]*+"
    r"(?:(?P<step>(?:step|단계|스텝)[ \t]*+#?\d{1,3}|\d{1,3}[ \t]*+단계)|\d{1,3}[.)]|[①-⑳])?+"
    r"[\s.:：)\-–—*_#`\[【(\"“]*+",
    re.I,
)
_FINAL = (
    rf"final(?:ly|i[sz]ed)?+(?:{_SEP}{_EN_REWRITTEN}){{0,4}}{_SEP}(?:instruction|prompt|rewrite)s?+(?![a-z])"
    rf"|최종(?:적으로|적인)?+[ \t]*+(?:{_KO_REWRITTEN})?{_KO_NOUN}"
    rf"|(?:재작성|수정)(?:된|한)[ \t]*+최종[ \t]*+{_KO_NOUN}"
    r"|최종(?:적으로)?+[ \t]*+재작성(?:된|본|문|안)?+(?![가-힣])"
)
_TITLE = re.compile(
    rf"(?P<final>{_FINAL})"
    rf"|(?P<rewritten>re-?writt?en{_SEP}(?:instruction|prompt)s?+(?![a-z])|(?:재작성|수정)(?:된|한)[ \t]*+{_KO_NOUN})"
    rf"|(?P<original>(?:(?:original|given|seed){_SEP})?(?:instruction|prompt)\b|(?:원래|원본|주어진)[ \t]*+{_KO_NOUN})"
    rf"|(?P<other>methods?{_SEP}list\b|list of methods\b|plan\b|방법[ \t]*+(?:목록|리스트)|(?:재작성[ \t]*+)?계획)",
    re.I,
)
_FINAL_TITLE = re.compile(_FINAL, re.I)
_REWRITE_WORD = re.compile(r"writ|revis|evolv|improv|updat|modif|enhanc|재작성|수정|다시|개선|진화|변[형환]|보완", re.I)
_EXTRA = re.compile(
    r"[ \t]*+\([^()]{0,60}\)|[ \t]++(?:process|result|text|step|\d{1,2}|is(?: as follows)?)\b"
    r"|[ \t]?(?:은|는|과정|결과)?[ \t]*+(?:다음과[ \t]*+같(?:습니다|다))?",
    re.I,
)
_PARENTHESIS = re.compile(r"[ \t]*+\([^()]{0,60}\)(?=[ \t*]*+(?:[:：]|$))")
_TRANSLATED = re.compile(
    r"[\s#*]*+\([^()]{0,40}?(?:translat|번역)|[^#*:：]{0,40}?(?:translat|번역)[^#*:：]{0,20}[#*:：]", re.I
)
_FREE_EXTRA = re.compile(r"[^#*:：.,!?]{0,40}+(?=[#*:：])")
_CLOSERS = {"#": "#", "*": "*", "_": "_", "`": "`", "[": "]", "【": "】", "(": ")", '"': '"', "“": "”"}


@dataclass(frozen=True, slots=True)
class _Heading:
    """A heading of the format; `rest` is what follows it on its line, `step` its number if it has one.

    `kind` is final, rewritten, original, translation (of one of these) or other (all that only ends what precedes it).
    """

    line: int
    kind: str
    step: int | None
    rest: str


def _heading(number: int, line: str) -> _Heading | None:
    """Read one line as a heading: it must open the line and be set off from what follows."""
    head = line[:_HEADING_LIMIT]
    opening = _OPENING.match(head)
    assert opening  # every part of the pattern is optional
    marks, step = opening[0], opening["step"]
    title = _TITLE.match(head, opening.end())
    if title is None:
        if not (step and marks.endswith("#") and "#" in head[opening.end() :]):
            return None
        kind, after = "other", line[head.index("#", opening.end()) :]
    else:
        after = line[title.end() :]
        kind = "translation" if _TRANSLATED.match(after) else title.lastgroup or ""
        after = after[_extra_words(after, free="#" in marks or "**" in marks or bool(step)) :]
    rest, hashed, set_off = _after_title(after, marks)
    hashed = hashed and "#" in marks
    if not set_off or not (hashed or _stands_without_hashes(kind, title, after, marks, step)):
        return None
    return _Heading(number, kind, int(re.sub(r"\D", "", step)) if step else None, rest)


def _extra_words(after: str, free: bool) -> int:
    """Length of the words that still belong to the title, as in "#Finally Rewritten Instruction Process#"."""
    found = (_FREE_EXTRA.match(after) if free else None) or _EXTRA.match(after)
    return found.end() if found else 0


def _stands_without_hashes(kind: str, title: re.Match[str] | None, after: str, marks: str, step: str | None) -> bool:
    """Whether a title that is not between hash signs may be a heading: only what no other text would say."""
    if kind == "final":
        return title is not None and bool(_REWRITE_WORD.search(title[0]))
    if kind == "rewritten":
        return bool(step) or "#" in marks or after.lstrip(" \t*_`]】")[:1] in (":", "：")
    return kind == "translation" or (kind == "other" and bool(step))


def _after_title(after: str, marks: str) -> tuple[str, bool, bool]:
    """What follows a title: (the rest of the line, whether a hash sign closed it, whether it is set off at all)."""
    closers = {"#", *(_CLOSERS[mark] for mark in marks if mark in _CLOSERS)}
    trimmed = after.lstrip(" \t")
    rest = trimmed.lstrip("".join(closers))
    closed = trimmed[: len(trimmed) - len(rest)]
    if extra := _PARENTHESIS.match(rest):
        rest = rest[extra.end() :].lstrip("".join(closers))
    colon = rest.lstrip(" \t")[:1] in (":", "：") and bool(rest.strip())
    if colon:
        left = "".join(closers.difference(closed))
        rest = rest.lstrip(" \t")[1:]
        late = rest.lstrip(left)
        if "**" in marks and late == rest and "*" in left:
            late = rest.rstrip().removesuffix("**")  # bold that runs on over the result
        closed, rest = closed + rest[: len(rest) - len(late)], late
    text = rest.lstrip()
    set_off = colon or not text or (bool(closed) and text != rest and not text[0].islower())
    return rest, "#" in closed, set_off


# --- Which headings are the model's own --------------------------------------------------------


def _normal(line: str) -> str:
    return " ".join(line.lstrip(" \t>").casefold().split())


def _own_headings(lines: list[str], instruction: str) -> list[_Heading]:
    """The headings that the model wrote itself, without those that it only repeats from the instruction."""
    told = [_normal(line) for line in instruction.split("\n")]
    same = set(told)
    told_finals = [(line, found) for line in told if (found := _heading(0, line)) and found.kind == "final"]
    longer = tuple(line for line, found in told_finals if found.rest.strip())
    headings = [found for number, line in enumerate(lines) if (found := _heading(number, line))]
    normal = {heading.line: _normal(lines[heading.line]) for heading in headings}
    own = [h for h in headings if normal[h.line] not in same and not normal[h.line].startswith(longer)]
    if not any(heading.kind == "final" for heading in own):
        finals = [heading for heading in headings if heading.kind == "final"]
        displaced = _displaced(finals, lines, told) if len(finals) > len(told_finals) else []
        own = sorted([*own, *displaced], key=lambda heading: heading.line)
    return _outermost(own) if _FINAL_TITLE.search(instruction) else own


def _displaced(finals: list[_Heading], lines: list[str], told: list[str]) -> list[_Heading]:
    """The one heading that reads just like a quoted one but stands between other lines; [] if that is not certain."""
    neighbours = set(pairwise(line for line in told if line))
    spoken = [(number, _normal(line)) for number, line in enumerate(lines) if line.strip()]
    quoted = set()
    for (first, before), (second, after) in pairwise(spoken):
        if (before, after) in neighbours:
            quoted |= {first, second}
    free = [heading for heading in finals if heading.line not in quoted]
    return free if len(free) == 1 else []


def _outermost(own: list[_Heading]) -> list[_Heading]:
    """Where the instruction itself speaks of the final heading: a final heading within a result is content.

    Of final headings in a row the first is the model's, and none without a step number is if some have one.
    """
    numbered = any(heading.kind == "final" and heading.step for heading in own)
    kept: list[_Heading] = []
    for heading in own:
        inner = (numbered and not heading.step) or (kept and kept[-1].kind == "final")
        if heading.kind != "final" or not inner:
            kept.append(heading)
    return kept


# --- The rewrite -------------------------------------------------------------------------------

_RULE = re.compile(r"\s*+(?:-{3,}+|\*{3,}+|_{3,}+)\s*+$")
_LABEL = re.compile(
    r"(?P<marks>[\s>*_#(\[（\-+•`]*+)(?P<label>"
    r"notes?|explanations?|(?:\w{2,20} )?translations?(?: (?:to|into|in) \w{2,20})?|rationale|justification|remarks?"
    r"|(?:key |summary of (?:the )?)(?:changes|modifications|additions)|(?:changes|modifications|additions) made"
    r"|words? added|added words"
    r"|참고(?:[ \t]?사항)?|비고|(?:부연[ \t]?|추가[ \t]?)?(?:설명|해설)|(?:[가-힣]{2,4}[ \t])?번역문?"
    r"|(?:변경|수정)[ \t]?(?:사항|점|내용)|추가(?:된|한)[ \t]단어)"
    r"(?: (?:of|on|about) (?:the |my )?(?:changes|rewrite|modifications|additions))?(?:[ \t]?\([^()]{0,40}\))?"
    r"[\s*_)\]）`]*+(?P<colon>[:：]|$)?",
    re.I,
)
_SAID = re.compile(
    r"[\s>*_(\[（\-]*+(?:"
    r"(?:this|the) (?:newly |final |finally )?(?:re-?written|revised|evolved) (?:instruction|prompt|version|question)\b"
    r"(?! (?:should|must|needs?|shall|has to|will|may|can)\b)"
    r"|(?:this|the) (?:(?:new|final|updated|modified|improved) )?(?:instruction|prompt) (?:now |has )?"
    r"(?:adds?|added|asks|requires|maintains|keeps|increases|includes|introduces)\b"
    r"|(?:i|we)(?:'ve|’ve| have)? (?:added|rewritten|rewrote|revised|increased|made|modified|included|kept)\b"
    r"[^\n]{0,150}?\b(?:instruction|prompt|complexity|difficulty|words)\b"
    r"|(?:these|the) (?:changes|additions|modifications) (?:made|add|increase|make|keep|ensure|raise|introduce)"
    r"|here(?:'s|’s| is) the \w{2,20} translation"
    r"|(?:(?:이|위|본|해당)[ \t]*+(?:지시문?|지시[ \t]?사항|명령문?|프롬프트)"
    r"|(?:(?:이|위|최종|새로)[ \t]*+)?(?:재작성|수정|다시[ \t]?작성|변형|개선)(?:된|한)[ \t]*+" + _KO_NOUN + ")"
    r"(?:은|는|에서는|에는)[^\n]{0,150}?(?:[했었였됐렸켰]습니다|(?:요구|유도|유지|포함)합니다|했음|하였음|됨|했다|하였다)"
    r"|(?:원래|원본|기존)(?:의)?[ \t]*+" + _KO_NOUN + r"[^\n]{0,150}?(?:추가|변경|수정|강화|확장)(?:했|하였|되었)"
    r"|(?:총[ \t]?|약[ \t]?)?\d{1,3} ?(?:words added|(?:개의 )?단어(?:를|가)? ?추가))",
    re.I,
)
_LEAD_IN = re.compile(
    r"(?:here(?:'s|’s| is)|below is|the following is)\b[^\n]{0,40}\b(?:final|rewritten|revised)\b[^\n]{0,40}[:：]\s*+$"
    r"|(?:다음은|아래는)[^\n]{0,30}(?:최종|재작성|수정)[^\n]{0,40}(?:입니다|다)[.:：]\s*+$",
    re.I,
)
_PLACEHOLDER = re.compile(
    r"[.…\s]++|\{\{[^{}]{0,200}+\}\}"
    r"|[\[<({（【]{1,2}+[\s*_#.…]*+(?:(?:your|the|insert|put|write|provide|add|place|an?)[\s_]+){0,3}"
    r"(?:(?:final(?:ly)?|re-?written|new|evolved|revised|complete|complex|more)[\s_]+){0,4}"
    r"(?:(?:instruction|prompt|text|rewrite|content)s?(?:[\s_]+(?:goes[\s_]+)?(?:here|text))?|(?:여기에[ \t]*+)?"
    r"(?:(?:최종|새로운|재작성된|수정된|다시[ \t]?작성된)[ \t]*+){0,3}(?:" + _KO_NOUN + r"|내용)[을를]?"
    r"(?:[ \t]*+(?:여기에[ \t]*+)?(?:작성|입력|삽입)[가-힣]{0,6})?)?[\s*_#.…]*+[\]>)}）】]{1,2}+",
    re.I,
)
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "「": "」", "『": "』", "`": "`"}


def read_rewrite(reply: str, instruction: str) -> str | None:
    """The evolved instruction in a reply to `instruction`, or None where the reply breaks the format.

    The result stands after the last heading "#Finally Rewritten Instruction#" (Auto Evol-Instruct, arXiv 2406.00770)
    that the model wrote itself, and ends where a new heading or a remark on the rewrite begins. Where that is empty,
    an earlier final heading counts; a reply that stops before the final heading does not.
    """
    text = _strip_opening_blocks(reply) if "</think" in instruction else strip_reasoning(reply)
    lines = text.split("\n")
    for body in reversed(_results(lines, _own_headings(lines, instruction), instruction)):
        if result := _polished(body, instruction):
            return None if _PLACEHOLDER.fullmatch(result) else result
    return None


def _results(lines: list[str], headings: list[_Heading], instruction: str) -> list[list[str]]:
    """The lines under each final heading; a bare "Rewritten Instruction" right under an empty one stands in for it."""
    results = []
    awaited = False
    ends = [following.line for following in headings[1:]] + [len(lines)]
    for heading, end in zip(headings, ends, strict=False):
        body = [heading.rest, *lines[heading.line + 1 : end]]
        stands_in = awaited and heading.kind == "rewritten" and heading.step is None
        if heading.kind == "final" or stands_in:
            results.append(_until_next_step(body, heading.step, instruction))
        empty = not any(line.strip() and not _RULE.match(line) for line in body)
        awaited = (heading.kind == "final" and empty) or (awaited and heading.kind == "original")
    return results


def _until_next_step(body: list[str], step: int | None, instruction: str) -> list[str]:
    """Cut before a line "Step 5: …" after "Step 4: Finally …", unless the text counts steps of its own."""
    if step is None:
        return body
    current, following = (re.compile(rf"[\s>*_#-]*+(?:step {n}\b|{n}단계|단계 {n}\b)", re.I) for n in (step, step + 1))
    told = instruction.split("\n")
    for number, line in enumerate(body[1:], start=1):
        if current.match(line) or (following.match(line) and any(map(following.match, told))):
            return body
        if following.match(line):
            return body[:number]
    return body


def _polished(body: list[str], instruction: str) -> str:
    """The result itself: without remarks after it, and without quotes, fences or bold around it."""
    doubled = _heading(0, body[0])
    if doubled and doubled.kind == "final" and not _FINAL_TITLE.search(instruction):
        body = [doubled.rest, *body[1:]]
    begin = next((n for n, line in enumerate(body) if line.strip()), 0)
    if _RULE.match(body[begin]) and not "".join(body[begin + 1 : begin + 2]).strip():
        body = body[begin + 1 :]  # a rule set off from the text; front matter begins right under it
    lines = _without_remarks(body, instruction)
    text = "\n".join(lines).strip()
    first, _, remainder = text.partition("\n")
    if remainder.strip() and _LEAD_IN.match(first[:_HEADING_LIMIT]) and first not in instruction:
        text = remainder.strip()
    for _ in range(3):  # a fence around quotes around bold: nobody wraps deeper
        for peel in (_peel_fence, _peel_blockquote, _peel_quotes, _peel_bold):
            if peel(instruction.strip()) == instruction.strip():
                text = peel(text).strip()
    return text


def _without_remarks(body: list[str], instruction: str) -> list[str]:
    """Cut at the first paragraph that is a remark on the rewrite; the instruction's own notes are none."""
    own = {_remark(line) for line in instruction.split("\n")}
    fenced = _fenced(body)
    begun = False
    end = len(body)
    for number, line in enumerate(body):
        fresh = number and (not body[number - 1].strip() or _RULE.match(body[number - 1]) or _fence(body[number - 1]))
        if begun and fresh and not fenced[number] and (remark := _remark(line)) and remark not in own:
            end = number
            break
        begun = begun or bool(line.strip() and not _RULE.match(line))
    while end and (not body[end - 1].strip() or _RULE.match(body[end - 1])):
        end -= 1
    return body[:end]


def _remark(line: str) -> str | None:
    """What marks this line as the beginning of a remark on the rewrite: its label, or all of it."""
    head = line[:_HEADING_LIMIT]
    if label := _LABEL.match(head):
        marks, name = label["marks"], label["label"].casefold()
        titled = label["colon"] == "" and ("#" in marks or "**" in marks)
        if label["colon"] or titled or (name in ("note", "참고") and marks.endswith(("(", "（"))):
            return name
    return _normal(line) if _SAID.match(head) else None


def _fenced(lines: list[str]) -> list[bool]:
    """For each line, whether it stands inside a fenced block that closes."""
    change = [0] * (len(lines) + 1)
    for opening, closing in _blocks(lines):
        if closing is not None:
            change[opening + 1] += 1
            change[closing] -= 1
    return [depth > 0 for depth in accumulate(change)]


def _peel_fence(text: str) -> str:
    lines = text.split("\n")
    fences = [_fence(lines[0]), _fence(lines[-1])]
    blocks = dict(_blocks(lines))
    last = len(lines) - 1
    if fences[0] and len(fences[0][1].split()) <= 1 and last:
        if blocks[0] == last or (last > 2 and fences[1] and _fence(lines[-2]) == fences[1]):
            return "\n".join(lines[1:-1])
        if blocks[0] is None:
            return "\n".join(lines[1:])
    orphan = fences[1] and not fences[1][1] and blocks.get(last, last) is None
    return "\n".join(lines[:-1]) if orphan else text


def _peel_blockquote(text: str) -> str:
    lines = text.split("\n")
    if not all(re.match(r">(?!>)", line) for line in lines if line.strip()):
        return text
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines)


def _peel_quotes(text: str) -> str:
    mark = re.match(r"`*", text)[0] or text[:1]
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
    """Whether the outer marks belong together: `"A" and "B"` begins and ends with quotes, too."""
    if mark != closing:
        closed = inner.find(closing)
        return closed < 0 or 0 <= inner.find(mark) < closed
    found = re.search(r"(?<!\w)'|'(?!\w)" if mark == "'" else re.escape(mark), inner)
    return found is None or found.start() == 0 or inner[found.start() - 1] in " \t\n([{:"


def _peel_bold(text: str) -> str:
    inner = text[2:-2]
    return inner if len(text) > 4 and text.startswith("**") and text.endswith("**") and "**" not in inner else text


# --- The method --------------------------------------------------------------------------------

_METHOD_NAME = r"[#*_\s\[\"']*+optimi[sz]ed[\s_-]*+method\b"
_METHOD_INFO = re.compile(_METHOD_NAME + r"[#*_\s\]\"':]*+$", re.I)
_METHOD_LABEL = re.compile(r"[>\s]*+" + _METHOD_NAME + r"[#*_\s\]\"']*+(?:[:：][*_]*+(?P<rest>.*+))?$", re.I | re.S)


def read_method(reply: str) -> str | None:
    """The text of the last block labelled "Optimized Method" in a reply, or None where nothing is labelled.

    The label stands in the fence's info text, or on a line before a fence or (as a heading) before plain text.
    Fences inside the method belong to it: the block ends at the last fence that can close it.
    """
    lines = reply.split("\n")
    labelled = [n for n, line in enumerate(lines) if (fence := _fence(line)) and _METHOD_INFO.match(fence[1])]
    headed = [n for n, line in enumerate(lines) if _METHOD_LABEL.match(line)]
    for number in reversed(labelled):
        if method := _block_text(lines[number:]):
            return method
    for number in reversed(headed):
        if method := _text_under_label(lines[number:]):
            return method
    return None


def _text_under_label(lines: list[str]) -> str:
    label = _METHOD_LABEL.match(lines[0])
    rest = (label and label["rest"]) or ""
    following = next((n for n, line in enumerate(lines) if n and line.strip()), None)
    if not rest.strip() and following is not None and _fence(lines[following]):
        return _block_text(lines[following:])
    return _peel_fence("\n".join([rest, *lines[1:]]).strip()).strip()


def _block_text(lines: list[str]) -> str:
    """The text of the block that the first line opens, up to the last fence that can be its closing one."""
    opening = _fence(lines[0])
    assert opening
    end, depth = None, 0
    for number, line in enumerate(lines[1:], start=1):
        fence = _fence(line)
        if fence is None or not fence[0].startswith(opening[0]):
            continue
        if fence[1]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            end, depth = number, 1  # if there is a later one that fits, this one opened a block inside
    text = "\n".join(lines[1:end]).strip()
    return text if end else text.removesuffix(opening[0]).rstrip()


# --- JSON --------------------------------------------------------------------------------------

_BRACE = re.compile(r'[{}]|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_REPAIRABLE = re.compile(
    r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
    r"|'(?P<single>(?:[^'\\]++|\\.|'(?!\s*+[,:}\]]))*+)(?:'|\\?\Z)"
    r"|(?P<comma>,)(?=\s*+[}\]])|\b(?P<name>None|True|False)\b",
    re.DOTALL,
)
_NAMES = {"None": "null", "True": "true", "False": "false"}
_JSON_FENCE = re.compile(r"^[ \t]*+(?:```|~~~)[ \t]*+json[ \t]*+$", re.I | re.M)


def _json_objects(reply: str) -> list[dict[str, Any]]:
    """The outermost JSON objects of a reply, in order: fenced or not, whatever stands around or between them.

    An object that cannot be read, or is cut off, is replaced by those inside it. One `json` fence, if there is one
    with objects behind it, hides what stands before it.
    """
    fences = list(_JSON_FENCE.finditer(reply))
    fenced = list(_parse_objects(reply[fences[-1].end() :])) if fences else []
    return fenced or list(_parse_objects(reply))


def _parse_objects(text: str, depth: int = 2) -> Iterator[dict[str, Any]]:
    for start, end in _object_spans(text):
        value = _parse(text[start:end])
        if isinstance(value, dict):
            yield value
        elif depth:
            yield from _parse_objects(text[start + 1 : end - 1], depth - 1)


def _object_spans(text: str) -> list[tuple[int, int]]:
    """Balanced {…} that stand in no other balanced one; braces in strings do not count."""
    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    position = text.find("{")
    while position >= 0 and (token := _BRACE.search(text, position)):
        position = token.end()
        if token[0] == "{":
            opened.append(token.start())
        elif token[0] == "}":
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, position))
            if not opened:
                position = text.find("{", position)
    return spans


def _parse(text: str) -> Any:
    """JSON, if need be after repairing single quotes, trailing commas and Python's names; None if it is none."""
    for repair in (False, True):
        try:
            return json.loads(_REPAIRABLE.sub(_repaired, text) if repair else text, strict=False)
        except (ValueError, RecursionError):
            continue
    return None


def _repaired(found: re.Match[str]) -> str:
    if found["single"] is not None:
        return json.dumps(found["single"].replace("\\'", "'"))
    if found["comma"]:
        return ""
    return _NAMES.get(found["name"] or "", found[0])


# --- Feedback, findings, comparisons -----------------------------------------------------------


def _case_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value is no case id")
    found = re.fullmatch(r"[^\d]{0,20}+(\d{1,6}+)[^\d]{0,5}+", value) if isinstance(value, str) else None
    return int(found[1]) if found else value


def _labels(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    named = {str(word).strip(" \t\n.*`'\"").casefold() for word in words}
    if named == {"ok"}:
        return ()
    if not named or not named.issubset(LABELS):
        raise ValueError("not a set of known labels")
    return tuple(label for label in LABELS if label in named)


def _lowered(value: Any) -> Any:
    return value.strip(" \t\n.*`'\"").casefold() if isinstance(value, str) else value


def _clean(value: Any) -> str:
    """A text without lone surrogates, which JSON can spell but no file can hold; "" for anything else."""
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


_Text = Annotated[str, BeforeValidator(_clean)]


class _Case(BaseModel):
    case_id: Annotated[int, BeforeValidator(_case_number)]


class _FailedCase(_Case):
    reason: _Text = ""


class _JudgedCase(_Case):
    labels: Annotated[tuple[str, ...], BeforeValidator(_labels)]
    note: _Text = ""


class _ComparedCase(_Case):
    better: Annotated[Literal["first", "second", "tie"], BeforeValidator(_lowered)]


class _EqualCase(_Case):
    equal: bool


def read_feedback(reply: str) -> tuple[tuple[FailedCase, ...], str]:
    """The failed cases and the feedback of an Analyzer's reply; one that is not JSON is feedback as it stands."""
    found = [value for value in _json_objects(reply) if "feedback" in value or "failed_cases" in value]
    if not found:
        return (), reply.strip()
    listed, text = found[-1].get("failed_cases"), found[-1].get("feedback")
    items = [_validated(_FailedCase, item) for item in listed] if isinstance(listed, list) else []
    cases = tuple(FailedCase(item.case_id, item.reason) for item in items if item)
    if isinstance(text, list):
        text = "\n".join(line for line in text if isinstance(line, str))
    return cases, _clean(text if isinstance(text, str) else reply)


def read_findings(reply: str, count: int) -> dict[int, Finding]:
    """A judge's finding by case id, for each case 1..count that can be read; the others count as not judged."""
    return {case: Finding(item.labels, item.note) for case, item in _read_cases(reply, count, _JudgedCase).items()}


def read_comparison(reply: str, count: int) -> dict[int, Literal["first", "second", "tie"]]:
    """Which rewrite a judge prefers, by case id, for each case 1..count that can be read."""
    return {case: item.better for case, item in _read_cases(reply, count, _ComparedCase).items()}


def read_equality(reply: str, count: int) -> dict[int, bool]:
    """Whether a judge finds two instructions equal, by case id, for each case 1..count that can be read."""
    return {case: item.equal for case, item in _read_cases(reply, count, _EqualCase).items()}


def _read_cases(reply: str, count: int, model: type[Item]) -> dict[int, Item]:
    """Entries by case id; where one id has several, all must be readable and agree (notes apart)."""
    items: dict[int, Item | None] = {}
    for raw in _case_objects(reply):
        numbered = _validated(_Case, raw)
        if numbered and 1 <= numbered.case_id <= count:
            item = _validated(model, raw)
            known = items.setdefault(numbered.case_id, item)
            items[numbered.case_id] = known if _agree(known, item) else None
    return {case: item for case, item in sorted(items.items()) if item}


def _agree(one: BaseModel | None, other: BaseModel | None) -> bool:
    return bool(one and other and one.model_dump(exclude={"note"}) == other.model_dump(exclude={"note"}))


def _case_objects(reply: str) -> list[Any]:
    """The entries of the last list of cases; of a bare list, or one that was cut off, the entries that are whole."""
    objects = _json_objects(reply)
    lists = [cases for found in objects if isinstance(cases := found.get("cases"), list) and cases]
    return lists[-1] if lists else objects


def _validated(model: type[Item], raw: Any) -> Item | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
