"""The marks that models and their chat templates leave in a text, and how to tell them from talk about them.

A mark opens thoughts, closes them, opens the answer behind them, ends a turn, or begins the next one. All that a
model can write, it can also write about; so a mark counts only where no writer would put it: see `Page.spoken`.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from utils.replies.text import fence_blocks

Kind = Literal["open", "close", "answer", "end", "turn"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing thoughts into a text: patterns of what opens and closes them, and of what opens the answer.

    lone     a closing mark that nothing has opened makes thoughts of all before it (the template had opened them)
    endless  an opening mark that nothing closes makes thoughts of all behind it
    tag      nests, as elements do; the others end where an answer, a block of the same form or a turn's end follows
    """

    name: str
    opening: str
    closing: str = ""
    answer: str = ""
    lone: bool = True
    endless: bool = True
    tag: bool = False


def _tag(name: str, lone: bool = True) -> Form:
    opening = rf"<\s{{0,3}}{name}(?:\s[^<>]{{0,200}}(?<!/))?>"
    return Form(name, opening, rf"<\s{{0,3}}/\s{{0,3}}{name}\s{{0,3}}>", lone=lone, tag=True)


_STARTED = r"<\|start\|>\s*assistant\s*"
_CHANNEL = r"<\|channel\|>\s*{}\b[^<\n]{{0,80}}(?:<\|constrain\|>[^<\n]{{0,20}})?<\|message\|>"
_THOUGHT_OF = r"(?-i:(?=We\b|The user|User|I\b|Let|Need|Okay))"

