"""The marks that models and their chat templates leave in a text, and how to tell them from talk about them.

A mark opens thoughts, closes them, opens the answer behind them, ends a turn, or begins the next one. All that a
model can write, it can also write about; so a mark counts only where no writer would put it: see `Page.spoken`.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from utils.llm.replies.forms import END, FORMS, TURN, Form
from utils.llm.replies.text import fence_blocks, fence_in

Kind = Literal["open", "close", "answer", "end", "turn"]

_SIGN = re.compile(  # where a mark may begin, so that ordinary text, HTML and code are cheap to read
    r"\A|<(?=[|｜]|\s{0,3}/?\s{0,3}(?:think|thought|reason|reflect|seed:|mm:|longcat|details|s>|bos>|eos>"
    r"|start_of_turn|end_of_turn|turn\||channel\||unused9))|\[(?=/?THINK|unused1|\||/?INST|EO[ST]\])|◁"
    r"|assistant(?=final|analysis|commentary)|Here(?='s my| is my)",
    re.I,
)
_PATTERNS: dict[str, tuple[Kind, Form | None, str]] = {}
for _number, _form in enumerate(FORMS):
    _PATTERNS[f"answer{_number}"] = ("answer", _form, _form.answer)
    _PATTERNS[f"open{_number}"] = ("open", _form, _form.opening)
    _PATTERNS[f"close{_number}"] = ("close", _form, _form.closing)
_PATTERNS["end"] = ("end", None, END)
_PATTERNS["turn"] = ("turn", None, TURN)
_MARK = re.compile("|".join(f"(?P<{name}>{p})" for name, (_, _, p) in _PATTERNS.items() if p), re.I | re.S)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark at text[start:end]; `form` is None where it ends or begins a turn."""

    start: int
    end: int
    kind: Kind
    form: Form | None


def _marks(text: str) -> list[Mark]:
    found: list[Mark] = []
    position = 0
    for sign in _SIGN.finditer(text):
        mark = _MARK.match(text, sign.start()) if sign.start() >= position else None
        if mark and mark.lastgroup:
            kind, form, _ = _PATTERNS[mark.lastgroup]
            found.append(Mark(mark.start(), mark.end(), kind, form))
            position = mark.end()
    return found


# --- Talk about marks --------------------------------------------------------------------------

_WINDOW = 400  # characters of its line, before and behind a mark, that tell whether it is spoken of
_BRACKETS = {"“": "”", "「": "」", "『": "』", "«": "»"}
_PAIRS = {**_BRACKETS, "‘": "’", '"': '"', "'": "'", "`": "`"}
_NOUN = r"[ \t]*(?:tags?\b|tokens?\b|elements?\b|blocks?\b|marks?\b|markers?\b|태그|토큰|요소|블록|표시|마커)"
_PARTICLE = r"(?:은|는|을|를|의|로|으로|라는|란|까지|부터|처럼|이라는)(?![가-힣])|(?:와|과)(?=[ \t]*[<\[◁`'\"])"
_GOES_ON = re.compile(
    rf"{_NOUN}|{_PARTICLE}|[ \t]*[,;:.?!)\]}}](?=\s|$)|[ \t]*[|=→–—](?=[ \t])|[ \t]+(?:-[ \t]|\()"
    r"|[ \t]+(?:is|are|was|means|ends?|begins?|closes?|opens?|tells|wraps?|stands|signals|denotes|must|should|can|will"
    r"|has|and|or|in|at|to|as|for|from|by|with|when|which|that|after|before|so|then|on|of)\b"
)
_NAMED = re.compile(
    rf"{_NOUN}|{_PARTICLE}|[ \t]*(?:[,;:.?!)\]}}](?=\s|$)|(?:…|\.{{2,3}}|~|,|/|(?:and|or|와|과|및)\b)?[ \t]*[<\[◁])"
    r"|[ \t]+(?:is an?|is the|are|means|wraps?|opens?|begins?|denotes)\b"
)
_BULLET = re.compile(r"[ \t>]*(?:[-*+•·]|\d{1,3}[.)])[ \t]+$")
_LEADS_TO = re.compile(
    r"(?:[:：=,(\[{/|→]|\b(?:is|are|the|an?|with|by|of|for|in|on|to|as|and|or|called|named|token|tag|emits?|writes?|uses?)"
    r"|[은는을를와과]|이란|토큰|태그|및|또는)[ \t]+$",
    re.I,
)


