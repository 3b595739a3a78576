"""The data set card: what it tells, and that no text of a model or a data set becomes part of its structure."""

import re
from decimal import Decimal

import pytest
import yaml

from tests.builders import HOSTILE
from utils.config import RunConfig
from utils.files.writing import write_rows
from utils.outputs.card import LICENCE_QUESTION, card, language_shares, with_licence
from utils.rows.records import CONTEXT, EVOLVED, StoredRow
from utils.rows.summary import BenchmarkSummary, MethodSummary, Summary
from utils.schema import Method
from utils.text.measures.run import measure_run

METHOD = Method("Add one constraint that fits.\nKeep the task.", "optimized")
INJECTIONS = [
    *HOSTILE.values(),
    "---\ntags:\n- forged\n---\n# Forged",
    "<script>alert(1)</script><!-- <img src=x onerror=alert(1)>",
    "```\n# Forged\n```",
    "``\x00`\n# Forged",
    "a\r```\r# Forged\r",
    "````````````\n</details>",
    "`` ` [x](javascript:alert(1)) ` ``",
    "`",
    "",
    "---\nlicense: forged\n---\n",
    LICENCE_QUESTION,
]


def measured(method: Method, step: int, failed: int) -> MethodSummary:
    return MethodSummary(
        **{"step": step, "method_id": method.id, "failure_rate": failed / 50, "interval": (0.056, 0.238)},
        **{"by_rules": 1, "by_judge": failed - 1, "judged": 50, "unscored": 0, "selected": True},
    )


def summary(**changes) -> Summary:
    fields = {
        **{"rows_in": 1200, "evolved": 1100, "eliminated": {"lost": 60, "refusal": 10}, "set_aside": {"empty": 28}},
        **{"unavailable": 2, "retention": 1100 / 1200, "used_methods": [METHOD.id], "stages": {}, "calls": 9},
        "methods": [measured(Method("first", "initial"), 0, 27), measured(METHOD, 2, 6)],
        **{"journaled": 0, "retries": 0, "input_tokens": 1, "output_tokens": 1, "cost": Decimal(0), "seconds": 1.0},
    }
    return Summary(**fields | changes)


def config(**changes) -> RunConfig:
    models = {"evol_llm_config": {"model": "evol/model"}, "optim_llm_config": {"model": "judge-model"}}
    return RunConfig(**{"data_path": "org/seeds", "save_path": "out.parquet", **models} | changes)


ROWS = [
    {
        **{"id": id, "instruction": f"Name {id} rivers and lakes.", "generation": 1},
        **{"seed_instruction": f"Name {id} rivers.", "stages": [{"instruction": f"Name {id} rivers and lakes."}]},
    }
    for id in range(4)
]
MEASURES = measure_run((StoredRow("evolved", row) for row in ROWS), finder=lambda _: None)


def made(languages=None, methods=(METHOD,), run=None, columns=EVOLVED, **changes) -> str:
    shares = languages or {"ko": 0.9, "en": 0.1}
    return card(run or summary(), config(**changes), methods, shares, MEASURES, columns)


def front_matter(text: str) -> dict:
    return yaml.safe_load(re.match("---\n(.*?)\n---\n", text, re.DOTALL)[1])


def test_the_front_matter():
    told = front_matter(made())
    assert [column["name"] for column in told.pop("dataset_info")["features"]] == list(EVOLVED)
    assert told == {
        "language": ["ko", "en"],
        "size_categories": ["1K<n<10K"],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "auto-evol-instruct"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}],
    }


def test_a_text_that_comes_late_in_a_column_is_a_text_for_datasets(tmp_path):
    import datasets

    datasets.disable_progress_bars()
    columns = EVOLVED | CONTEXT
    row = {name: {str: None, int: 0}.get(kind, []) if isinstance(kind, type) else [] for name, kind in columns.items()}
    row["instruction"] = "x" * (1 << 20)
    late = {"seed_response": "y", "method_id": "m", "context": [{"role": "user", "content": "Hi?"}], "labels": ["ok"]}
    write_rows(tmp_path / "train.jsonl", [*[row] * 11, row | late])
    (tmp_path / "README.md").write_text(made(save_path="x.jsonl", columns=columns), encoding="utf-8")
    loaded = datasets.load_dataset(str(tmp_path), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[-1] == row | late
    assert loaded[0] == row


def test_languages_are_those_of_more_than_a_few_rows():
    assert front_matter(made({"en": 0.96, "ko": 0.04}))["language"] == ["en"]
    assert "language" not in front_matter(made({"other": 0.9, "none": 0.1}))
    texts = ["서울의 인구를 쓰시오.", "한강의 길이는 얼마인가?", "What is the name of the river?", "1 + 1"]
    assert language_shares(texts) == {"ko": 0.5, "en": 0.25, "none": 0.25}


@pytest.mark.parametrize(
    ("rows", "size"),
    [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**7, "10M<n<100M")],
)
def test_the_size_category(rows, size):
    assert front_matter(made(run=summary(evolved=rows)))["size_categories"] == [size]