FORMS = (
    _tag("think"),  # DeepSeek, Qwen, GLM, EXAONE 4, Kanana, A.X, Phi-4, Nemotron, Granite 3.3 and most others
    _tag("thinking"),
    _tag("thought"),  # EXAONE Deep, Marco-o1
    _tag("thoughts"),
    _tag("reason"),
    _tag("reasoning"),
    _tag("reflection", lone=False),
    _tag("seed:think"),  # Seed-OSS
    _tag("mm:think"),  # MiniMax M3
    _tag("longcat_think"),  # LongCat
    Form("brackets", r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),  # Magistral, Mistral Small 4
    Form("triangles", r"◁think▷", r"◁/think▷"),  # Kimi
    Form(
        "begin_of_thought",  # OpenThinker, Sky-T1
        r"<\|begin_of_thought\|>",
        r"<\|end_of_thought\|>",
        r"<\|begin_of_solution\|>",
    ),
    Form(
        "details",  # Open WebUI
        r"<details\s[^<>]{0,200}?type=[\"']?reasoning\b[^<>]{0,200}>(?:\s*<summary>[^<]{0,200}</summary>)?",
        r"</details>",
        lone=False,
        tag=True,
    ),
    Form(
        "harmony",  # gpt-oss; its commentary is said to tools, not to the reader
        rf"(?:{_STARTED})?" + _CHANNEL.format("(?:analysis|commentary)"),
        answer=rf"(?:{_STARTED})?" + _CHANNEL.format("final") + rf"|{_STARTED}<\|message\|>",
    ),
    Form(
        "harmony, stripped",  # by a decoder that leaves special tokens out; all of it glued: analysisWe…assistantfinal…
        rf"(?-i:\A\s*(?:assistant)?(?:analysis{_THOUGHT_OF}|(?:analysis|commentary)(?=\n?\S.*assistantfinal))"
        r"|assistant(?:analysis|commentary)(?=\S))",
        answer=r"(?-i:(?<=[.!?。…\n])assistantfinal|assistantfinal(?![a-z_]))",
    ),
    Form("gemma", r"<\|channel>(?:thought|analysis)?", r"<channel\|>"),  # Gemma 4
    Form("medgemma", r"<unused94>(?:thought)?", r"<unused95>"),
    Form(
        "cohere",  # Command A and R7B
        r"<\|START_THINKING\|>",
        r"<\|END_THINKING\|>",
        r"<\|START_(?:RESPONSE|TEXT)\|>",
    ),
    Form(
        "solar",  # Solar Open; a turn's end closes its thoughts
        r"(?:<\|begin\|>assistant)?<\|think\|>",
        answer=r"(?:<\|begin\|>assistant)?<\|content\|>",
    ),
    Form("solar 2", r"<\|think:start\|>", r"<\|think:end\|>"),
    Form("hyperclova x", r"\A\s*/think\n", answer=r"<\|im_end\|>\s*<\|im_start\|>assistant\n", lone=False),
    Form("apertus", r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    Form(
        "kimi k3",
        r"<\|open\|>think<\|sep\|>",
        r"<\|close\|>think<\|sep\|>",
        r"<\|open\|>response<\|sep\|>",
    ),
    Form("pangu", r"\[unused16\]", r"\[unused17\]"),
    Form(
        "granite",  # 3.2
        r"\A\s*Here(?:'s| is) my thought process:",
        r"Here(?:'s| is) my response:",
        lone=False,
        endless=False,
    ),
)

_ROLE = r"(?:user|assistant|system|developer|tool|model|human|observation)"
_END = (
    r"<\|(?:im_end|eot_id|eom_id|eot|eom|end|return|call|endoftext|end_of_text|end_of_turn|endofturn|end_of_msg|stop|eos"
    r"|flush|END_OF_TURN_TOKEN|END_RESPONSE|END_TEXT|end_of_solution|close\|>(?:response|message)<\|sep)\|>"
    r"|</s>|<end_of_turn>|<turn\|>|<eos>|<seed:eos>|\[\|endofturn\|\]|<｜end▁of▁sentence｜>|\[(?:EOS|EOT)\]|\[/INST\]"
)
_TURN = (
    rf"(?:<s>\s*|<\|begin_of_text\|>\s*|<bos>\s*|<seed:bos>\s*)?(?:"
    rf"<\|(?:im_start|start|begin|turn)\|?>\s*{_ROLE}|<\|start_header_id\|>\s*{_ROLE}\s*<\|end_header_id\|>"
    rf"|<start_of_turn>\s*{_ROLE}|<\|{_ROLE}\|>|\[\|{_ROLE}\|\]|<｜(?:User|Assistant)｜>|\[INST\]"
    r"|<\|START_OF_TURN_TOKEN\|>(?:<\|(?:USER|CHATBOT|SYSTEM)_TOKEN\|>)?)\s*"
)
_SIGN = re.compile(r"\A|[<\[◁]|assistant(?=final|analysis|commentary)|Here(?='s my|\ is my)")
_PATTERNS: dict[str, tuple[Kind, Form | None, str]] = {}
for _number, _form in enumerate(FORMS):
    _PATTERNS[f"answer{_number}"] = ("answer", _form, _form.answer)
    _PATTERNS[f"open{_number}"] = ("open", _form, _form.opening)
    _PATTERNS[f"close{_number}"] = ("close", _form, _form.closing)
_PATTERNS["end"] = ("end", None, _END)
_PATTERNS["turn"] = ("turn", None, _TURN)
_MARK = re.compile("|".join(f"(?P<{name}>{p})" for name, (_, _, p) in _PATTERNS.items() if p), re.I | re.S)
_CLOSED_AND_ENDED = re.compile(rf"^([ \t>]*+(?:`{{3,}}+|~{{3,}}+))[ \t]*+(?:{_END}).*$", re.I | re.M)


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

_WINDOW = 1000  # characters of its line, before and behind a mark, that tell whether it is spoken of
_PAIRS = {"“": "”", "「": "」", "『": "』", "«": "»", "‘": "’", '"': '"', "'": "'", "`": "`"}
_NOUN = r"[ \t]*(?:tags?\b|tokens?\b|elements?\b|blocks?\b|marks?\b|markers?\b|태그|토큰|요소|블록|표시|마커)"
_PARTICLE = r"(?:은|는|을|를|의|로|으로|라는|란|까지|부터|처럼|이라는)(?![가-힣])|(?:와|과)(?=[ \t]*[<\[◁`'\"])"
_GOES_ON = re.compile(
    rf"{_NOUN}|{_PARTICLE}|[ \t]*[,;:.?!)\]}}](?=\s|$)|[ \t]*(?:[|=→–—](?=[ \t])|-[ \t]|\()(?<![^ \t]\()"
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
        self._fences = self._closed_fences() if self.marks and ("```" in text or "~~~" in text) else []

    def _closed_fences(self) -> list[int]:
        """Where fenced code begins and ends, in turn: positions in the text. A fence that never closes is none."""
        lines = _CLOSED_AND_ENDED.sub(r"\1", self.text).split("\n")
        whole = self.text.split("\n")
        starts = [0, *accumulate(len(line) + 1 for line in whole)]
        edges: list[int] = []
        for opening, closing in sorted((o, c) for o, c in fence_blocks(lines) if c is not None):
            if not edges or starts[opening] >= edges[-1]:
                edges += [starts[opening], starts[closing]]
        return edges

    def fenced(self, mark: Mark) -> bool:
        """Whether a mark stands in a fenced block of code."""
        return bisect_right(self._fences, mark.start) % 2 == 1

    def line_around(self, mark: Mark) -> tuple[str, str]:
        """What stands before and behind a mark on its line."""
        before = self.text[max(0, mark.start - _WINDOW) : mark.start].rpartition("\n")[2]
        return before, self.text[mark.end : mark.end + _WINDOW].partition("\n")[0]

    def _quoted(self, mark: Mark) -> bool:
        before, after = self.line_around(mark)
        if before.endswith("\\") or (before and after.startswith(_PAIRS.get(before[-1], "\n"))):
            return True
        if any(before.count(sign) % 2 and sign in after for sign in '`"'):
            return True
        return any(
            before.rfind(left) > before.rfind(right) and right in after for left, right in list(_PAIRS.items())[:4]
        )

    def spoken(self, mark: Mark) -> bool:
        """Whether a sentence runs into a mark or goes on behind it, so that it is only spoken of.

        Real ones are glued to what precedes them, begin a line, or follow a finished sentence.
        """
        before, after = self.line_around(mark)
        return _runs_in(before) or bool(_GOES_ON.match(after))

    def named(self, mark: Mark) -> bool:
        """Whether an opening mark at the beginning of a text is named there: "<think> tags are …"."""
        return bool(_NAMED.match(self.line_around(mark)[1]))

    def shown(self, mark: Mark) -> bool:
        """Whether a mark begins its line below a line that ends with a colon: an example follows."""
        before, _ = self.line_around(mark)
        return not before.strip() and self.text[max(0, mark.start - _WINDOW) : mark.start].rstrip().endswith(
            (":", "：")
        )

    def said_last(self, mark: Mark) -> bool:
        """Whether a mark that ends a text is the last word of its sentence: "The token is </s>"."""
        before, _ = self.line_around(mark)
        return bool(_BULLET.match(before) or _LEADS_TO.search(before))


def _runs_in(before: str) -> bool:
    if _BULLET.match(before):
        return True
    spoken = before.rstrip(" \t")
    if spoken == before:
        return spoken[-1:] in ("(", "[", "{")
    return bool(spoken) and (spoken[-1].isalpha() or spoken[-1] in ",:：=({[/|–—-→")
