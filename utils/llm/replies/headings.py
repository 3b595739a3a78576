"""The headings of the evolving format, in all the shapes in which models write them.

A heading that the instruction itself quotes is never the model's.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

HEADING_LIMIT = 200  # characters of a line in which a heading or the start of a remark is looked for
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
JOINT = re.compile(  # what may join a closed heading to its text; a hyphen without a space behind it is a sign
    r"[ \t]*+(?P<bold>[*_]{0,3}+)(?:-{1,2}>|={1,2}>|[→⇒➜—―:：]|[-–‒]{1,3}+(?=[ \t*_]|$))"
    r"[ \t]*+(?P<closed>(?P=bold))?[ \t]*+"
)
_CLOSERS = {"#": "#", "*": "*", "_": "_", "`": "`", "[": "]", "【": "】", "(": ")", '"': '"', "“": "”"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the format; `rest` is what follows it on its line, `step` its number if it has one.

    `kind` is final, rewritten, original, translation (of one of these) or other (all that only ends what precedes it).
    """

    line: int
    kind: str
    step: int | None
    rest: str


def heading_in(number: int, line: str) -> Heading | None:
    """Read one line as a heading, which must open the line and be set off from what follows; None where it is not."""
    head = line[:HEADING_LIMIT]
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
    return Heading(number, kind, int(re.sub(r"\D", "", step)) if step else None, rest)


def _extra_words(after: str, free: bool) -> int:
    """Return the length of words that still belong to the title, as in "#Finally Rewritten Instruction Process#"."""
    found = (_FREE_EXTRA.match(after) if free else None) or _EXTRA.match(after)
    return found.end() if found else 0


def _stands_without_hashes(kind: str, title: re.Match[str] | None, after: str, marks: str, step: str | None) -> bool:
    """Tell whether a title that is not between hash signs may be a heading: only what no other text would say."""
    if kind == "final":
        return title is not None and bool(_REWRITE_WORD.search(title[0]))
    if kind == "rewritten":
        return bool(step) or "#" in marks or after.lstrip(" \t*_`]】")[:1] in (":", "：")
    return kind == "translation" or (kind == "other" and bool(step))


def _after_title(after: str, marks: str) -> tuple[str, bool, bool]:
    """Return what follows a title: (the rest of its line, whether a hash sign closed it, whether it is set off)."""
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
    if closed and (joint := JOINT.match(rest)):
        text = rest[joint.end() :]  # "#Final Instruction#—What …": the dash sets it off, without a space
        return rest, "#" in closed, joint[0] != joint[0].strip() or not text[:1].islower()
    set_off = colon or not text or (bool(closed) and text != rest and not text[0].islower())
    return rest, "#" in closed, set_off


# --- Which headings are the model's own --------------------------------------------------------


def normalized(line: str) -> str:
    return " ".join(line.lstrip(" \t>").casefold().split())


def own_headings(lines: list[str], instruction: str) -> list[Heading]:
    """Return the headings that the model wrote itself, without those that it only repeats from the instruction."""
    told = [normalized(line) for line in instruction.split("\n")]
    same = set(told)
    told_finals = [(line, found) for line in told if (found := heading_in(0, line)) and found.kind == "final"]
    longer = tuple(line for line, found in told_finals if found.rest.strip())
    headings = [found for number, line in enumerate(lines) if (found := heading_in(number, line))]
    normal = {heading.line: normalized(lines[heading.line]) for heading in headings}
    own = [h for h in headings if normal[h.line] not in same and not normal[h.line].startswith(longer)]
    if not any(heading.kind == "final" for heading in own):
        finals = [heading for heading in headings if heading.kind == "final"]
        displaced = _displaced(finals, lines, told) if len(finals) > len(told_finals) else []
        own = sorted([*own, *displaced], key=lambda heading: heading.line)
    return _outermost(own) if _FINAL_TITLE.search(instruction) else own


def _displaced(finals: list[Heading], lines: list[str], told: list[str]) -> list[Heading]:
    """Find the one heading that reads like a quoted one but stands between other lines; [] if that is not certain."""
    neighbours = set(pairwise(line for line in told if line))
    spoken = [(number, normalized(line)) for number, line in enumerate(lines) if line.strip()]
    quoted = set()
    for (first, before), (second, after) in pairwise(spoken):
        if (before, after) in neighbours:
            quoted |= {first, second}
    free = [heading for heading in finals if heading.line not in quoted]
    return free if len(free) == 1 else []


def _outermost(own: list[Heading]) -> list[Heading]:
    """Drop final headings within a result, which are content if the instruction itself speaks of the final heading.

    Of final headings in a row, the first is the model's; if some have a step number, those without one are not.
    """
    numbered = any(heading.kind == "final" and heading.step for heading in own)
    kept: list[Heading] = []
    for heading in own:
        inner = (numbered and not heading.step) or (kept and kept[-1].kind == "final")
        if heading.kind != "final" or not inner:
            kept.append(heading)
    return kept
