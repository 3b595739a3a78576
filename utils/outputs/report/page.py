"""The whole page: `templates/page.html` with what it is about, style and script inlined, rows as data."""

import base64
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from utils.outputs.report.charts import failure_chart, histogram_of
from utils.outputs.report.formats import FILTERS
from utils.outputs.report.repeat import changed_flags, repeat_command
from utils.outputs.report.rows import OUTCOMES
from utils.outputs.report.run_files import MeasuredMethod, RunFiles
from utils.outputs.report.sampling import Survey, row_data
from utils.outputs.report.texts import Lang, Texts, read_texts
from utils.outputs.report.word_diff import word_pieces
from utils.text.measures.languages import count_scripts, language

TEMPLATES = Path(__file__).resolve().parent / "templates"

# What could end a script element, or a line of script, from inside a JSON text.
_IN_SCRIPT = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def page(run: RunFiles, seen: Survey, name: str, lang: Lang | None = None) -> str:
    """The report as one HTML text; `name` is the result file's, `lang` by default that of most seeds shown."""
    texts = read_texts(lang or main_language(seen))
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    template = environment(texts).get_template("page.html")
    return template.render(
        name=name,
        run=run,
        summary=run.summary,
        flags=run.flags,
        seen=seen,
        choices=_choices(seen, texts),
        policy=_policy(script),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        data=_data(run, seen, texts),
    )


def environment(texts: Texts) -> Environment:
    """What fills our templates. Every value is text and is escaped; a name that there is not is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= FILTERS
    made.globals |= {"t": texts, "outcomes": OUTCOMES, "method_name": method_name, "word_pieces": word_pieces}
    made.globals |= {"failure_chart": failure_chart, "histogram_of": histogram_of}
    made.globals |= {"changed_flags": changed_flags, "repeat_command": repeat_command}
    return made


def main_language(seen: Survey) -> Lang:
    """Korean where most seeds of the sample are Korean, else English."""
    spoken = Counter(language(row.seed.shown, count_scripts(row.seed.shown)) == "ko" for row in seen.sample)
    return "ko" if spoken[True] > spoken[False] else "en"


def method_name(method: MeasuredMethod, texts: Texts) -> str:
    """What a candidate is called in the page."""
    return texts("method_name", step=method.step, draw=method.draw) if method.step else texts("initial_method")


def script_data(value: Any) -> Markup:
    """A value as JSON for the inside of a script element, where no text of it can end the element."""
    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_IN_SCRIPT))


def _policy(script: str) -> str:
    """Nothing is loaded, and no script runs but this page's own: whatever else should get in is dead."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    loaded = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"{loaded}; base-uri 'none'; form-action 'none'"


def _choices(seen: Survey, texts: Texts) -> dict[str, list[tuple[str, str, int]]]:
    """Filters of rows: every outcome, reason, label and generation of the sample, with its name and its rows."""
    rows = seen.sample
    outcomes, generations = Counter(row.outcome for row in rows), Counter(row.generation for row in rows)
    reasons = Counter(row.reason for row in rows if row.reason)
    labels = Counter(label for row in rows for label in row.labels)
    return {
        "outcome": [(name, texts(name), outcomes[name]) for name in OUTCOMES if outcomes[name]],
        "reason": [(code, texts.reason(code), count) for code, count in reasons.most_common()],
        "label": [(name, texts.label(name), count) for name, count in labels.most_common()],
        "generation": [(str(n), texts("generation_n", n=n), count) for n, count in sorted(generations.items())],
    }


def _data(run: RunFiles, seen: Survey, texts: Texts) -> Markup:
    """What the script shows: rows, and the names of all that they are labelled with."""
    learned = {id_: method_name(method, texts) for id_, method in run.by_id.items()}
    return script_data({"words": texts.for_script(learned), "rows": [row_data(row) for row in seen.sample]})
