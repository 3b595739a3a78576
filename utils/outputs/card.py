"""The data set card: the README.md of a result on the Hub, YAML front matter and Markdown.

Names, reasons and methods come from data sets, flags and LLMs. In the text they stand in code spans and fences that
they cannot close; of them the front matter holds names of columns, which `huggingface_hub` quotes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.config import RunConfig
from utils.files.writing import Columns, arrow_type
from utils.rows.records import EVOLVED
from utils.rows.summary import BenchmarkSummary, MethodSummary, Summary
from utils.schema import Method
from utils.seeds import benchmark_source
from utils.text.measures.languages import count_scripts, language, shares

if TYPE_CHECKING:
    import pyarrow as pa
    from huggingface_hub import DatasetCardData

    from utils.text.measures.model import DataSetMeasures, RunMeasures

DATA_FILE = "train"  # the result's name on the Hub, always the same: `path` below is a pattern, and a name may hold *
TAGS = ("synthetic", "auto-evol-instruct")
SIZES = {
    10**3: "n<1K",
    10**4: "1K<n<10K",
    10**5: "10K<n<100K",
    10**6: "100K<n<1M",
    10**7: "1M<n<10M",
    10**8: "10M<n<100M",
}
LANGUAGES = ("ko", "en", "ja", "zh")
LANGUAGE_SHARE = 0.05  # the least share of rows that makes a language one of the data set's
NAME_LENGTH = 200  # characters of a name that are shown

LICENCE_QUESTION = """\
> **Licence: which one?** Nobody has chosen one yet. What do the licence of the seed set and the terms of the models
> allow? Write the answer into the front matter of this file (`license:`), and take this paragraph out.

"""

COLUMNS = """\
| column | what it holds |
|---|---|
| `id`, `seed_instruction`, `seed_response` | the seed and its position in the seed set, from 0 |
| `instruction`, `response`, `model` | the evolved instruction, its answer, and the model that gave it |
| `generation`, `method_id`, `stages` | rounds of evolving, and every stage with the method that made it |
| `reasoning` | what the model thought before it answered; null where nothing of it came |
| `labels` | what the judge said of the rewrite: `ok`, `stagnant`, `unscored`; empty where it was not asked |
| `context` | where seeds have any: what was said before the instruction, a system prompt or turns of a chat |
| `extra` | where any were kept: columns of the seed set that were passed through |
"""

MEASURES = """\
| | rows | tokens, median | ROUGE-L to the nearest other, mean | distinct-2 | verb-noun pairs |
|---|---|---|---|---|---|
"""

LIMITS = """\
- Instructions and answers are a model's. Nobody has checked that the answers are right.
- Rules find refusals, questions back, mere promises and broken text. What else was eliminated, an LLM judged; it errs.
- A failure rate above comes from the very rows by which the method was chosen: on others it is somewhat higher.
- Bias, errors and personal data of the seed set and of the models can be in it. Read some rows before training on it.
- Seeds that could not be evolved are missing; they may have something in common.
"""

STAND_IN = """\
> **No training data.** This run was made offline: a set of rules stood in for the models, to show the flow.

"""


def card(
    summary: Summary,
    config: RunConfig,
    methods: Sequence[Method],
    languages: Mapping[str, float],
    measures: "RunMeasures",
    columns: Columns = EVOLVED,
) -> str:
    """Return the data set card of the result that `config.save_path` names, as Markdown with front matter.

    `methods` are those that the final run drew from, best first; `languages` the share of rows (0 to 1) by language;
    `columns` those of the result.
    """
    parts = [
        f"---\n{_front_matter(summary, config, languages, columns)}\n---\n\n",
        "# Evolved instructions\n\n",
        LICENCE_QUESTION,
        STAND_IN if config.offline else "",
        _origin(summary, config, methods),
        _methods(methods),
        _ledger(summary),
        _measured(measures),
        f"## Columns\n\n{COLUMNS}\n## Limits\n\n{LIMITS}",
    ]
    return "".join(parts)


def language_shares(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of texts (0 to 1) by language (ko, en, ja, zh, other, none), most frequent first."""
    return shares(Counter(language(text, count_scripts(text)) for text in texts))


