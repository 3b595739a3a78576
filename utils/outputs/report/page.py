"""The whole page: its frame, the sections in their order, style and script inlined, rows as data."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils.outputs.report.browse import trajectories
from utils.outputs.report.charts import method_name
from utils.outputs.report.glance import glance
from utils.outputs.report.markup import Html, script_data, tag
from utils.outputs.report.measured import measured
from utils.outputs.report.methods import learning, methods
from utils.outputs.report.run_files import RunFiles
from utils.outputs.report.sampling import Survey, row_data
from utils.outputs.report.tables import settings, usage
from utils.outputs.report.texts import Lang, Words
from utils.text.measures.languages import count_scripts, language

HERE = Path(__file__).resolve().parent
CONTENTS = ("glance", "learning", "methods", "measures", "usage", "trajectories", "settings")


def page(run: RunFiles, seen: Survey, name: str, lang: Lang | None = None) -> str:
    """The report as one HTML text; `name` is the result file's, `lang` by default that of most seeds."""
    words = Words(lang or main_language(seen))
    return "<!doctype html>\n" + tag("html", _head(name, words), _body(run, seen, name, words), lang=words.lang) + "\n"


def main_language(seen: Survey) -> Lang:
    """Korean where most seeds of the sample are Korean, else English."""
    spoken = Counter(language(row.seed.shown, count_scripts(row.seed.shown)) == "ko" for row in seen.sample)
    return "ko" if spoken[True] > spoken[False] else "en"


def _script() -> str:
    return (HERE / "page.js").read_text(encoding="utf-8")


def _policy() -> str:
    """Nothing is loaded, and no script runs but this page's own: whatever else should get in is dead."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    loaded = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"{loaded}; base-uri 'none'; form-action 'none'"


def _head(name: str, words: Words) -> Html:
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{words('title')} · {name}"),
        tag("style", Html(style)),
    )


def _body(run: RunFiles, seen: Survey, name: str, words: Words) -> Html:
    links = (tag("a", words(key), href=f"#{key}") for key in CONTENTS)
    return tag(
        "body",
        tag("a", words("skip"), href="#glance", class_="skip"),
        tag(
            "header",
            tag("p", words("title"), class_="kind"),
            tag("h1", name),
            _facts(run.flags, words),
            tag("p", words("offline"), class_="notice") if run.flags.get("offline") else None,
        ),
        tag("nav", *links, aria_label=words("sections"), class_="screen"),
        tag(
            "main",
            glance(run, seen, words),
            learning(run.methods, words),
            methods(run, seen, words),
            measured(run.measures, words, run.tags),
            usage(run.summary, words),
            trajectories(seen, words),
            settings(run.flags, words),
        ),
        tag("script", _data(run, seen, words), type="application/json", id="data"),
        tag("script", Html(_script())),
    )


def _data(run: RunFiles, seen: Survey, words: Words) -> Html:
    """What the script shows: rows, and the names of all that they are labelled with."""
    names = words.for_script()
    names["methods"] |= {method.method_id: method_name(method, words) for method in reversed(run.methods)}
    return script_data({"words": names, "rows": [row_data(row) for row in seen.sample]})


def _facts(flags: Mapping[str, Any], words: Words) -> Html:
    """Where the seeds came from, and the two LLMs."""
    explored = words("explored", domains=", ".join(flags["explore"])) if flags.get("explore") else None
    stand_in = words("offline_model") if flags.get("offline") else None
    facts = {
        "data": flags.get("data_path") or explored or words("examples"),
        "evol_model": stand_in or flags["evol_llm_config"]["model"],
        "optim_model": stand_in or flags["optim_llm_config"]["model"],
    }
    lines = (tag("div", tag("dt", words(key)), tag("dd", value)) for key, value in facts.items())
    return tag("dl", *lines, class_="facts")