class Page:
    """A text with its marks, except for those in quotation marks or code spans."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.marks = [mark for mark in _marks(text) if not self._quoted(mark)]
        self.in_vain: set[tuple[Form | None, bool]] = set()  # searches that will find nothing further on, either
        self.fences = self._closed_fences() if self.marks and ("```" in text or "~~~" in text) else []

    def _closed_fences(self) -> list[int]:
        """Find where fenced code begins and ends, in turn, as positions in the text, leaving out what never closes."""
        lines = self.text.split("\n")
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        for mark in self.marks:  # a fence that is glued to a mark stands on a line of its own
            before, after = self.line_around(mark)
            number = bisect_right(starts, mark.end) - 1
            if fence_in(after) and starts[number] < mark.end:
                lines[number] = after
                starts[number] = mark.end  # the mark itself is not in the code
            elif fence_in(before) and mark.kind == "end":
                lines[number] = before
        edges: list[int] = []
        for opening, closing in sorted((begin, end) for begin, end in fence_blocks(lines) if end is not None):
            if not edges or starts[opening] >= edges[-1]:
                edges += [starts[opening], starts[closing]]
        return edges

    def fenced(self, mark: Mark) -> bool:
        """Tell whether a mark stands in a fenced block of code."""
        return bisect_right(self.fences, mark.start) % 2 == 1

    def line_around(self, mark: Mark) -> tuple[str, str]:
        """Return what stands before and behind a mark on its line, at most _WINDOW characters of each."""
        before = self.text[max(0, mark.start - _WINDOW) : mark.start].rpartition("\n")[2]
        return before, self.text[mark.end : mark.end + _WINDOW].partition("\n")[0]

    def _quoted(self, mark: Mark) -> bool:
        before, after = self.line_around(mark)
        if before.endswith("\\") or (before and after.startswith(_PAIRS.get(before[-1], "\n"))):
            return True
        if any(before.count(sign) % 2 and sign in after for sign in '`"'):
            return True
        return any(before.rfind(left) > before.rfind(right) and right in after for left, right in _BRACKETS.items())

    def spoken(self, mark: Mark) -> bool:
        """Tell whether a sentence runs into a mark or goes on behind it, so that the text only speaks of the mark.

        Real ones are glued to what precedes them, begin a line, or follow a finished sentence.
        """
        return _runs_in(self.line_around(mark)[0]) or self.goes_on(mark)

    def goes_on(self, mark: Mark) -> bool:
        """Tell whether a sentence goes on behind a mark."""
        return bool(_GOES_ON.match(self.line_around(mark)[1]))

    def named(self, mark: Mark) -> bool:
        """Tell whether an opening mark at the beginning of a text is named there: "<think> tags are …"."""
        return bool(_NAMED.match(self.line_around(mark)[1]))

    def shown(self, mark: Mark) -> bool:
        """Tell whether a mark begins its line below a line that ends with a colon: an example follows."""
        above = self.text[max(0, mark.start - _WINDOW) : mark.start].rstrip(" \t")
        return above.endswith("\n") and above.rstrip().endswith((":", "："))

    def said_last(self, mark: Mark) -> bool:
        """Tell whether a mark that ends a text is the last word of its sentence: "The token is </s>"."""
        before, _ = self.line_around(mark)
        return bool(_BULLET.match(before) or _LEADS_TO.search(before))


def _runs_in(before: str) -> bool:
    if _BULLET.match(before):
        return True
    spoken = before.rstrip(" \t")
    if spoken == before:
        return spoken[-1:] in ("(", "[", "{")
    return bool(spoken) and (spoken[-1].isalpha() or spoken[-1] in ",:：=({[/|–—-→")
