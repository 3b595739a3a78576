"""Numbers and values as the page shows them, the same in both languages: filters of the templates."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from utils.outputs.report.texts import Texts


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{share:.{digits}%}"


def number(value: float | None) -> str:
    """Thousands separated; decimals only for numbers that are small."""
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def money(cost: Decimal) -> str:
    """An amount in the currency of the prices given; digits enough that a small one is not 0."""
    return f"{cost:,.2f}" if cost >= 100 else f"{cost:.4f}"


def duration(seconds: float, texts: Texts) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return texts("seconds", s=f"{seconds:.1f}")
    hours, minutes = divmod(minutes, 60)
    return texts("hours", h=hours, m=minutes) if hours else texts("minutes", m=minutes, s=rest)


def along(share: float) -> str:
    """A place along a width, or a part of it, for CSS and SVG."""
    return f"{share:.2%}"


def px(pixels: float) -> str:
    """A place on the way down, for SVG."""
    return f"{pixels:.1f}"


def setting(value: Any) -> str:
    """The value of a flag as it is read."""
    if isinstance(value, dict):
        return " ".join(f"{key}={part}" for key, part in value.items() if part is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def most_common(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Names with their counts, most frequent first, in the order of the alphabet where that is equal."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


FILTERS = {made.__name__: made for made in (percent, number, money, duration, along, px, setting, most_common)}
