"""Hand-made SVG: places along the width are percentages and sizes are pixels, so that text never shrinks."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

from utils.outputs.report.formats import number, percent
from utils.outputs.report.markup import Html, join, tag
from utils.outputs.report.run_files import MeasuredMethod
from utils.outputs.report.texts import Words
from utils.text.measures.model import Distribution

HEIGHT, TOP, BOTTOM = 300, 18, 270  # of the failure chart; bottom is the line of 0 %
LEFT, RIGHT = 5.0, 97.0
HISTOGRAM_HEIGHT = 110
Dot = tuple[float, float]  # percent of the width, pixels from the top


class FailureChart:
    """Failure rates with intervals of all candidates by step, and the line of the best method so far."""

    def __init__(self, methods: Sequence[MeasuredMethod], words: Words) -> None:
        self._words = words
        self._steps: dict[int, list[MeasuredMethod]] = defaultdict(list)
        for method in methods:
            self._steps[method.step].append(method)
        self._column = (RIGHT - LEFT) / len(self._steps)
        highest = max(method.interval[1] for method in methods)
        self._highest = max(0.2, ceil(highest * 5) / 5)  # whole fifths
        self._full = max(method.rows for method in methods)

    def svg(self) -> Html:
        words = self._words
        return tag(
            "svg",
            tag("title", words("chart_title")),
            *(self._grid(fifth / 5) for fifth in range(round(self._highest * 5) + 1)),
            *self._step_names(),
            *self._winners_line(),
            *(self._candidate(method, dot) for method, dot in self._dots()),
            *self._winners_rates(),
            class_="chart failure",
            width="100%",
            height=HEIGHT,
            role="img",
        )

    def _y(self, rate: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * rate / self._highest

    def _grid(self, rate: float) -> Html:
        y = f"{self._y(rate):.1f}"
        line = tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")
        return join((line, tag("text", f"{rate:.0%}", x="0", y=f"{self._y(rate) - 4:.1f}", class_="tick")))

    def _step_names(self) -> Iterator[Html]:
        for position, step in enumerate(self._steps):
            name = self._words("step_n", n=step) if step else self._words("start")
            yield tag("text", name, x=_at(self._centre(position)), y=HEIGHT - 8, class_="tick", text_anchor="middle")

    def _centre(self, position: int) -> float:
        return LEFT + (position + 0.5) * self._column

    def _dots(self) -> Iterator[tuple[MeasuredMethod, Dot]]:
        """Candidates of a step side by side, in the order of their draws."""
        for position, methods in enumerate(self._steps.values()):
            gap = min(self._column * 0.8 / len(methods), 3.2)
            for place, method in enumerate(methods):
                x = self._centre(position) + (place - (len(methods) - 1) / 2) * gap
                if method.failure_rate is not None:
                    yield method, (x, self._y(method.failure_rate))

    def _candidate(self, method: MeasuredMethod, dot: Dot) -> Html:
        x, y = _at(dot[0]), f"{dot[1]:.1f}"
        low, high = (f"{self._y(bound):.1f}" for bound in method.interval)
        kind = "selected" if method.selected else "partial" if method.rows < self._full else "whole"
        return tag(
            "g",
            tag("title", self._described(method)),
            tag("line", x1=x, x2=x, y1=low, y2=high),
            tag("circle", cx=x, cy=y, r=5 if method.selected else 4),
            class_=f"candidate {kind}",
        )

    def _described(self, method: MeasuredMethod) -> str:
        low, high = map(percent, method.interval)
        return self._words(
            "candidate_title",
            name=method_name(method, self._words),
            rate=percent(method.failure_rate),
            low=low,
            high=high,
            failed=method.failed,
            judged=method.judged,
        )

    def _winners_line(self) -> Iterator[Html]:
        """From the best method of each step to that of the next; level where no candidate was better."""
        winners = {method.step: dot for method, dot in self._dots() if method.selected}
        path: list[Dot] = []
        for position, step in enumerate(self._steps):
            if step in winners or path:
                path.append(winners.get(step) or (self._centre(position), path[-1][1]))
        for (x1, y1), (x2, y2) in pairwise(path):
            yield tag("line", x1=_at(x1), y1=f"{y1:.1f}", x2=_at(x2), y2=f"{y2:.1f}", class_="winner")

    def _winners_rates(self) -> Iterator[Html]:
        for method, (x, y) in self._dots():
            if method.selected:
                yield tag("text", f"{method.failure_rate:.0%}", x=_at(x), y=f"{y - 7:.1f}", dx="7", class_="value")


def method_name(method: MeasuredMethod, words: Words) -> str:
    """What a candidate is called in the page."""
    if method.step == 0:
        return words("initial_method")
    return words("method_name", step=method.step, draw=method.draw)


def interval_bar(method: MeasuredMethod) -> Html:
    """A failure rate and its interval on a line from 0 to 100 %."""
    low, high = method.interval
    rate = method.failure_rate
    return tag(
        "svg",
        tag("line", x1="0", x2="100%", y1="8", y2="8", class_="grid"),
        tag("line", x1=_at(low * 100), x2=_at(high * 100), y1="8", y2="8", class_="range"),
        None if rate is None else tag("circle", cx=_at(rate * 100), cy="8", r="4"),
        class_="interval",
        height=16,
        aria_hidden="true",
    )


def histogram(before: Distribution | None, after: Distribution | None, title: str, words: Words) -> Html:
    """Shares of rows per bin, of one set and of another beside it; only bins that any of the two has."""
    sets = [(kind, each) for kind, each in (("before", before), ("after", after)) if each]
    edges = sets[0][1].edges
    filled = [bin_ for _, each in sets for bin_, count in enumerate(each.counts) if count]
    first, last = min(filled), max(filled) + 1
    bins = last - first
    highest = max(count / each.count for _, each in sets for count in each.counts)
    bars = [
        _bar(kind, (bin_ - first) / bins, 1 / bins, 0.84 / len(sets), each.counts[bin_] / each.count / highest)
        for kind, each in sets
        for bin_ in range(first, last)
        if each.counts[bin_]
    ]
    base = tag("line", x1="0", x2="100%", y1=HISTOGRAM_HEIGHT, y2=HISTOGRAM_HEIGHT, class_="grid")
    marks = _edge_names(edges[first : last + 1])
    summary = words("median", median=" → ".join(number(each.median) for _, each in sets))
    return tag(
        "figure",
        tag("figcaption", title, tag("small", summary)),
        tag(
            "svg", *bars, base, *marks, class_="chart histogram", width="100%", height=HISTOGRAM_HEIGHT + 20,
            role="img", aria_label=f"{title}. {summary}",
        ),
    )  # fmt: skip


def _bar(kind: str, start: float, width: float, part: float, share: float) -> Html:
    """A bar that fills a part of its bin: the left one for the first set, the right one for the second."""
    height = max(1.0, share * (HISTOGRAM_HEIGHT - 6))
    left = start + width * (0.08 if kind == "before" else 0.92 - part)
    return tag(
        "rect", x=_at(100 * left), width=_at(100 * width * part), y=f"{HISTOGRAM_HEIGHT - height:.1f}",
        height=f"{height:.1f}", class_=kind,
    )  # fmt: skip


def _edge_names(edges: Sequence[float]) -> Iterator[Html]:
    every = max(1, ceil((len(edges) - 1) / 5))
    for place in range(0, len(edges), every):
        share = place / (len(edges) - 1)
        anchor = "start" if place == 0 else "end" if share == 1 else "middle"
        yield tag(
            "text", number(edges[place]), x=_at(100 * share), y=HISTOGRAM_HEIGHT + 15, class_="tick", text_anchor=anchor
        )


def _at(share: float) -> str:
    return f"{share:.2f}%"