def test_what_it_tells():
    text = made()
    assert "Seeds: `org/seeds`." in text
    assert "Evolved and answered by `evol/model`; judged, analyzed and improved by `judge-model`." in text
    assert "λ of the initial method: 54.0% of 50 rows (95 % interval 5.6% to 23.8%)." in text
    assert f"λ of method `{METHOD.id}` (in use): 12.0% of 50 rows" in text
    assert f"```text\n{METHOD.text}\n```\n" in text
    assert "Rows read: 1200; evolved, and in this data set: 1100 (91.7%)." in text
    assert "Eliminated: 70 (`lost` 60, `refusal` 10)." in text
    assert "Set aside as no seeds: 28 (`empty` 28)." in text
    assert "Without an answer: 2." in text
    assert "| `labels` |" in text
    assert "No training data" not in text


def test_other_runs():
    assert "the built-in examples" in made(data_path=None, offline=True)
    offline = made(offline=True)
    assert "**No training data.**" in offline
    assert "evol/model" not in offline
    explored = made(data_path=None, explore=("cooking", "`tax`"))
    assert "explored by an LLM, of the domains `cooking`, `` `tax` ``" in explored
    operations = [Method("prompt", "hand-written", name=name) for name in ("deepen", "breadth")]
    text = made(methods=operations, run=summary(methods=[]))
    assert "the six operations of Evol-Instruct" in text
    assert "not measured, as no method was learned" in text
    assert "```" not in text
    assert made(methods=[METHOD, Method("other", "optimized")]).count("```text\n") == 2
    assert "the first ten rows only (a trial)" in made(test_run=1)


def test_where_a_seed_file_lies_is_not_told(tmp_path):
    (tmp_path / "seeds.jsonl").write_text("{}")
    text = made(data_path=str(tmp_path / "seeds.jsonl"))
    assert "Seeds: `seeds.jsonl`." in text
    assert str(tmp_path) not in text


def test_it_names_the_benchmarks_that_were_kept_out_but_not_where_their_files_lie(tmp_path):
    path = tmp_path / "secret.jsonl"
    path.write_text("{}")
    names = (f"{path}:q", "org/bench:q")
    kept_out = [BenchmarkSummary(name=name, items=9, seeds=2, rewrites=3) for name in names]
    text = made(run=summary(benchmarks=kept_out))
    assert "- Kept out: `secret.jsonl:q`, 9 items; rows that repeat one: 5.\n" in text
    assert "- Kept out: `org/bench:q`, 9 items; rows that repeat one: 5.\n" in text
    assert str(tmp_path) not in text


def test_measures_are_a_table_of_seeds_and_generations():
    lines = made().split("## Measures\n\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(" | ")[:3] for line in lines[2:]] == [["| seeds", "4", "3"], ["| generation 1", "4", "5"]]
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("name", [*INJECTIONS, "_type", "struct", "null", "1", "x: y # z", "a\n---\nb"])
def test_a_column_keeps_its_name_whatever_it_is(name):
    text = made(columns=EVOLVED | {"extra": {name: str}})
    of_all = front_matter(text)["dataset_info"]["features"]
    assert of_all[-1] == {"name": "extra", "struct": [{"name": name, "dtype": "string"}]}
    assert front_matter(with_licence(text, {"license": "mit"})) == front_matter(text) | {"license": "mit"}


# --- Licence -----------------------------------------------------------------------------------


def test_the_licence_is_a_question_that_can_be_seen():
    text = made()
    assert "license" not in front_matter(text)
    assert text.count(LICENCE_QUESTION) == 1
    assert text.index(LICENCE_QUESTION) < text.index("## ")


def test_the_answer_takes_the_place_of_the_question():
    answered = with_licence(made(methods=[Method(LICENCE_QUESTION, "file")]), {"license": "cc-by-4.0"})
    assert front_matter(answered)["license"] == "cc-by-4.0"
    assert answered.count(LICENCE_QUESTION) == 1  # what the method says is its own


# --- Injection ---------------------------------------------------------------------------------


def skeleton(text: str) -> str:
    """The card without what its fences and code spans hold, read as CommonMark reads them."""
    lines, fence = [], ""
    for line in re.split("\r\n|\r|\n", text):
        marks = re.fullmatch(" {0,3}(```+)([^`]*)", line)
        if fence:
            closed = marks and len(marks[1]) >= len(fence) and not marks[2].strip()
            fence = "" if closed else fence
        elif marks:
            fence = marks[1]
        else:
            lines.append(re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "CODE", line))
    assert not fence
    return "\n".join(lines)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_changes_the_structure(text):
    def of(name: str, method: str) -> str:
        llm = {"evol_llm_config": {"model": name or " "}, "optim_llm_config": {"model": name or " "}}
        run = summary(eliminated={name: 70}, set_aside={name: 28})
        return made(methods=[Method(method, name)], run=run, explore=("x" + name,), data_path=None, **llm)

    assert skeleton(of(text, text)) == skeleton(of("name", "method"))
    assert front_matter(of(text, text)) == front_matter(of("name", "method"))


def test_a_method_is_shown_whole_and_a_name_only_so_far():
    long = HOSTILE["100 KB"]
    assert long in made(methods=[Method(long, "file")])
    assert len(made(evol_llm_config={"model": "m" * 5_000})) < len(made()) + 300


def test_control_characters_and_other_line_ends_are_not_passed_on():
    text = made(
        methods=[Method("one\r\ntwo\rthree\x00\x1b[31m\x9b\tfour", "file")], evol_llm_config={"model": "a\x07\rb"}
    )
    assert "```text\none\ntwo\nthree[31m\tfour\n```\n" in text
    assert "answered by `a b`;" in text
