"""The parts of the page that count and tell: at a glance, calls, settings. Each gives one section."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from utils.report.formats import duration, money, number, percent
from utils.report.markup import Child, Html, tag
from utils.report.repeat import changed_flags, repeat_command
from utils.report.rows import OUTCOMES
from utils.report.run_files import RunFiles
from utils.report.sampling import SHOWN, Survey
from utils.report.texts import Words
from utils.summary import StageSummary, Summary


def section(name: str, title: str, *children: Child) -> Html:
    """A part of the page that the table of contents leads to."""
    return tag("section", tag("h2", title), *children, id=name)


# --- At a glance -----------------------------------------------------------------------------------


def glance(run: RunFiles, seen: Survey, words: Words) -> Html:
    """What went in and what became of it."""
    summary = run.summary
    note = None if summary.adds_up and summary.rows_in == seen.total else tag("p", words("does_not_add_up"), class_="notice")
    return section(
        "glance",
        words("glance"),
        tag("dl", *_rows_tiles(summary, seen, words), *_run_tiles(run, words), class_="tiles"),
        note,
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
        since = words("rate_from", rate=percent(first)) if len(winners) > 1 else words("rate_initial")
        yield _tile(words("rate"), percent(last), since)
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
    return tag("div", _stacked(counts, words), tag("ul", *legend, class_="legend"), class_="outcomes")


def _stacked(counts: Mapping[str, int], words: Words) -> Html:
    total = sum(counts.values())
    parts = (
        tag("span", class_=name, style=f"width:{count / total:.3%}", title=f"{words(name)}: {number(count)}")
        for name, count in counts.items()
        if count
    )
    told = ", ".join(f"{words(name)} {number(count)}" for name, count in counts.items())
    return tag("div", *parts, class_="stacked", role="img", aria_label=told)


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
        _stacked(ordered, words),
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
    return tag("div", name, bar(count / longest), tag("span", f"{number(count)} · {percent(count / total)}", class_="count"))


def bar(share: float) -> Html:
    """A bar as long as `share` (0 to 1) of its place."""
    return tag("span", tag("span", style=f"width:{share:.2%}"), class_="bar", aria_hidden="true")


# --- Calls, tokens, cost ---------------------------------------------------------------------------


def usage(summary: Summary, words: Words) -> Html:
    """A line per stage, and their sum."""
    if not summary.stages:
        return section("usage", words("usage"), tag("p", words("no_calls"), class_="quiet"))
    heads = ("stage", "calls", "journaled", "unavailable", "input_tokens", "cached_tokens", "output_tokens", "cost")
    body = (_usage_line(words.stage(name), use) for name, use in summary.stages.items())
    head = tag("tr", *(tag("th", words(key), scope="col") for key in heads))
    table = tag("table", tag("thead", head), tag("tbody", *body), tag("tfoot", _usage_line(words("all_stages"), _total(summary))))
    return section("usage", words("usage"), tag("div", table, class_="scroll", tabindex="0"))


def _usage_line(name: str, use: StageSummary) -> Html:
    counts = (use.calls, use.journaled, use.unavailable, use.input_tokens, use.cached_tokens, use.output_tokens)
    cells = (*map(number, counts), money(use.cost) if use.cost else "–")
    return tag("tr", tag("th", name, scope="row"), *(tag("td", cell) for cell in cells))


def _total(summary: Summary) -> StageSummary:
    uses = summary.stages.values()
    return StageSummary(
        calls=summary.calls,
        journaled=summary.journaled,
        unavailable=sum(use.unavailable for use in uses),
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        cached_tokens=sum(use.cached_tokens for use in uses),
        cost=summary.cost,
    )


# --- Trajectories ----------------------------------------------------------------------------------


def trajectories(seen: Survey, words: Words) -> Html:
    """The frame that the page's script fills with rows."""
    shown = len(seen.sample)
    sampled = shown < seen.total
    told = words("sampled" if sampled else "whole", shown=number(shown), total=number(seen.total))
    is_cut = any(text.missing for row in seen.sample for text in (row.seed, *(step.text for step in row.steps)))
    is_cut |= any(text.missing for row in seen.sample for text in (row.answer, row.reply, row.reference) if text)
    return section(
        "trajectories",
        words("trajectories"),
        tag("p", told, f" {words('cut_at', limit=number(seen.limit))}" if is_cut else None, class_="notice" if sampled else "quiet"),
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
    generations = Counter(str(row.generation) for row in rows)
    outcomes = Counter(row.outcome for row in rows)
    search = tag("input", type="search", id="search", placeholder=words("search_hint"), autocomplete="off")
    return tag(
        "form",
        tag("label", words("search"), search, class_="wide"),
        _choice("outcome", [(name, words(name), outcomes[name]) for name in OUTCOMES if outcomes[name]], words),
        _choice("reason", [(code, words.reason(code), n) for code, n in reasons.most_common()], words),
        _choice("label", [(name, words.label(name), n) for name, n in labels.most_common()], words),
        _choice("generation", [(g, words("generation_n", n=g), generations[g]) for g in sorted(generations, key=int)], words),
        tag("button", words("reset"), type="reset", class_="plain"),
        class_="filters screen",
        id="filters",
    )


def _choice(name: str, options: Sequence[tuple[str, str, int]], words: Words) -> Html | None:
    """A choice among `options` (value, name, rows); none where there is nothing to choose."""
    if not options or (name in ("generation", "outcome") and len(options) < 2):
        return None
    all_ = tag("option", words("any"), value="")
    shown = (tag("option", f"{label} ({number(count)})", value=value) for value, label, count in options)
    return tag("label", words(name), tag("select", all_, *shown, id=name))


# --- Settings --------------------------------------------------------------------------------------


def settings(flags: Mapping[str, Any], words: Words) -> Html:
    """The command that repeats the run, and all flags."""
    changed = changed_flags(flags)
    table = _flag_table(changed, words) if changed else tag("p", words("all_default"), class_="quiet")
    return section(
        "settings",
        words("settings"),
        tag("h3", words("command")),
        tag(
            "div",
            tag("div", repeat_command(flags), class_="text code", id="command"),
            tag("button", words("copy"), type="button", class_="plain screen", id="copy"),
            class_="command",
        ),
        tag("p", words("command_note"), class_="quiet"),
        tag("h3", words("set_by_you")),
        table,
        tag("details", tag("summary", words("all_settings")), _flag_table(flags, words), class_="fold"),
    )


def _flag_table(flags: Mapping[str, Any], words: Words) -> Html:
    head = tag("tr", tag("th", words("flag"), scope="col"), tag("th", words("value"), scope="col"))
    body = (
        tag("tr", tag("th", tag("code", "--" + name.replace("_", "-")), scope="row"), tag("td", tag("code", _shown(value))))
        for name, value in flags.items()
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_="flags"), class_="scroll", tabindex="0")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={setting}" for key, setting in value.items() if setting is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


SAMPLE_SIZE = SHOWN
