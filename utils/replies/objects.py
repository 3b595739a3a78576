"""JSON objects in a reply: fenced or not, with text around, cut off, slightly broken."""

import json
import re
from collections.abc import Iterator
from typing import Any

_BRACE = re.compile(r'[{}]|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_REPAIRABLE = re.compile(
    r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
    r"|'(?P<single>(?:[^'\\]++|\\.|'(?!\s*+[,:}\]]))*+)(?:'|\\?\Z)"
    r"|(?P<comma>,)(?=\s*+[}\]])|\b(?P<name>None|True|False)\b",
    re.DOTALL,
)
_NAMES = {"None": "null", "True": "true", "False": "false"}
_JSON_FENCE = re.compile(r"^[ \t]*+(?:```|~~~)[ \t]*+json[ \t]*+$", re.I | re.M)


def json_objects(reply: str) -> list[dict[str, Any]]:
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
