"""The whole command, offline: other methods, other seeds, comparing, planning, other shapes, judging anew."""

import json
import os
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.command import OFFLINE, SEEDS, SMALL, Ran, failed, run, run_here, served
from tests.fakes import MisbehavingServer, dead_url
from tests.offline_server import offline_reply

GOLDEN = ("--offline", "--data-path", str(SEEDS), "--no-report")
EVOL_INSTRUCT = (*GOLDEN, "--method", "evol-instruct", "--generations", "3")
OPERATIONS = {"constraints", "deepen", "concretize", "reasoning", "complicate_input", "breadth"}
SHELL = ("--max-steps", "0", "--generations", "0")  # seeds are written out as they are
EXPLORE = ("--offline", "--no-report", "--examine", "off", "--explore-samples", "2")
NARROW, WIDE = ("--explore-breadth", "3,2"), ("--explore-breadth", "4,3")
KOREAN, ENGLISH = ("--explore", "전통 발효 음식"), ("--explore", "garden birds")


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def summary(folder: Path, name: str = "x") -> dict:
    return json.loads((folder / f"{name}.run" / "summary.json").read_text(encoding="utf-8"))


def rows_of(folder: Path, name: str = "x") -> tuple[list[dict], list[dict]]:
    """What was kept and what was not."""
    return read_lines(folder / f"{name}.jsonl"), read_lines(folder / f"{name}.run" / "rejects.jsonl")


def done(folder: Path, *flags: object) -> Ran:
    """A run to x.jsonl that went well."""
    ran = run(folder, *flags, "--save-path", "x.jsonl")
    assert ran.code == 0, ran.err
    return ran


# --- Evol-Instruct ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evol_instruct(tmp_path_factory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("evol-instruct")
    return folder, done(folder, *EVOL_INSTRUCT)


def test_every_generation_of_every_seed_is_a_row_or_a_reject(evol_instruct):
    folder, ran = evol_instruct
    kept, lost = rows_of(folder)
    keys = [(row["id"], row["generation"]) for row in kept]
    assert keys == sorted(keys)
    of_lost = [(row["id"], row["generation"]) for row in lost]
    assert sorted(keys + of_lost) == [(id, generation) for id in range(12) for generation in (1, 2, 3)]
    assert "\nrows in       36\n" in ran.out


def test_the_ledger_counts_generations_and_their_reasons(evol_instruct):
    folder, _ = evol_instruct
    kept, lost = rows_of(folder)
    told = summary(folder)
    assert (told["rows_in"], told["evolved"]) == (36, len(kept))
    assert told["eliminated"] == dict(Counter(row["reason"] for row in lost))
    assert len(lost) > 0
    assert told["methods"] == []
    assert set(told["used_methods"]) == OPERATIONS
    assert not {"analyze", "optimize", "compare"} & told["stages"].keys()
    assert told["stages"]["equal"]["calls"] >= 6


def test_stages_name_the_operations_and_skip_generations_that_were_eliminated(evol_instruct):
    kept, lost = rows_of(evol_instruct[0])
    eliminated = defaultdict(set)
    for row in lost:
        if row["reason"] != "near_copy":  # found in the end: until then it was in the pool
            eliminated[row["id"]].add(row["generation"])
    for row in kept:
        before = [n for n in range(1, row["generation"]) if n in eliminated[row["id"]]]
        assert len(row["stages"]) == row["generation"] - len(before)
        assert row["stages"][-1] == {"instruction": row["instruction"], "method_id": row["method_id"]}
    used = {stage["method_id"] for row in kept for stage in row["stages"]}
    assert used == OPERATIONS


def test_each_generation_grows_out_of_the_one_before(evol_instruct):
    by_row = defaultdict(list)
    for row in rows_of(evol_instruct[0])[0]:
        by_row[row["id"]].append(row)
    pairs = [(rows[0]["stages"], rows[1]["stages"]) for rows in by_row.values() if len(rows) > 1]
    assert pairs
    assert all(later[: len(earlier)] == earlier for earlier, later in pairs)


