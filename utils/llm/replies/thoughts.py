"""Thoughts that a model writes into its answer, and what it goes on to invent behind the end of its turn.

A false cut destroys an answer, a missed one leaves a blemish. So where a mark stands decides, not that it stands:
    thoughts    open the text, or are all that precedes a closing mark that nothing has opened; further blocks
                of the same form count if the text began with one
    the answer  ends at a mark that ends the turn or begins another, unless the text itself has shown a turn's beginning
No mark counts in quotation marks, in code, or within a sentence (`Page.spoken`).
"""

import re
from dataclasses import dataclass

from utils.llm.replies.forms import Form
from utils.llm.replies.marks import Mark, Page
from utils.llm.replies.text import peel_blockquote

_DEEPEST = 8  # rounds: what one cut lays bare is read again; real replies need two or three
_WRAPPED = re.compile(r"\s*+<(answer|response|output)>(?P<answer>.*)</\1>\s*+\Z", re.I | re.S)
_OWN_TURN = re.compile(r"assistant|model|chatbot", re.I)


def split_thoughts(content: str) -> tuple[str, str | None]:
    """Split a reply into the answer, without stray tokens and invented turns, and the thoughts (None without any).

    A text without marks comes back as it is; where the thoughts never end, the answer is "".
    """
    text, thoughts = content, []
    for _ in range(_DEEPEST):
        answer, found = _split_once(text)
        thoughts += found
        if answer == text:
            break
        text = answer
    told = [peel_blockquote(thought.strip()) for thought in thoughts if thought.strip()]
    return text, "\n\n".join(told) or None


@dataclass(frozen=True, slots=True)
class _Block:
    """A piece of a text that is no answer: text[start:end] are thoughts, the text goes on at `resume`."""

    start: int
    end: int
    resume: int


def _split_once(text: str) -> tuple[str, list[str]]:
    page = Page(text)
    if not page.marks:
        return text, []
    thoughts: list[str] = []
    forms: set[Form | None] = set()
    position = number = 0
    while block := _first_block(page, number, position) or _unopened_block(page, number, position):
        thoughts.append(text[block.start : block.end])
        position = block.resume
        while number < len(page.marks) and page.marks[number].start < position:
            forms.add(page.marks[number].form)
            number += 1
    pieces, found = _answer(page, number, position, forms)
    answer = "".join(pieces)
    if position:
        answer = answer.lstrip()
    if found or any(thought.strip() for thought in thoughts):
        wrapped = _WRAPPED.match(answer)
        answer = wrapped["answer"].strip() if wrapped else answer
    return answer, thoughts + found


def _first_block(page: Page, number: int, position: int) -> _Block | None:
    """Return the block that opens the text at `position`, where mark `number` is the next; None where none does.

    A stray mark, or the header of the model's turn, is a block without thoughts.
    """
    if number == len(page.marks):
        return None
    mark = page.marks[number]
    if page.text[position : mark.start].strip():
        return None
    if mark.kind == "open":
        return _opened_block(page, number)
    stray = mark.kind == "answer" or bool(mark.kind == "close" and mark.form and mark.form.lone)
    stray = stray or bool(mark.kind == "end" and _behind(page, number).strip())
    own = mark.kind == "turn" and _OWN_TURN.search(page.text, mark.start, mark.end)
    return _Block(mark.start, mark.start, mark.end) if (stray or own) and not page.goes_on(mark) else None


def _opened_block(page: Page, number: int) -> _Block | None:
    """Return the block that a mark opens, up to the mark that closes it or to the end of the text.

    None where the text only names the mark, or where nothing closes a form that is not `endless`.
    """
    mark = page.marks[number]
    closing = _closing(page, number)
    if page.named(mark) and (closing is None or page.spoken(closing)):
        return None
    if closing:
        resume = closing.start if closing.kind in ("open", "answer", "turn") else closing.end
        return _Block(mark.end, closing.start, resume)
    return _Block(mark.end, len(page.text), len(page.text)) if mark.form and mark.form.endless else None


