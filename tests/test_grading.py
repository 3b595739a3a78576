"""The whole command, offline, with the examiner: grades, a weak LLM, several answers, labels that are dropped."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.command import SEEDS, failed, run
from utils.schema import GRADES

GOLDEN = ("--offline", "--data-path", str(SEEDS), "--no-report", "--max-steps", "0")


def done(folder: Path, *flags: str) -> tuple[list[dict], list[dict], dict]:
    """Rows, rejects and summary of a run that went well."""
    ran = run(folder, *GOLDEN, *flags, "--save-path", "x.json")
    assert ran.code == 0, ran.err
    rejects = (folder / "x.run/rejects.jsonl").read_text(encoding="utf-8").splitlines()
    summary = json.loads((folder / "x.run/summary.json").read_text(encoding="utf-8"))
    return json.loads((folder / "x.json").read_text(encoding="utf-8")), list(map(json.loads, rejects)), summary


def test_every_answer_has_a_grade_and_the_counts_are_those_of_the_rows(tmp_path):
    rows, _, summary = done(tmp_path)
    assert {row["grade"] for row in rows} <= set(GRADES)
    assert summary["grades"] == dict(Counter(row["grade"] for row in rows).most_common())
    assert summary["labels"] == dict(Counter(label for row in rows for label in row["labels"]).most_common())
    assert summary["difficulty"] is None
    assert "answers" not in rows[0]
    assert summary["unseen"]["rows"] == len(rows) + sum(summary["eliminated"].values())


def test_without_the_examiner_nothing_is_asked_of_it_and_grades_are_null(tmp_path):
    rows, _, summary = done(tmp_path, "--examine", "off")
    assert "examine" not in summary["stages"]
    assert {row["grade"] for row in rows} == {None}
    assert summary["grades"] == {}


def test_a_weak_llm_costs_nothing_unless_it_is_given_and_then_marks_what_is_easy(tmp_path):
    rows, _, summary = done(tmp_path, "--weak-llm-config", "model=small")
    calls = {kind: use["calls"] + use["journaled"] for kind, use in summary["stages"].items()}
    assert calls["respond"] == 2 * (calls["respond"] // 2)  # two answers to each rewrite and to each seed
    shares = summary["difficulty"]
    assert shares["weak_seeds"]["graded"] == shares["strong_seeds"]["graded"] == 12
    easy = sum("easy" in row["labels"] for row in rows)
    assert 0 < easy < len(rows)
    told = run(tmp_path, *GOLDEN, "--weak-llm-config", "model=small", "--save-path", "x.json").out
    assert "the weak model answers" in told
    assert " 0 made," in told  # all of it stands in the journal


def test_labels_that_are_dropped_are_not_in_the_result(tmp_path):
    rows, rejects, _ = done(tmp_path, "--weak-llm-config", "model=small", "--drop", "easy,stagnant")
    assert not [row for row in rows if {"easy", "stagnant"} & set(row["labels"])]
    dropped = [reject for reject in rejects if reject["reason"] == "easy"]
    assert dropped
    assert all(reject["response"] and reject["instruction"] for reject in dropped)


def test_of_several_answers_the_best_is_the_response_and_pairs_are_made_of_those_graded_apart(tmp_path):
    rows, _, summary = done(tmp_path, "--answers", "4", "--export", "preference")
    assert all(len(row["answers"]) == 4 for row in rows)
    for row in rows:
        graded = [GRADES.index(answer["grade"]) for answer in row["answers"] if answer["grade"]]
        best = next(answer for answer in row["answers"] if answer["grade"] == GRADES[min(graded)])
        assert (row["response"], row["grade"]) == (best["text"], best["grade"])
        assert ("unstable" in row["labels"]) == (len(set(graded)) > 1)
    assert summary["labels"]["unstable"] > 0
    pairs = json.loads((tmp_path / "x.preference.json").read_text(encoding="utf-8"))
    worse = [
        (row["instruction"], row["response"], answer["text"])
        for row in rows
        for answer in row["answers"]
        if answer["grade"] and GRADES.index(answer["grade"]) > GRADES.index(row["grade"])
    ]
    assert [
        (p["prompt"][-1]["content"], p["chosen"][0]["content"], p["rejected"][0]["content"]) for p in pairs
    ] == worse
    assert {turn["role"] for pair in pairs for turn in (*pair["chosen"], *pair["rejected"])} == {"assistant"}


def test_learning_has_an_honest_rate_over_the_rows_that_it_never_saw(tmp_path):
    ran = run(
        *(tmp_path, *GOLDEN, "--max-steps", "1", "--train-size", "2", "--dev-size", "4", "--candidate-size", "1"),
        *("--save-path", "x.json"),
    )
    summary = json.loads((tmp_path / "x.run/summary.json").read_text(encoding="utf-8"))
    assert summary["unseen"]["rows"] == 12 - 2 - 4
    assert "rows that learning never saw" in ran.out.splitlines()[0]


@pytest.mark.parametrize("flags", [("--judge", "dev"), ("--examine", "dev"), ("--generations", "0")])
def test_a_rate_that_could_not_be_compared_is_not_told(flags, tmp_path):
    assert done(tmp_path, *flags)[2]["unseen"] is None


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--answers", "2", "--examine", "dev"), "--answers"),
        (("--export", "preference"), "--answers 2"),
        (("--drop", "easy"), "--weak-llm-config"),
        (("--drop", "partly", "--examine", "off"), "--examine all"),
        (("--drop", "narrowed", "--judge", "off"), "--judge all"),
        (("--drop", "nonsense"), "--drop"),
        (("--drop", "unstable", "--examine", "off"), "--examine all"),
        (("--weak-llm-config", "model=small", "--examine", "off"), "--weak-llm-config"),
        (("--weak-llm-config", "modell=small"), "known keys"),
    ],
)
def test_what_does_not_fit_together_is_said_in_one_line(flags, word, tmp_path):
    assert word in failed(run(tmp_path, *GOLDEN, *flags), 2)
