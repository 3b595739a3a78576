"""The whole command with benchmarks: nothing of them comes out, every row is accounted for, and nothing costs more."""

import json
from pathlib import Path

import pytest

from tests.command import PROJECT, SEEDS, failed, run
from tests.hub_stub import HubStub, Repo
from tests.test_features import done, read_lines, rows_of, summary
from utils.text.near_duplicates import rouge_l

OFFLINE = ("--offline", "--data-path", SEEDS, "--max-steps", "0")
TEXTS = [row["instruction"] for row in read_lines(SEEDS)]


def benchmark(path: Path, texts: list[str], column: str = "instruction") -> Path:
    lines = [json.dumps({column: text, "answer": "x"}, ensure_ascii=False) + "\n" for text in texts]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A run without benchmarks."""
    folder = tmp_path_factory.mktemp("plain")
    done(folder, *OFFLINE, "--no-report")
    return folder


def test_seeds_and_rewrites_that_repeat_an_item_stay_out_and_all_rows_are_accounted_for(plain, tmp_path):
    """One benchmark holds two seeds, as they stand in a longer text; the other what two others became."""
    became = [row for row in rows_of(plain)[0] if rouge_l(row["seed_instruction"], row["instruction"]) < 0.6][:2]
    assert len(became) == 2
    rewritten = {row["id"] for row in became}
    known = [number for number in range(len(TEXTS)) if number not in rewritten][:2]
    seeds = benchmark(tmp_path / "seeds.jsonl", [TEXTS[number] for number in known])
    rewrites = benchmark(tmp_path / "rewrites.jsonl", [row["instruction"] for row in became], "q")
    ran = done(tmp_path, *OFFLINE, "--decontaminate", seeds, "--decontaminate", f"{rewrites}:q", "--no-report")
    kept, lost = rows_of(tmp_path)
    told = summary(tmp_path)
    assert sorted(row["id"] for row in kept + lost) == list(range(told["rows_in"]))
    contaminated = {row["id"]: row for row in lost if row["reason"] == "contaminated"}
    aside = {number: row["note"] for number, row in contaminated.items() if row["outcome"] == "set_aside"}
    assert {number: f"{seeds}\n{TEXTS[number]}" for number in known}.items() <= aside.items()
    for row in became:
        assert contaminated[row["id"]]["outcome"] == "eliminated"
        assert contaminated[row["id"]]["note"] == f"{rewrites}:q\n{row['instruction']}"
    by_seeds, by_rewrites = told["benchmarks"]
    assert [each["items"] for each in told["benchmarks"]] == [2, 2]
    assert by_seeds["seeds"] + by_rewrites["seeds"] == told["set_aside"]["contaminated"] == len(aside)
    assert by_seeds["rewrites"] + by_rewrites["rewrites"] == told["eliminated"]["contaminated"]
    assert told["rows_in"] == told["evolved"] + sum(told["eliminated"].values()) + sum(told["set_aside"].values())
    assert f"benchmark     {rewrites}:q: " in ran.out


def test_all_that_the_result_was_without_the_flag_it_is_with_a_benchmark_of_other_things(plain, tmp_path):
    other = benchmark(tmp_path / "other.jsonl", ["Prove that the square root of two is no rational number at all."])
    done(tmp_path, *OFFLINE, "--decontaminate", other, "--no-report")
    assert (tmp_path / "x.jsonl").read_bytes() == (plain / "x.jsonl").read_bytes()
    assert summary(plain)["benchmarks"] == []


def test_the_report_has_a_line_for_each_benchmark_and_the_item_of_each_row(tmp_path):
    path = benchmark(tmp_path / "b.jsonl", [TEXTS[0], "<script>alert(1)</script> in an item of many words and more"])
    for lang, title in (("en", "Benchmarks that stay out"), ("ko", "벤치마크 문항 제외")):
        done(tmp_path, *OFFLINE, "--decontaminate", path, "--lang", lang)
        page = (tmp_path / "x.run/report.html").read_text(encoding="utf-8")
        assert title in page
        assert f'<th scope="row">{path}</th><td>2</td><td>1</td><td>0</td>' in page
        assert json.dumps(f"{path}\n{TEXTS[0]}", ensure_ascii=False)[1:-1] in page


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere.jsonl", "there is no file nowhere.jsonl"), (f"{SEEDS}:nothing", "no column 'nothing'")]
)
@pytest.mark.parametrize("seeds", [("--data-path", SEEDS), ("--explore", "birds")], ids=["read", "explored"])
def test_a_benchmark_that_is_not_there_is_told_before_anything_costs(tmp_path, name, said, seeds):
    message = failed(run(tmp_path, "--offline", *seeds, "--decontaminate", name), 2)
    assert said in message
    assert message.startswith("error: --decontaminate: ")
    assert list(tmp_path.iterdir()) == []


def test_a_result_does_not_replace_a_benchmark(tmp_path):
    path = benchmark(tmp_path / "b.jsonl", TEXTS[:1])
    message = failed(run(tmp_path, *OFFLINE, "--decontaminate", "b.jsonl:instruction", "--save-path", "b.jsonl"), 2)
    assert "would overwrite the file of --decontaminate" in message
    assert read_lines(path)[0]["instruction"] == TEXTS[0]


def test_seeds_that_are_all_in_a_benchmark_are_told(tmp_path):
    message = failed(run(tmp_path, *OFFLINE, "--decontaminate", SEEDS), 2)
    assert "is usable as a seed (contaminated): choose other seeds, or check what --decontaminate names" in message


def test_explored_seeds_are_looked_at_too(tmp_path):
    explore = ("--offline", "--explore", "garden birds", "--explore-breadth", "2", "--explore-depth", "1")
    flags = (*explore, "--max-steps", "0", "--generations", "0", "--no-report")
    done(tmp_path, *flags)
    first = rows_of(tmp_path)[0][0]["instruction"]
    done(tmp_path, *flags, "--decontaminate", benchmark(tmp_path / "b.jsonl", [first]))
    assert summary(tmp_path)["set_aside"]["contaminated"] >= 1
    assert first not in [row["instruction"] for row in rows_of(tmp_path)[0]]


def test_the_plan_counts_the_seeds_that_are_left(tmp_path):
    flags = (*OFFLINE, "--plan", "--decontaminate", benchmark(tmp_path / "b.jsonl", TEXTS[:2]))
    ran = run(tmp_path, *flags)
    assert ran.code == 0
    aside = int(ran.out.partition("seeds that repeat an item of a benchmark: ")[2].partition(",")[0])
    assert aside >= 2
    answers = next(line.split() for line in ran.out.splitlines() if line.startswith("final: answer"))
    assert answers[2] == str(len(TEXTS) - aside)


def test_a_recording_takes_its_benchmark_with_it(tmp_path):
    benchmark(tmp_path / "b.jsonl", TEXTS[:2])
    (tmp_path / "seeds.jsonl").write_bytes(SEEDS.read_bytes())
    flags = ("--offline", "--data-path", "seeds.jsonl", "--max-steps", "0", "--no-report")
    done(tmp_path, *flags, "--decontaminate", "b.jsonl:instruction", "--export-journal", "j.jsonl")
    recorded = (tmp_path / "x.jsonl").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    replayed = run(elsewhere, "--replay", tmp_path / "j.jsonl", "--save-path", "x.jsonl", "--no-report")
    assert (replayed.code, (elsewhere / "x.jsonl").read_bytes()) == (0, recorded)
    (tmp_path / "b.jsonl").unlink()
    assert "the benchmark 'b.jsonl', which is not beside it" in failed(
        run(elsewhere, "--replay", tmp_path / "j.jsonl"), 2
    )


def test_a_benchmark_of_the_hub(tmp_path):
    lines = "".join(json.dumps({"question": text}) + "\n" for text in TEXTS[:1]).encode()
    others = "".join(json.dumps({"question": text}) + "\n" for text in TEXTS[1:]).encode()
    with HubStub({"org/bench": Repo({"train.jsonl": others, "test.jsonl": lines})}) as hub:
        env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(PROJECT)}
        ran = run(tmp_path, *OFFLINE, "--no-report", "--decontaminate", "org/bench:question", env=env)
    assert ran.code == 0, ran.err
    assert "org/bench:question: 1 seeds set aside" in ran.out.replace(",", "")
