"""Means with bootstrap intervals, and the lines of a table that show them."""

from collections.abc import Mapping

import numpy as np

RESAMPLES = 10_000


def interval(losses: np.ndarray, tokens: np.ndarray) -> tuple[float, float, float]:
    """Return the mean per token and its 95 % bootstrap interval, rows and training runs drawn anew each time.

    `losses` are nats per training run and row, or differences of such; `tokens` the answer tokens of each row.
    """
    drawn, (runs, rows) = np.random.default_rng(0), losses.shape
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        some = drawn.integers(rows, size=rows)
        of_runs = losses[drawn.integers(runs, size=runs)].mean(axis=0)
        means[number] = of_runs[some].sum() / tokens[some].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return float(losses.mean(axis=0).sum() / tokens.sum()), float(low), float(high)


def told(figures: tuple[float, float, float], sign: str = "") -> str:
    """Return a figure with its interval as text."""
    mean, low, high = figures
    return f"{mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def table(measured: Mapping[str, np.ndarray], tokens: np.ndarray, first: str) -> list[str]:
    """Return a line for each model: its mean per token, and its difference, row by row, to what is named `first`."""
    width = max(map(len, measured))
    lines = []
    for name, values in measured.items():
        line = f"  {name:{width}}  {told(interval(values, tokens))}"
        if name != first:
            line += f"   against {first}: {told(interval(values - measured[first], tokens), '+')}"
        lines.append(line)
    return lines
