"""JSON objects in a reply: fenced or not, with text around, cut off, slightly broken."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_BRACE = re.compile(r'[{}]|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_REPAIRABLE = re.compile(
    r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
    r"|'(?P<single>(?:[^'\\]++|\\.|'(?!\s*+[,:}\]]))*+)(?:'|\\?\Z)"
    r"|(?P<comma>,)(?=\s*+[}\]])|\b(?P<name>None|True|False)\b",
    re.DOTALL,
)
_NAMES = {"None": "null", "True": "true", "False": "false"}
_JSON_FENCE = re.compile(r"^[ \t]*+(?:```|~~~)[ \t]*+json[ \t]*+$", re.I | re.M)


class Found(NamedTuple):
    """An object in a text, and where it stands there."""

    value: dict[str, Any]
    start: int
    end: int


def json_objects(reply: str) -> list[dict[str, Any]]:
    """Return the outermost JSON objects of a reply, in order: fenced or not, whatever stands around or between them.

    An object that cannot be read, or is cut off, is replaced by those inside it. The last `json` fence, if there are
    objects behind it, hides what stands before it.
    """
    fences = list(_JSON_FENCE.finditer(reply))
    fenced = [found.value for found in objects_in(reply[fences[-1].end() :])] if fences else []
    return fenced or [found.value for found in objects_in(reply)]


def objects_in(text: str, depth: int = 2, at: int = 0) -> Iterator[Found]:
    """Yield the outermost JSON objects of a text, without regard to fences; `at` is added to where they stand.

    Objects inside one that cannot be read are looked for down to `depth` levels.
    """
    for start, end in _object_spans(text):
        value = _parse(text[start:end])
        if isinstance(value, dict):
            yield Found(value, at + start, at + end)
        elif depth:
            yield from objects_in(text[start + 1 : end - 1], depth - 1, at + start + 1)


def outside(text: str, found: Iterable[Found]) -> str:
    """Return what is left of a text without the objects found in it."""
    pieces, position = [], 0
    for _, start, end in found:
        pieces.append(text[position:start])
        position = end
    return "\n".join((*pieces, text[position:]))


def _object_spans(text: str) -> list[tuple[int, int]]:
    """Find the spans of balanced {…} that stand in no other balanced one; braces in strings do not count."""
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
    """Parse JSON, if need be after repairing single quotes, trailing commas and Python's names; None if it is none."""
    for repair in (False, True):
        try:
            repaired = _REPAIRABLE.sub(_repaired, text) if repair else text
            return json.loads(repaired, strict=False, object_pairs_hook=_unambiguous)
        except (ValueError, RecursionError):
            continue
    return None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object. Raises ValueError where a name has two different values, as only the last would be seen."""
    read: dict[str, Any] = {}
    for name, value in pairs:
        if read.setdefault(name, value) != value:
            raise ValueError(f"two values of {name}")
    return read


def _repaired(found: re.Match[str]) -> str:
    if found["single"] is not None:
        return json.dumps(found["single"].replace("\\'", "'"))
    if found["comma"]:
        return ""
    return _NAMES.get(found["name"] or "", found[0])