def _closing(page: Page, number: int) -> Mark | None:
    """Find the mark that closes what mark `number` opens: one in code only where there is no other."""
    for fenced in (False, True) if page.fences else (False,):
        search = (page.marks[number].form, fenced)
        if search not in page.in_vain:
            if closing := _closing_of(page, number, fenced):
                return closing
            page.in_vain.add(search)
    return None


def _closing_of(page: Page, number: int, fenced: bool) -> Mark | None:
    """Find the mark that closes what mark `number` opens; of blocks that are nested wrongly, the last one that fits."""
    form, depth, last = page.marks[number].form, 1, None
    assert form
    for index in range(number + 1, len(page.marks)):
        mark = page.marks[index]
        if page.fenced(mark) and not fenced:
            continue
        if not form.tag and (mark.form is form or mark.kind in ("end", "turn")):
            return mark
        if mark.form is form and mark.kind == "open":
            depth += not page.spoken(mark)
        elif mark.form is form:
            depth, last = depth - 1, mark
            if depth == 0:
                break
    return last


def _unopened_block(page: Page, number: int, position: int) -> _Block | None:
    """Return the block of all that precedes a closing mark, or the mark of an answer, that nothing opens; else None."""
    opened: set[Form | None] = set()
    ended: Mark | None = None
    for index in range(number, len(page.marks)):
        mark = page.marks[index]
        if page.fenced(mark) or page.spoken(mark):
            continue
        if mark.kind == "open":
            opened.add(mark.form)
        elif mark.form and mark.form.lone and mark.form not in opened:
            return _Block(position, (ended or mark).start, mark.end)
        elif mark.kind in ("end", "turn", "answer"):
            if not _leads_to_answer(page, index):
                return None
            ended = mark
    return None


def _leads_to_answer(page: Page, number: int) -> bool:
    """Tell whether the mark of an answer follows at once, as in harmony, where a turn's end closes thoughts."""
    following = page.marks[number + 1 : number + 2]
    return bool(following) and following[0].kind == "answer" and not _behind(page, number).strip()


def _behind(page: Page, number: int) -> str:
    """Return what stands between a mark and the next one, or the end of the text."""
    following = page.marks[number + 1 : number + 2]
    return page.text[page.marks[number].end : following[0].start if following else len(page.text)]


def _answer(page: Page, number: int, position: int, forms: set[Form | None]) -> tuple[list[str], list[str]]:
    """Return the pieces of the answer from `position` on, up to where the turn ends, and the thoughts between them."""
    pieces: list[str] = []
    found: list[str] = []
    showing = False  # the text itself has shown how a turn begins: what ends it is shown, too
    while number < len(page.marks):
        mark, block = page.marks[number], None
        number += 1
        if mark.start < position or page.fenced(mark):
            continue
        if mark.kind == "open" and mark.form in forms and not page.spoken(mark) and not page.shown(mark):
            block = _opened_block(page, number - 1)
        if block:
            pieces.append(page.text[position : mark.start])
            found.append(page.text[block.start : block.end])
            position = block.resume
        elif mark.kind == "turn":
            showing = showing or page.spoken(mark) or page.shown(mark) or not page.text[position : mark.start].strip()
        if mark.kind in ("end", "turn", "answer") and not showing and _ends(page, number - 1):
            return [*pieces, page.text[position : mark.start].rstrip()], found
    return [*pieces, page.text[position:]], found


def _ends(page: Page, number: int) -> bool:
    """Tell whether the answer ends at this mark: no sentence goes on over it or, where no text follows, ends in it."""
    mark, following = page.marks[number], page.marks[number + 1 : number + 2]
    if page.shown(mark) or (page.text.startswith("</s>", mark.start) and _strikes(page.text, mark.start)):
        return False
    final = not _behind(page, number).strip() and (not following or following[0].kind in ("end", "turn"))
    return not page.said_last(mark) if final else not page.spoken(mark)


def _strikes(text: str, position: int) -> bool:
    """Tell whether HTML's <s> is open at a position: then </s> closes it, and is no token."""
    line = text[max(0, position - 400) : position]
    return line.rfind("<s>") > line.rfind("</s>")
