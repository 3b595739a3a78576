"""The page's first section: what went into the run, what came out, and why rows were lost."""

from collections import Counter
from collections.abc import Iterable

from utils.outputs.report.formats import duration, money, number, percent
from utils.outputs.report.markup import Html, tag
from utils.outputs.report.parts import reason_bars, section, stacked
from utils.outputs.report.rows import OUTCOMES
from utils.outputs.report.run_files import RunFiles
from utils.outputs.report.sampling import Survey
from utils.outputs.report.texts import Words
from utils.rows.summary import Summary


def glance(run: RunFiles, seen: Survey, words: Words) -> Html:
    """What went in and what became of it."""
    summary = run.summary
    adds_up = summary.adds_up and summary.rows_in == seen.total
    return section(
        "glance",
        words("glance"),
        tag("dl", *_rows_tiles(summary, seen, words), *_run_tiles(run, words), class_="tiles"),
        None if adds_up else tag("p", words("does_not_add_up"), class_="notice"),
        _outcome_bar(summary, words),
        *_generations(seen, words),
        *_reasons(summary, words),
    )


def _rows_tiles(summary: Summary, seen: Survey, words: Words) -> Iterable[Html]:
    several = words("rows_of_seeds", rows=number(summary.rows_in)) if summary.rows_in != seen.seeds else None
    yield _tile(words("seeds_in"), number(seen.seeds), several or (words("no_loss") if summary.adds_up else None))
    share = words("retention", share=percent(summary.retention))
    yield _tile(words("evolved"), number(summary.evolved), share, strong=True)
    yield _tile(words("eliminated"), number(sum(summary.eliminated.values())))
    yield _tile(words("set_aside"), number(sum(summary.set_aside.values())), words("set_aside_note"))
    yield _tile(words("unavailable"), number(summary.unavailable), words("unavailable_note"))


def _run_tiles(run: RunFiles, words: Words) -> Iterable[Html]:
    summary = run.summary
    winners = [method for method in run.methods if method.selected and method.failure_rate is not None]
    if winners:
        first, last = winners[0].failure_rate, winners[-1].failure_rate
        interval = "–".join(map(percent, winners[-1].interval))
        since = words("rate_from", rate=percent(first)) if len(winners) > 1 else words("rate_initial")
        yield _tile(words("rate"), percent(last), f"{interval}; {since}")
    yield _tile(words("calls"), number(summary.calls), words("journaled_note", count=number(summary.journaled)))
    if summary.cost:
        yield _tile(words("cost"), money(summary.cost), words("prices_unit"))
    else:
        yield _tile(words("cost"), "–", words("no_prices"))
    yield _tile(words("time"), duration(summary.seconds, words), words("retries", count=number(summary.retries)))


def _tile(name: str, value: str, note: str | None = None, strong: bool = False) -> Html:
    note_line = None if note is None else tag("dd", note, class_="note")
    return tag("div", tag("dt", name), tag("dd", value, class_="value"), note_line, class_="strong" if strong else None)


def _counts(summary: Summary) -> dict[str, int]:
    lost = sum(summary.eliminated.values()), sum(summary.set_aside.values()), summary.unavailable
    return dict(zip(OUTCOMES, (summary.evolved, *lost), strict=True))


def _outcome_bar(summary: Summary, words: Words) -> Html:
    if not summary.rows_in:
        return tag("p", words("no_rows"), class_="notice")
    counts = {name: count for name, count in _counts(summary).items() if count}
    legend = (tag("li", tag("i", class_=name), f"{words(name)} {number(count)}") for name, count in counts.items())
    return tag("div", stacked(counts, words), tag("ul", *legend, class_="legend"), class_="outcomes")


def _generations(seen: Survey, words: Words) -> Iterable[Html]:
    """A bar per generation, where several of them are rows of their own."""
    generations = {n: counts for n, counts in sorted(seen.by_generation.items()) if n}
    if len(generations) < 2:
        return
    yield tag("h3", words("by_generation"))
    rows = (_generation(n, counts, words) for n, counts in generations.items())
    yield tag("div", *rows, class_="bars")


def _generation(n: int, counts: Counter[str], words: Words) -> Html:
    ordered = {name: counts[name] for name in OUTCOMES}
    share = counts["evolved"] / counts.total()
    return tag(
        "div",
        tag("span", words("generation_n", n=n), class_="name"),
        stacked(ordered, words),
        tag("span", f"{number(counts['evolved'])} · {percent(share)}", class_="count"),
    )


def _reasons(summary: Summary, words: Words) -> Iterable[Html]:
    lost = Counter(summary.eliminated) + Counter(summary.set_aside)
    if summary.unavailable:
        lost["unavailable"] += summary.unavailable
    yield tag("h3", words("why_lost"))
    if not lost:
        yield tag("p", words("nothing_lost"), class_="quiet")
        return
    yield tag("p", words("why_lost_hint"), class_="quiet screen")
    yield reason_bars(lost, summary.rows_in, words, leads_to_rows=True)
