"""The sections that are tables: calls, tokens and cost; the settings, with the command that repeats the run."""

import json
from collections.abc import Mapping
from typing import Any

from utils.outputs.report.formats import money, number
from utils.outputs.report.markup import Html, tag
from utils.outputs.report.parts import scrolled, section
from utils.outputs.report.repeat import changed_flags, repeat_command
from utils.outputs.report.texts import Words
from utils.rows.summary import CallKindSummary, Summary


def usage(summary: Summary, words: Words) -> Html:
    """A line per stage, and their sum."""
    if not summary.stages:
        return section("usage", words("usage"), tag("p", words("no_calls"), class_="quiet"))
    heads = ("stage", "calls", "journaled", "unavailable", "input_tokens", "cached_tokens", "output_tokens", "cost")
    ordered = sorted(summary.stages.items(), key=lambda item: words.stage_place(item[0]))
    body = (_usage_line(words.stage(name), use) for name, use in ordered)
    head = tag("tr", *(tag("th", words(key), scope="col") for key in heads))
    foot = _usage_line(words("all_stages"), _total(summary))
    table = tag("table", tag("thead", head), tag("tbody", *body), tag("tfoot", foot))
    answered = "; ".join(f"{who}: {number(who.completions)}" for who in summary.answered_by)
    models = [tag("p", words("answered_by", models=answered), class_="quiet")] if answered else []
    return section("usage", words("usage"), scrolled(table), *models)


def _usage_line(name: str, use: CallKindSummary) -> Html:
    counts = (use.calls, use.journaled, use.unavailable, use.input_tokens, use.cached_tokens, use.output_tokens)
    cells = (*map(number, counts), money(use.cost) if use.cost else "–")
    return tag("tr", tag("th", name, scope="row"), *(tag("td", cell) for cell in cells))


def _total(summary: Summary) -> CallKindSummary:
    uses = summary.stages.values()
    return CallKindSummary(
        calls=summary.calls,
        journaled=summary.journaled,
        unavailable=sum(use.unavailable for use in uses),
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        cached_tokens=sum(use.cached_tokens for use in uses),
        cost=summary.cost,
    )


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
    body = (_flag_line("--" + name.replace("_", "-"), _shown(value)) for name, value in flags.items())
    return scrolled(tag("table", tag("thead", head), tag("tbody", *body), class_="flags"))


def _flag_line(name: str, value: str) -> Html:
    return tag("tr", tag("th", tag("code", name), scope="row"), tag("td", tag("code", value)))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={setting}" for key, setting in value.items() if setting is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