def test_it_writes_no_best_method_and_makes_no_call_again(evol_instruct, tmp_path):
    shutil.copytree(evol_instruct[0], tmp_path, dirs_exist_ok=True)
    assert not (tmp_path / "x.run/best_method.txt").exists()
    before = (tmp_path / "x.jsonl").read_bytes()
    done(tmp_path, *EVOL_INSTRUCT)
    assert (summary(tmp_path)["calls"], (tmp_path / "x.jsonl").read_bytes()) == (0, before)


def test_without_keeping_generations_a_seed_is_one_row(tmp_path):
    done(tmp_path, *EVOL_INSTRUCT, "--no-keep-generations")
    kept, lost = rows_of(tmp_path)
    assert sorted(row["id"] for row in kept + lost) == list(range(12))
    assert {(row["generation"], len(row["stages"])) for row in kept} == {(3, 3)}


def test_a_learned_method_keeps_generations_where_that_is_asked_for(tmp_path):
    done(tmp_path, *GOLDEN, "--max-steps", "0", "--generations", "2", "--keep-generations")
    kept, lost = rows_of(tmp_path)
    assert sorted((row["id"], row["generation"]) for row in kept + lost) == [(i, n) for i in range(12) for n in (1, 2)]


# --- Exploring -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explored(tmp_path_factory) -> tuple[Path, Ran]:
    """A Korean and an English domain."""
    folder = tmp_path_factory.mktemp("explored")
    return folder, done(folder, *EXPLORE, *KOREAN, *ENGLISH, *NARROW, *SHELL)


