"""Numbers as the page shows them; the same in both languages."""

from decimal import Decimal

from utils.outputs.report.texts import Words


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{share:.1%}"


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


def duration(seconds: float, words: Words) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return words("seconds", s=f"{seconds:.1f}")
    hours, minutes = divmod(minutes, 60)
    return words("hours", h=hours, m=minutes) if hours else words("minutes", m=minutes, s=rest)
