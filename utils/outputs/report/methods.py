"""The sections on learning: failure rates by step, and the methods with what changed from one to the next."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from utils.outputs.report.charts import FailureChart, interval_bar, method_name
from utils.outputs.report.formats import number, percent
from utils.outputs.report.markup import Child, Html, tag
from utils.outputs.report.parts import bar, reason_bars, section
from utils.outputs.report.run_files import MeasuredMethod, RunFiles
from utils.outputs.report.sampling import Survey
from utils.outputs.report.texts import Words
from utils.outputs.report.words import Piece, word_pieces

MARKS = {"=": "span", "+": "ins", "-": "del"}
COMPARED = 20_000  # characters of two methods that are compared


def learning(methods: Sequence[MeasuredMethod], words: Words) -> Html:
    """The chart of failure rates; of a run that learned nothing, a line that says so."""
    if not methods:
        return section("learning", words("learning"), tag("p", words("no_learning"), class_="quiet"))
    kinds = (("selected", "best"), ("whole", "candidate"), ("partial", "dropped"), ("range", "interval"))
    legend = (tag("li", tag("i", class_=kind), words(key)) for kind, key in kinds)
    return section(
        "learning",
        words("learning"),
        tag("p", words("learning_intro"), class_="quiet"),
        tag("div", FailureChart(methods, words).svg(), class_="figure"),
        tag("ul", *legend, class_="legend"),
    )


def methods(run: RunFiles, seen: Survey, words: Words) -> Html:
    """All measured methods, or those that the run was given."""
    if not run.methods:
        return section("methods", words("methods"), *_given(run, seen, words))
    by_id = {method.method_id: method for method in reversed(run.methods)}  # the first of several with one text
    steps = groupby(run.methods, lambda method: method.step)
    key = (tag("ins", words("added")), " ", tag("del", words("removed")))
    return section(
        "methods",
        words("methods"),
        tag("p", words("methods_intro"), " ", *key, class_="quiet"),
        *(_step(step, list(group), by_id, run, words) for step, group in steps),
        *_operations(seen, words, beyond=1),
    )


def _step(
    step: int, group: Sequence[MeasuredMethod], by_id: dict[str, MeasuredMethod], run: RunFiles, words: Words
) -> Html:
    title = words("step_n", n=step) if step else words("start")
    return tag("div", tag("h3", title), *(_method(method, by_id, run, words) for method in group), class_="step")


def _method(method: MeasuredMethod, by_id: dict[str, MeasuredMethod], run: RunFiles, words: Words) -> Html:
    in_use = method.method_id in run.used and by_id[method.method_id] is method
    marks = [words("selected")] * method.selected + [words("in_use")] * in_use
    low, high = map(percent, method.interval)
    rate = f"λ {percent(method.failure_rate)}" if method.failure_rate is not None else words("not_measured")
    head = tag(
        "summary",
        tag("span", method_name(method, words), tag("code", method.method_id), class_="name"),
        interval_bar(method),
        tag("span", rate, tag("small", f"{low} – {high}"), class_="rate"),
        tag("span", *(tag("b", mark, class_="mark") for mark in marks), class_="marks"),
    )
    body = tag("div", *_details(method, by_id, words), class_="body")
    kind = "method selected" if method.selected else "method"
    return tag("details", head, body, class_=kind, open=in_use)


def _details(method: MeasuredMethod, by_id: dict[str, MeasuredMethod], words: Words) -> Iterator[Child]:
    yield tag("p", " · ".join(_figures(method, words)), class_="quiet")
    if method.feedback:
        yield from (tag("h4", words("feedback")), tag("div", method.feedback, class_="text said"))
    first = by_id[method.method_id]
    if first is not method:
        yield tag("p", words("same_text", name=method_name(first, words)))
    else:
        yield from _text(method, by_id.get(method.parent_id or ""), words)
    if method.failures:
        yield from (tag("h4", words("failures")), reason_bars(method.failures, method.judged, words))


def _figures(method: MeasuredMethod, words: Words) -> Iterator[str]:
    yield words("of_judged", failed=number(method.failed), judged=number(method.judged))
    if method.unscored:
        yield words("unscored_n", count=number(method.unscored))
    if method.complexity_score is not None:
        yield words("complexity_score", score=number(method.complexity_score))


def _text(method: MeasuredMethod, parent: MeasuredMethod | None, words: Words) -> Iterator[Html]:
    if parent is None:
        yield tag("h4", words("whole_text"))
        yield tag("div", method.text, class_="text")
        return
    yield tag("h4", words("from_parent", parent=method_name(parent, words)))
    yield tag("div", _marked(parent.text, method.text), class_="text")


def _marked(old: str, new: str) -> Iterable[Html]:
    """`new` with what was added to `old` and removed from it; very long texts as they are."""
    compared = max(len(old), len(new)) <= COMPARED
    pieces = word_pieces(old, new) if compared else [Piece("=", new)]
    return (tag(MARKS[kind], text) for kind, text in pieces)


def _given(run: RunFiles, seen: Survey, words: Words) -> Iterator[Html]:
    """The method of a run that learned none: the one of its file, or the six operations."""
    if run.best_method:
        yield tag("h3", words("given_method"))
        yield tag("div", run.best_method.strip(), class_="text")
    yield from _operations(seen, words)


def _operations(seen: Survey, words: Words, beyond: int = 0) -> Iterator[Html]:
    """How many rows of the result each method made, where there are more than `beyond` methods."""
    if len(seen.by_method) <= beyond:
        return
    most = seen.by_method.most_common()
    bars = (_operation(method_id, count, most[0][1], words) for method_id, count in most)
    yield from (tag("h3", words("rewrites_in_result")), tag("div", *bars, class_="bars"))


def _operation(method_id: str, count: int, longest: int, words: Words) -> Html:
    known = words.method(method_id)
    name = tag("span", known, tag("code", method_id) if known != method_id else None, class_="name")
    return tag("div", name, bar(count / longest), tag("span", number(count), class_="count"))
