"""The section in which trajectories are searched, filtered and read; the page's script fills it."""

from collections import Counter
from collections.abc import Sequence

from utils.outputs.report.formats import number
from utils.outputs.report.markup import Html, tag
from utils.outputs.report.parts import section
from utils.outputs.report.rows import OUTCOMES
from utils.outputs.report.sampling import Survey
from utils.outputs.report.texts import Words


def trajectories(seen: Survey, words: Words) -> Html:
    """The frame that the page's script fills with rows."""
    shown = len(seen.sample)
    sampled = shown < seen.total
    told = words("sampled" if sampled else "whole", shown=number(shown), total=number(seen.total))
    is_cut = any(text.missing for row in seen.sample for text in row.texts())
    cut_at = words("cut_at", limit=number(seen.limit)) if is_cut else None
    return section(
        "trajectories",
        words("trajectories"),
        tag("p", told, " ", cut_at, class_="notice" if sampled else "quiet"),
        tag("noscript", tag("p", words("needs_script"), class_="notice")),
        _filters(seen, words),
        tag("p", class_="quiet", id="found", role="status", aria_live="polite"),
        tag("div", id="rows"),
        tag("button", type="button", id="more", class_="plain", hidden=True),
    )


def _filters(seen: Survey, words: Words) -> Html:
    """A search field, and a choice of every kind of outcome, reason, label and generation that the sample holds."""
    rows = seen.sample
    reasons = Counter(row.reason for row in rows if row.reason)
    labels = Counter(label for row in rows for label in row.labels)
    generations = sorted(Counter(row.generation for row in rows).items())
    outcomes = Counter(row.outcome for row in rows)
    search = tag("input", type="search", id="search", placeholder=words("search_hint"), autocomplete="off")
    choices = (
        _choice("outcome", [(name, words(name), outcomes[name]) for name in OUTCOMES if outcomes[name]], words),
        _choice("reason", [(code, words.reason(code), n) for code, n in reasons.most_common()], words),
        _choice("label", [(name, words.label(name), n) for name, n in labels.most_common()], words),
        _choice("generation", [(str(g), words("generation_n", n=g), n) for g, n in generations], words),
        tag("button", words("reset"), type="reset", class_="plain"),
    )
    field = tag("label", words("search"), search)
    return tag("form", field, tag("div", *choices, class_="choices"), class_="filters screen", id="filters")


def _choice(name: str, options: Sequence[tuple[str, str, int]], words: Words) -> Html | None:
    """A choice among `options` (value, name, rows); none where there is nothing to choose."""
    if not options or (name in ("generation", "outcome") and len(options) < 2):
        return None
    all_ = tag("option", words("any"), value="")
    shown = (tag("option", f"{label} ({number(count)})", value=value) for value, label, count in options)
    return tag("label", words(name), tag("select", all_, *shown, id=name))
