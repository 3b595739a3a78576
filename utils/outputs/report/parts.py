"""Parts that several sections are made of."""

from collections.abc import Mapping

from utils.outputs.report.formats import number, percent
from utils.outputs.report.markup import Child, Html, tag
from utils.outputs.report.texts import Words


def section(name: str, title: str, *children: Child) -> Html:
    """A part of the page that the table of contents leads to."""
    return tag("section", tag("h2", title), *children, id=name)


def scrolled(table: Html) -> Html:
    """A table that is moved sideways, by keys as well, where the window is too narrow for it."""
    return tag("div", table, class_="scroll", tabindex="0")


def stacked(counts: Mapping[str, int], words: Words) -> Html:
    """One bar of all rows, split by outcome."""
    total = sum(counts.values())
    parts = (
        tag("span", class_=name, style=f"width:{count / total:.3%}", title=f"{words(name)}: {number(count)}")
        for name, count in counts.items()
        if count
    )
    told = ", ".join(f"{words(name)} {number(count)}" for name, count in counts.items())
    return tag("div", *parts, class_="stacked", role="img", aria_label=told)


def reason_bars(counts: Mapping[str, int], total: int, words: Words, leads_to_rows: bool = False) -> Html:
    """Rows by reason, most frequent first, each as a bar; `total` is what shares are taken of."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    longest = max(counts.values())
    bars = (_reason_bar(code, count, longest, total, words, leads_to_rows) for code, count in ordered)
    return tag("div", *bars, class_="bars")


def _reason_bar(code: str, count: int, longest: int, total: int, words: Words, leads_to_rows: bool) -> Html:
    known = words.reason(code)
    label = (known, tag("code", code) if known != code else None)
    if leads_to_rows:
        name = tag("button", *label, type="button", class_="name", data_reason=code, title=words.why(code))
    else:
        name = tag("span", *label, class_="name", title=words.why(code))
    told = f"{number(count)} · {percent(count / total)}"
    return tag("div", name, bar(count / longest), tag("span", told, class_="count"))


def bar(share: float) -> Html:
    """A bar as long as `share` (0 to 1) of its place."""
    return tag("span", tag("span", style=f"width:{share:.2%}"), class_="bar", aria_hidden="true")