@pytest.fixture
def explored_again(explored, tmp_path) -> Path:
    shutil.copytree(explored[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_each_domain_is_a_tree_of_its_breadth_in_its_own_language(explored):
    folder, ran = explored
    korean, english = read_lines(folder / "x.run/explored.jsonl")
    assert [korean["domain"], english["domain"]] == ["전통 발효 음식", "garden birds"]
    for tree in (korean, english):
        below = tree["root"]["children"]
        assert [len(task["children"]) for task in below] == [2, 2, 2]
        assert all(task["reason"] and len(task["instructions"]) == 2 for task in below)
    hangul = [any("가" <= letter <= "힣" for letter in task["name"]) for task in korean["root"]["children"]]
    assert all(hangul)
    assert all(task["name"].isascii() for task in english["root"]["children"])
    assert ran.out.startswith("전통 발효 음식 (9 tasks, ")
    assert "\ngarden birds (9 tasks, " in ran.out
    assert ran.out.count("└── ") == 8


def test_what_was_explored_are_the_seeds(explored):
    folder, _ = explored
    seeds, (kept, lost) = read_lines(folder / "x.run/seeds.jsonl"), rows_of(folder)
    assert [row["instruction"] for row in kept] == [row["instruction"] for row in seeds]
    assert all(row["response"] for row in kept)
    assert lost == []
    assert seeds[0]["task"].startswith("전통 발효 음식 > ")
    assert seeds[-1]["task"].startswith("garden birds > ")
    assert summary(folder)["stages"].keys() == {"explore", "respond"}


def test_explored_again_it_makes_no_call(explored_again):
    before = {name: (explored_again / name).read_bytes() for name in ("x.jsonl", "x.run/explored.jsonl")}
    ran = done(explored_again, *EXPLORE, *KOREAN, *ENGLISH, *NARROW, *SHELL)
    assert summary(explored_again)["calls"] == 0
    assert {name: (explored_again / name).read_bytes() for name in before} == before
    assert "garden birds (9 tasks, " in ran.out


def test_a_tree_can_be_widened_and_another_one_is_kept(explored_again):
    korean, english = read_lines(explored_again / "x.run/explored.jsonl")
    done(explored_again, *EXPLORE, *ENGLISH, *WIDE, *SHELL)
    grown, other = read_lines(explored_again / "x.run/explored.jsonl")
    assert other == korean
    before, after = ([task["name"] for task in tree["root"]["children"]] for tree in (english, grown))
    assert (after[:3], len(after)) == (before, 4)
    assert grown["root"]["children"][0]["instructions"] == english["root"]["children"][0]["instructions"]
    assert all(row["instruction"].isascii() for row in rows_of(explored_again)[0])
    assert len(rows_of(explored_again)[0]) > 18
    assert (explored_again / "x.run/earlier/1/x.jsonl").exists()


def test_a_tree_can_be_deepened(tmp_path):
    done(tmp_path, *EXPLORE, *KOREAN, *NARROW, "--explore-depth", "1", *SHELL)
    (shallow,) = read_lines(tmp_path / "x.run/explored.jsonl")
    done(tmp_path, *EXPLORE, *KOREAN, *NARROW, "--explore-depth", "2", *SHELL)
    (deep,) = read_lines(tmp_path / "x.run/explored.jsonl")
    for before, after in zip(shallow["root"]["children"], deep["root"]["children"], strict=True):
        assert (before["children"], len(after["children"])) == ([], 2)
        assert (after["name"], after["instructions"]) == (before["name"], before["instructions"])
    assert summary(tmp_path)["stages"]["explore"]["journaled"] == 0  # the tree itself knows


def test_explored_seeds_go_through_learning_and_the_final_run(tmp_path):
    sizes = ("--explore-breadth", "2", "--explore-depth", "1", "--explore-samples", "6")
    done(tmp_path, "--offline", *SMALL, *KOREAN, *sizes)
    kept, lost = rows_of(tmp_path)
    assert len(kept) + len(lost) == len(read_lines(tmp_path / "x.run/seeds.jsonl"))
    assert {row["generation"] for row in kept} == {1}
    assert {"explore", "analyze", "evolve"} <= summary(tmp_path)["stages"].keys()


def test_too_few_explored_seeds_are_told_before_they_are_learned_from(tmp_path):
    flags = (*EXPLORE, *ENGLISH, "--explore-depth", "1", "--explore-breadth", "2")
    assert "seeds" in failed(run(tmp_path, *flags, "--save-path", "x.jsonl"), 2)
    assert (tmp_path / "x.run/explored.jsonl").exists()


# --- Several methods, breadth, near-duplicates ---------------------------------------------------------


def test_several_methods_and_breadth_share_the_rows(tmp_path):
    flags = ("--max-steps", "2", "--candidate-size", "3", "--methods", "3", "--breadth", "0.3", "--generations", "3")
    done(tmp_path, *OFFLINE, *flags)
    told, (kept, _) = summary(tmp_path), rows_of(tmp_path)
    used = Counter(stage["method_id"] for row in kept for stage in row["stages"])
    assert 1 < len(told["used_methods"]) <= 3
    assert set(used) == {*told["used_methods"], "breadth"}
    assert 0.1 < used["breadth"] / used.total() < 0.5
    rates = {method["method_id"]: method["failure_rate"] for method in told["methods"]}
    winner = [method for method in told["methods"] if method["selected"]][-1]
    assert told["used_methods"][0] == winner["method_id"]
    assert max(rates[name] for name in told["used_methods"]) <= winner["interval"][1]


def test_a_row_too_close_to_another_is_a_near_copy(tmp_path):
    flags = (*GOLDEN, "--max-steps", "0")
    done(tmp_path, *flags, "--max-overlap", "1")
    free = {row["id"]: row for row in rows_of(tmp_path)[0]}
    ran = done(tmp_path, *flags, "--max-overlap", "0.1")
    kept, lost = rows_of(tmp_path)
    copies = [row for row in lost if row["reason"] == "near_copy"]
    assert copies
    assert all(row["instruction"] == free[row["id"]]["instruction"] for row in copies)
    assert f"near_copy {len(copies)}" in ran.out
    assert len(kept) + len(lost) == 12


# --- Judging anew, for free ------------------------------------------------------------------------


def test_another_threshold_costs_no_call_and_the_former_result_is_kept(tmp_path):
    flags = (*GOLDEN, "--max-steps", "0")
    before = done(tmp_path, *flags)
    result, told = (tmp_path / "x.jsonl").read_bytes(), summary(tmp_path)
    after = done(tmp_path, *flags, "--max-overlap", "0.1")
    assert told["calls"] > 0
    assert summary(tmp_path)["calls"] == 0
    assert summary(tmp_path)["evolved"] < told["evolved"]
    assert "near_copy" in after.out
    assert "changed since" not in before.out
    assert f"{told['evolved']} -> {summary(tmp_path)['evolved']}" in after.out.partition("changed since")[2]
    kept = tmp_path / "x.run/earlier/1"
    assert (kept / "x.jsonl").read_bytes() == result
    assert json.loads((kept / "summary.json").read_text(encoding="utf-8")) == told


def test_a_stricter_rule_costs_no_call(tmp_path, monkeypatch, capsys):
    """One attempt a row: a rule that finds more would have the row tried again, which is a call."""
    flags = (*GOLDEN, "--max-steps", "0", "--attempts", "1", "--quiet", "--save-path", tmp_path / "x.jsonl")
    assert run_here(*flags) == 0
    before = summary(tmp_path)
    first = capsys.readouterr().out
    monkeypatch.setattr("validator.verdicts.first_answer_rule", lambda instruction, answer: "broken")
    assert run_here(*flags) == 4
    after = summary(tmp_path)
    assert (before["calls"] > 0, after["calls"], after["evolved"]) == (True, 0, 0)
    assert after["eliminated"]["broken"] == before["evolved"]
    assert f"broken {before['evolved']}" in capsys.readouterr().out
    assert "broken" not in first


# --- Comparing -------------------------------------------------------------------------------------


def compare_json(folder: Path) -> list[dict]:
    return json.loads((folder / "x.run/compare.json").read_text(encoding="utf-8"))


def test_methods_are_compared_over_the_same_rows_in_one_table(tmp_path):
    ran = done(tmp_path, *OFFLINE, "--compare", "auto,evol-instruct")
    head, first, second, *lost = ran.out.splitlines()
    assert head.split()[:3] == ["method", "rows", "retention"]
    assert (first.split()[0], second.split()[0]) == ("auto", "evol-instruct")
    assert [line.partition(":")[0] for line in lost] == ["auto eliminated", "evol-instruct eliminated"]
    figures = compare_json(tmp_path)
    assert [figure["method"] for figure in figures] == ["auto", "evol-instruct"]
    for number, (figure, line) in enumerate(zip(figures, (first, second), strict=True), start=1):
        folder = tmp_path / f"x.run/compare/{number}"
        assert figure["summary"] == json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert line.split()[1] == f"{figure['summary']['evolved']}/12"
        kept, lost = read_lines(folder / "result.jsonl"), read_lines(folder / "rejects.jsonl")
        assert sorted(row["id"] for row in kept + lost) == list(range(12))
    assert not (tmp_path / "x.jsonl").exists()


def test_a_comparison_shares_one_budget_and_goes_on_where_it_stopped(tmp_path, capsys):
    flags = (*GOLDEN, "--compare", "auto,evol-instruct", "--max-steps", "0", "--quiet", "--log-level", "error")
    path = tmp_path / "x.jsonl"
    assert run_here(*flags, "--save-path", path) == 0
    whole = capsys.readouterr().out
    (of_first, of_second) = (figure["summary"]["calls"] for figure in compare_json(tmp_path))
    assert run_here(*flags, "--save-path", path, "--fresh", "--max-calls", of_first + 3) == 5
    message = capsys.readouterr().err
    assert f"--max-calls {of_first + 3} is used up" in message
    assert f"{of_first + 3} answers are kept" in message
    assert run_here(*flags, "--save-path", path, "--max-calls", of_second - 3) == 0  # what is left, to the last call
    columns = [line.split()[:4] for line in whole.splitlines()[:3]]
    assert [line.split()[:4] for line in capsys.readouterr().out.splitlines()[:3]] == columns
    assert [figure["summary"]["calls"] for figure in compare_json(tmp_path)] == [0, of_second - 3]


def test_a_method_that_is_not_there_is_told_before_any_is_run(tmp_path):
    message = failed(run(tmp_path, *OFFLINE, "--compare", "auto,gone.txt", "--save-path", "x.jsonl"), 2)
    assert "gone.txt" in message
    assert not (tmp_path / "x.run").exists()


# --- The plan --------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--tag", "--method", "evol-instruct"), ("--compare", "auto,evol-instruct")])
def test_a_plan_makes_no_folder_and_no_call(tmp_path, more):
    with MisbehavingServer(offline_reply) as server:
        ran = run(tmp_path, *served(server.url), *more, "--plan", "--save-path", "x.jsonl")
    assert (ran.code, server.received, os.listdir(tmp_path)) == (0, [], [])
    assert ran.out.splitlines()[0].startswith("stage ")
    assert "final: evolve" in ran.out
    assert ("tagging" in ran.out) == ("--tag" in more)
    assert ran.out.count("final: evolve") == (2 if "--compare" in more else 1)


def test_a_plan_needs_no_key(tmp_path):
    flags = ("--data-path", str(SEEDS), *SMALL, "--plan")
    assert run(tmp_path, *flags).code == 0


def test_a_plan_knows_what_the_journal_holds(tmp_path):
    flags = (*GOLDEN, "--max-steps", "0")
    done(tmp_path, *flags)
    ran = run(tmp_path, *flags, "--plan", "--save-path", "x.jsonl")
    calls = summary(tmp_path)["calls"]
    total = next(line for line in ran.out.splitlines() if line.startswith("all "))
    assert total.split()[-1] == str(calls)
    assert not (tmp_path / "x.run/earlier").exists()


def test_a_plan_for_domains_asks_for_nothing_either(tmp_path):
    ran = run(tmp_path, *EXPLORE, *KOREAN, "--plan")
    assert (ran.code, os.listdir(tmp_path)) == (0, [])
    assert ran.out.splitlines()[1].startswith("explore ")


# --- Tags, shapes, report --------------------------------------------------------------------------


def test_tags_are_of_as_many_evolved_rows_as_seeds_however_many_generations_there_are(tmp_path):
    done(tmp_path, *EVOL_INSTRUCT, "--tag", "--tag-size", "20")
    told = json.loads((tmp_path / "x.run/tags.json").read_text(encoding="utf-8"))
    assert told.keys() == {"seeds", "evolved"}
    assert (told["seeds"]["instructions"], told["evolved"]["instructions"]) == (12, 12)
    assert summary(tmp_path)["stages"]["tag"]["calls"] >= 3


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> Path:
    """The journal of a run without learning, for tests of what is written: they need not ask anew."""
    folder = tmp_path_factory.mktemp("answered")
    done(folder, *GOLDEN, "--max-steps", "0", "--export-journal", "j.jsonl")
    return folder


SHAPES = {
    "alpaca": {"instruction", "input", "output"},
    "messages": {"messages"},
    "sharegpt": {"conversations"},
}


@pytest.mark.parametrize(("shape", "suffix"), [("alpaca", ".json"), ("messages", ".parquet"), ("sharegpt", ".jsonl")])
def test_an_export_loads_with_datasets(answered, tmp_path, shape, suffix):
    import datasets

    datasets.disable_progress_bars()
    flags = (*GOLDEN, "--max-steps", "0", "--quiet", "--replay", answered / "j.jsonl")
    assert run_here(*flags, "--save-path", tmp_path / f"x{suffix}", "--export", shape) == 0
    path = tmp_path / f"x.{shape}{suffix}"
    builder = "parquet" if suffix == ".parquet" else "json"
    loaded = datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    rows = read_lines(answered / "x.jsonl")
    assert set(loaded.column_names) == SHAPES[shape]
    assert len(loaded) == len(rows)
    for row, exported in zip(rows, loaded, strict=True):
        assert json.dumps(row["instruction"]) in json.dumps(exported)
        assert json.dumps(row["response"]) in json.dumps(exported)


def test_report_and_measures_are_there_unless_it_is_asked_not_to(answered, tmp_path):
    flags = ("--offline", "--data-path", SEEDS, "--max-steps", "0", "--quiet", "--replay", answered / "j.jsonl")
    assert run_here(*flags, "--save-path", tmp_path / "x.jsonl") == 0
    measures = json.loads((tmp_path / "x.run/measures.json").read_text(encoding="utf-8"))
    assert measures["seeds"]["rows"] == 12
    assert measures["generations"][0]["rows"] == len(read_lines(tmp_path / "x.jsonl"))
    report = (tmp_path / "x.run/report.html").read_text(encoding="utf-8")
    assert report.startswith("<!DOCTYPE html>") or report.startswith("<!doctype html>")
    assert not {"report.html", "measures.json"} & set(os.listdir(answered / "x.run"))


def test_what_was_measured_and_tagged_goes_with_the_former_result(answered, tmp_path):
    shutil.copytree(answered, tmp_path, dirs_exist_ok=True)
    for name in ("measures.json", "tags.json"):
        (tmp_path / "x.run" / name).write_text("of the former result")
    done(tmp_path, *GOLDEN, "--max-steps", "0", "--max-overlap", "0.6")
    assert not {"tags.json", "measures.json"} & set(os.listdir(tmp_path / "x.run"))
    assert {"tags.json", "measures.json"} <= set(os.listdir(tmp_path / "x.run/earlier/1"))


# --- A recording elsewhere; several servers --------------------------------------------------------


def test_a_recording_replays_from_another_folder_with_its_seeds_beside_it(tmp_path):
    home, away, elsewhere = (tmp_path / name for name in ("home", "away", "elsewhere"))
    for folder in (home, away, elsewhere):
        folder.mkdir()
    shutil.copy(SEEDS, home / "seeds.jsonl")
    made = run(home, "--offline", "--data-path", "seeds.jsonl", *SMALL, "--save-path", "x.jsonl",
               "--export-journal", "recording.jsonl")  # fmt: skip
    assert made.code == 0, made.err
    for name in ("seeds.jsonl", "recording.jsonl"):
        (home / name).rename(away / name)
    ran = run(elsewhere, "--replay", away / "recording.jsonl", "--save-path", "x.jsonl", "--no-report")
    assert ran.code == 0, ran.err
    assert summary(elsewhere)["calls"] == 0
    for name in ("x.jsonl", "x.run/rejects.jsonl", "x.run/methods.jsonl"):
        assert (elsewhere / name).read_bytes() == (home / name).read_bytes()


def test_a_recording_without_its_seeds_says_so(answered, tmp_path):
    settings, _, others = (answered / "j.jsonl").read_text(encoding="utf-8").partition("\n")
    (tmp_path / "j.jsonl").write_text(settings.replace(str(SEEDS), "gone/seeds.jsonl") + "\n" + others)
    assert "gone/seeds.jsonl" in failed(run(tmp_path, "--replay", "j.jsonl", "--save-path", "y.jsonl"), 2)


def test_several_servers_share_the_work_and_a_dead_one_costs_no_row(answered, tmp_path):
    with MisbehavingServer(offline_reply) as one, MisbehavingServer(offline_reply) as other, dead_url() as dead:
        flags = served(one.url, f"base_url={dead}", f"base_url={other.url}")
        done(tmp_path, *flags, "--max-steps", "0", "--judge", "all")
        shares = [len(server.received) for server in (one, other)]
    told, (kept, lost) = summary(tmp_path), rows_of(tmp_path)
    assert (told["unavailable"], len(kept) + len(lost)) == (0, 12)
    assert sum(shares) == told["calls"]
    assert min(shares) > told["calls"] // 5