def with_licence(card: str, chosen: Mapping[str, object]) -> str:
    """Return `card` with the fields `chosen` (`license` and the like), and without the question about the licence."""
    from huggingface_hub import DatasetCard

    changed = DatasetCard(card)
    for name, value in chosen.items():
        changed.data[name] = value
    changed.text = changed.text.replace(LICENCE_QUESTION, "", 1)
    return str(changed)


def _front_matter(
    summary: Summary, config: RunConfig, languages: Mapping[str, float], columns: Columns
) -> "DatasetCardData":
    """Return the front matter, the part of a card that the Hub and `datasets` read; `str` turns it into YAML."""
    from huggingface_hub import DatasetCardData

    files = {"split": "train", "path": DATA_FILE + config.result.suffix}
    return DatasetCardData(
        language=[name for name in LANGUAGES if languages.get(name, 0) >= LANGUAGE_SHARE] or None,
        size_categories=[next((name for limit, name in SIZES.items() if summary.evolved < limit), "100M<n<1B")],
        task_categories=["text-generation"],
        tags=list(TAGS),
        configs=[{"config_name": "default", "data_files": [files]}],
        # `datasets` takes types from the first 10 MiB: what is null there and a text later must be said to be a text.
        dataset_info={"features": features(columns)},
    )


def features(columns: Columns) -> list[dict[str, Any]]:
    """Return the names and types of `columns` in the form in which a card tells them to `datasets`."""
    return [{"name": name, **_feature(arrow_type(kind))} for name, kind in columns.items()]


def _feature(kind: "pa.DataType") -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {
            "struct": [{"name": kind.field(n).name, **_feature(kind.field(n).type)} for n in range(kind.num_fields)]
        }
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return {"list": inner.get("struct") or inner.get("dtype") or inner}
    return {"dtype": "float64" if pa.types.is_float64(kind) else str(kind)}


def _origin(summary: Summary, config: RunConfig, methods: Sequence[Method]) -> str:
    """Return the section on how the data set was made: seeds, models, settings, failure rates."""
    evol, optim = ("offline" if config.offline else c.model for c in (config.evol_llm_config, config.optim_llm_config))
    lines = [
        f"Seeds: {_seeds(config)}{', the first ten rows only (a trial)' if config.test_run else ''}.",
        f"Evolved and answered by {_code(evol)}; judged, analyzed and improved by {_code(optim)}.",
        f"Rounds of evolving: {config.generations}; tries per row: {config.attempts}; judge: {config.judge}.",
        *_rates(summary, methods),
        *_answered_by(summary),
    ]
    paper = "Made with Auto Evol-Instruct ([arXiv 2406.00770](https://arxiv.org/abs/2406.00770))"
    return f"## How it was made\n\n{paper}: an LLM rewrote the instructions of a seed set.\n\n" + _bullets(lines)


def _answered_by(summary: Summary) -> Iterator[str]:
    """Yield one line with the models that replies came from; none where that is unknown."""
    if summary.answered_by:
        yield (
            "Replies came from "
            + ", ".join(f"{_code(str(who))} ({who.completions})" for who in summary.answered_by)
            + "."
        )


def _seeds(config: RunConfig) -> str:
    if config.explore:
        return "explored by an LLM, of the domains " + ", ".join(map(_code, config.explore))
    if not config.data_path:
        return "the built-in examples, Korean and English"
    path = Path(config.data_path).expanduser()
    return _code(path.name if path.exists() else config.data_path)  # the name only: the folder may tell of its owner


def _rates(summary: Summary, methods: Sequence[Method]) -> Iterator[str]:
    """Yield a line with the failure rate of the initial method and each in use, or one that none was measured."""
    used = {method.id for method in methods}
    shown = {m.method_id: m for m in summary.methods if m.step == 0 or m.method_id in used}
    for measured in shown.values():
        name = "the initial method" if measured.step == 0 else f"method {_code(measured.method_id)}"
        yield f"Failure rate λ of {name}{' (in use)' if measured.method_id in used else ''}: {_rate(measured)}."
    if not shown:
        yield "Failure rate λ: not measured, as no method was learned."


