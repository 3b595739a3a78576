"""Where the marks of the charts stand. Widths are shares and heights are pixels, so that text never shrinks."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from utils.outputs.report.run_files import MeasuredMethod
from utils.text.measures.model import Distribution

HEIGHT, TOP, BOTTOM = 300, 18, 270  # of the failure chart; bottom is the line of 0 %
LEFT, RIGHT = 0.05, 0.97
HISTOGRAM_HEIGHT = 110
Place = tuple[float, float]  # share of the width, pixels from the top


class Dot(NamedTuple):
    """A candidate with the ends of its interval; `kind` is selected, whole or partial (not all rows were judged)."""

    method: MeasuredMethod
    kind: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FailureChart:
    """The failure rates of all candidates by step: `failure_chart.svg` draws it."""

    height: int
    grid: list[Place]  # a rate and its height
    steps: list[tuple[int, float]]
    dots: list[Dot]
    winners: list[tuple[Place, Place]]  # pieces of the line of the best method so far


def failure_chart(methods: Sequence[MeasuredMethod]) -> FailureChart:
    """The chart of at least one method."""
    steps: dict[int, list[MeasuredMethod]] = defaultdict(list)
    for method in methods:
        steps[method.step].append(method)
    column = (RIGHT - LEFT) / len(steps)
    centres = {step: LEFT + (position + 0.5) * column for position, step in enumerate(steps)}
    highest = max(0.2, ceil(max(method.interval[1] for method in methods) * 5) / 5)  # whole fifths
    full = max(method.rows for method in methods)
    dots = [dot for step, each in steps.items() for dot in _dots(each, centres[step], column, highest, full)]
    grid = [(fifth / 5, _height(fifth / 5, highest)) for fifth in range(round(highest * 5) + 1)]
    return FailureChart(HEIGHT, grid, list(centres.items()), dots, list(pairwise(_winners(centres, dots))))


def _height(rate: float, highest: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * rate / highest


def _dots(
    candidates: Sequence[MeasuredMethod], centre: float, column: float, highest: float, full: int
) -> Iterator[Dot]:
    """Candidates of a step side by side, in the order of their draws; `full` is how many rows a whole measure takes."""
    gap = min(column * 0.8 / len(candidates), 0.032)
    for place, method in enumerate(candidates):
        if method.failure_rate is not None:
            kind = "selected" if method.selected else "partial" if method.rows < full else "whole"
            x = centre + (place - (len(candidates) - 1) / 2) * gap
            y, low, high = (_height(rate, highest) for rate in (method.failure_rate, *method.interval))
            yield Dot(method, kind, x, y, low, high)


def _winners(centres: dict[int, float], dots: Sequence[Dot]) -> Iterator[Place]:
    """The best method of each step; where no candidate was better, the height of the one before."""
    selected = {dot.method.step: (dot.x, dot.y) for dot in dots if dot.method.selected}
    last = None
    for step, centre in centres.items():
        last = selected.get(step) or (last and (centre, last[1]))
        if last:
            yield last


class Bar(NamedTuple):
    """A bar of a histogram; `kind` is before or after."""

    kind: str
    x: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of rows per bin, of one set and of another beside it; `edges` are the borders that are named."""

    height: int
    bars: list[Bar]
    edges: list[Place]


def histogram_of(before: Distribution | None, after: Distribution | None) -> Histogram:
    """The histogram of at least one set; only bins that any of the two has."""
    sets = [(kind, each) for kind, each in (("before", before), ("after", after)) if each]
    filled = [bin_ for _, each in sets for bin_, count in enumerate(each.counts) if count]
    first, last = min(filled), max(filled) + 1
    highest = max(count / each.count for _, each in sets for count in each.counts)
    width = 1 / (last - first)
    part = 0.84 / len(sets)
    bars = []
    for kind, each in sets:
        left = 0.08 if kind == "before" else 0.92 - part  # the left part of a bin, or the right one
        for bin_ in range(first, last):
            if each.counts[bin_]:
                height = max(1.0, each.counts[bin_] / each.count / highest * (HISTOGRAM_HEIGHT - 6))
                bars.append(Bar(kind, (bin_ - first + left) * width, part * width, height))
    edges = sets[0][1].edges[first : last + 1]
    every = max(1, ceil((last - first) / 5))
    named = [(place * width, edges[place]) for place in range(0, len(edges), every)]
    return Histogram(HISTOGRAM_HEIGHT, bars, named)
