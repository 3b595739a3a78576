"""The evolved instruction in a reply of the paper's format."""

import re

from utils.llm.replies.headings import (
    _FINAL_TITLE,
    _KO_NOUN,
    HEADING_LIMIT,
    JOINT,
    Heading,
    heading_in,
    normalized,
    own_headings,
)
from utils.llm.replies.text import (
    PLACEHOLDER,
    RULE,
    fence_in,
    fenced_lines,
    peel_blockquote,
    peel_bold,
    peel_fence,
    peel_quotes,
)
from utils.llm.replies.thoughts import split_thoughts

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


def read_rewrite(reply: str, instruction: str) -> str | None:
    """Read the evolved instruction in a reply to `instruction`; None where the reply breaks the format.

    The result stands after the last heading "#Finally Rewritten Instruction#" (Auto Evol-Instruct, arXiv 2406.00770)
    that the model wrote itself, and ends where a new heading or a remark on the rewrite begins. Where that is empty,
    an earlier final heading counts; a reply that stops before the final heading does not.
    """
    lines = split_thoughts(reply)[0].split("\n")
    for body in reversed(_results(lines, own_headings(lines, instruction), instruction)):
        if result := _polished(body, instruction):
            return None if PLACEHOLDER.fullmatch(result) else result
    return None


def _results(lines: list[str], headings: list[Heading], instruction: str) -> list[list[str]]:
    """Collect the lines under each final heading; a bare "Rewritten Instruction" after an empty one replaces it."""
    results = []
    awaited = False
    ends = [following.line for following in headings[1:]] + [len(lines)]
    for heading, end in zip(headings, ends, strict=False):
        body = [heading.rest, *lines[heading.line + 1 : end]]
        stands_in = awaited and heading.kind == "rewritten" and heading.step is None
        if heading.kind == "final" or stands_in:
            results.append(_until_next_step(body, heading.step, instruction))
        empty = not any(line.strip() and not RULE.match(line) for line in body)
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
    """Return the result itself: without remarks after it, and without quotes, fences or bold around it."""
    doubled = heading_in(0, body[0])
    if doubled and doubled.kind == "final" and not _FINAL_TITLE.search(instruction):
        body = [doubled.rest, *body[1:]]
    body = _without_joint(body, instruction)
    begin = next((n for n, line in enumerate(body) if line.strip()), 0)
    if RULE.match(body[begin]) and not "".join(body[begin + 1 : begin + 2]).strip():
        body = body[begin + 1 :]  # a rule set off from the text; front matter begins right under it
    lines = _without_remarks(body, instruction)
    text = "\n".join(lines).strip()
    first, _, remainder = text.partition("\n")
    if remainder.strip() and _LEAD_IN.match(first[:HEADING_LIMIT]) and first not in instruction:
        text = remainder.strip()
    for _ in range(3):  # a fence around quotes around bold: nobody wraps deeper
        for peel in (peel_fence, peel_blockquote, peel_quotes, peel_bold):
            if peel(instruction.strip()) == instruction.strip():
                text = peel(text).strip()
    return text


def _without_joint(body: list[str], instruction: str) -> list[str]:
    """Drop the dash, colon or arrow between the heading and its text: on the heading's line, or alone on the next.

    A list keeps the bullet of its first item, front matter its rule, and a text the sign with which its seed begins.
    """
    first = next((n for n, line in enumerate(body) if line.strip()), 0)
    joint = JOINT.match(body[first])
    if joint is None or (first and RULE.match(body[first])):
        return body
    rest = body[first][joint.end() :]
    following = next((line.lstrip() for line in body[first + 1 :] if line.strip()), "")
    sign = joint[0].strip()
    listed = rest and following.startswith((sign + " ", sign + "\t"))
    if listed or (first and rest) or instruction.lstrip().startswith(sign):
        return body
    opened = joint["bold"] if joint["closed"] is None else ""  # bold that runs on over the text
    return [*body[:first], opened + rest, *body[first + 1 :]]


def _without_remarks(body: list[str], instruction: str) -> list[str]:
    """Cut at the first paragraph that is a remark on the rewrite; the instruction's own notes are none."""
    own = {_remark(line) for line in instruction.split("\n")}
    fenced = fenced_lines(body)
    begun = False
    end = len(body)
    for number, line in enumerate(body):
        fresh = number and (not body[number - 1].strip() or RULE.match(body[number - 1]) or fence_in(body[number - 1]))
        if begun and fresh and not fenced[number] and (remark := _remark(line)) and remark not in own:
            end = number
            break
        begun = begun or bool(line.strip() and not RULE.match(line))
    while end and (not body[end - 1].strip() or RULE.match(body[end - 1])):
        end -= 1
    return body[:end]


def _remark(line: str) -> str | None:
    """Return what marks a line as the beginning of a remark on the rewrite: its label, or all of it; else None."""
    head = line[:HEADING_LIMIT]
    if label := _LABEL.match(head):
        marks, name = label["marks"], label["label"].casefold()
        titled = label["colon"] == "" and ("#" in marks or "**" in marks)
        if label["colon"] or titled or (name in ("note", "참고") and marks.endswith(("(", "（"))):
            return name
    return normalized(line) if _SAID.match(head) else None