def _rate(method: MethodSummary) -> str:
    if method.failure_rate is None:
        return "not measured"
    low, high = method.interval
    return f"{method.failure_rate:.1%} of {method.judged} rows (95 % interval {low:.1%} to {high:.1%})"


def _methods(methods: Sequence[Method]) -> str:
    if methods and all(method.name for method in methods):
        return "The method: the six operations of Evol-Instruct, drawn by chance.\n\n"
    title = "## Method\n\n" if len(methods) == 1 else "## Methods\n\n"
    return title + "".join(
        f"{_code(method.id)}, {_code(method.origin)}:\n\n{_fence(method.text)}\n" for method in methods
    )


def _ledger(summary: Summary) -> str:
    lines = [
        f"Rows read: {summary.rows_in}; evolved, and in this data set: {summary.evolved} ({summary.result_share:.1%}).",
        *([f"Evolved likewise, but held out of this data set: {summary.held_out}."] if summary.held_out else []),
        f"Eliminated: {_by_reason(summary.eliminated)}.",
        f"Set aside as no seeds: {_by_reason(summary.set_aside)}.",
        *(f"Kept out: {_code(name)}, {found}." for name, found in map(_benchmark, summary.benchmarks)),
        *([f"Without an answer: {summary.unavailable}."] if summary.unavailable else []),
    ]
    return "## Rows\n\n" + _bullets(lines)


def _benchmark(benchmark: BenchmarkSummary) -> tuple[str, str]:
    """Return the name of a benchmark, without the folder of a file, and what was found of it."""
    is_here = Path(benchmark_source(benchmark.name).data_path).expanduser().exists()
    name = Path(benchmark.name).name if is_here else benchmark.name
    return name, f"{benchmark.items} items; rows that repeat one: {benchmark.seeds + benchmark.rewrites}"


def _by_reason(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{_code(reason)} {count}" for reason, count in counts.items())
    return f"{sum(counts.values())}" + (f" ({shown})" if shown else "")


def _measured(measures: "RunMeasures") -> str:
    """Return the section with the table of measures: a line for the seeds and one for every generation."""
    sets = {"seeds": measures.seeds}
    sets |= {f"generation {number}": of_one for number, of_one in enumerate(measures.generations, start=1)}
    rows = "".join(f"| {name} | {' | '.join(_figures(of_one))} |\n" for name, of_one in sets.items())
    return f"## Measures\n\n{MEASURES}{rows}\n"


def _figures(measures: "DataSetMeasures") -> Iterator[str]:
    nearest, pairs = measures.nearest_overlap, measures.verb_noun
    yield str(measures.rows)
    yield f"{measures.tokens.median:g}" if measures.tokens else "–"
    yield f"{nearest.distribution.mean:.2f}" if nearest else "–"
    yield f"{measures.distinct_2:.2f}" if measures.distinct_2 is not None else "–"
    yield f"{pairs.unique} in {pairs.rows} rows" if pairs else "–"


# --- Texts that cannot be trusted ----------------------------------------------------------------


def _bullets(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines) + "\n"


def _code(text: str) -> str:
    """Return `text`, cut to NAME_LENGTH, as a code span on one line, in more backticks than it has in a row."""
    plain = " ".join(_visible(text).split())
    shown = plain if len(plain) <= NAME_LENGTH else plain[:NAME_LENGTH] + "…"
    marks = "`" * (_longest_run(shown) + 1)
    return f"{marks} {shown} {marks}" if "`" in shown else f"{marks}{shown or ' '}{marks}"


def _fence(text: str) -> str:
    """Return `text` as a fenced code block that it cannot close: the fence is longer than its runs of backticks."""
    shown = _visible(text)
    marks = "`" * max(3, _longest_run(shown) + 1)
    return f"{marks}text\n{shown}\n{marks}\n"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _visible(text: str) -> str:
    """Return `text` with line feeds as its only line ends, and without control characters other than tabs."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", re.sub("\r\n?", "\n", text))
