"""HTML and SVG as nested calls: text is escaped unless it was made here, so that forgetting to escape cannot happen."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"meta", "input", "br", "rect", "line", "circle"})

# What could end a script element, or a line of script, from inside a JSON text.
_IN_SCRIPT = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


class Html(str):
    """Markup; any other str is text that is still to be escaped."""

    __slots__ = ()


Child = str | Iterable["Child"] | None


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element. `class_` gives `class`, `data_x` gives `data-x`; attributes that are None or False are left out."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in VOID and not children:
        return Html(f"<{name}{given}>" if name in ("meta", "input", "br") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other: markup as it is, text escaped, None left out, iterables flattened."""
    return Html("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None or isinstance(child, Html):
        return child or ""
    return escape(child) if isinstance(child, str) else join(child)


def _attribute(key: str, value: str | int | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def script_data(value: Any) -> Html:
    """A value as JSON for the inside of a script element, where no text of it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Html(text.translate(_IN_SCRIPT))
