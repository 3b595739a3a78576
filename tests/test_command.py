"""The whole command as a subprocess: what it writes, and what a second run makes of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import OFFLINE, PROJECT, SEEDS, TIMEOUT, Ran, environment, failed, reworded, run, served
from tests.fakes import MisbehavingServer, refused
from tests.offline_server import offline_reply

KEY = "sk-known-0123456789abcdef"


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_journal(path: Path) -> list[dict]:
    """What was exported, without the first line, which holds the settings."""
    return read_lines(path)[1:]


def summary(folder: Path, name: str = "x") -> dict:
    return json.loads((folder / f"{name}.run" / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, Ran]:
    """A finished small run, x.json; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("done")
    ran = run(folder, *OFFLINE, "--save-path", "x.json", "--export-journal", "journal.jsonl")
    assert ran.code == 0, ran.err
    return folder, ran


@pytest.fixture
def again(done, tmp_path) -> Path:
    """A copy of the finished run, to run in once more."""
    shutil.copytree(done[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


# --- What a run writes -----------------------------------------------------------------------------


def test_every_seed_is_in_the_result_or_in_the_rejects_exactly_once(done):
    folder, ran = done
    kept, lost = json.loads((folder / "x.json").read_text(encoding="utf-8")), read_lines(folder / "x.run/rejects.jsonl")
    seeds = read_lines(SEEDS)
    assert sorted(row["id"] for row in kept + lost) == list(range(len(seeds)))
    assert all(row["seed_instruction"] == seeds[row["id"]]["instruction"] for row in kept + lost)
    assert [row["id"] for row in kept] == sorted(row["id"] for row in kept)
    assert f"evolved       {len(kept)} " in ran.out


def test_the_summary_adds_up(done):
    folder, _ = done
    told = summary(folder)
    lost = read_lines(folder / "x.run/rejects.jsonl")
    assert told["rows_in"] == len(read_lines(SEEDS)) == told["evolved"] + len(lost)
    assert sum(told["eliminated"].values()) + sum(told["set_aside"].values()) + told["unavailable"] == len(lost)
    assert (
        told["calls"]
        == sum(stage["calls"] for stage in told["stages"].values())
        == len(read_journal(folder / "journal.jsonl"))
    )


def test_rows_that_are_no_seeds_are_rejects_with_their_reason(tmp_path):
    rows = [*read_lines(SEEDS), {"instruction": "  "}, read_lines(SEEDS)[0], {"instruction": 7}]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    flags = ("--offline", "--data-path", "rows.json", "--max-steps", "0", "--save-path", "x.json", "--no-report")
    assert run(tmp_path, *flags).code == 0
    assert {12: "empty", 13: "duplicate", 14: "not_text"}.items() <= {
        row["id"]: row["reason"] for row in read_lines(tmp_path / "x.run/rejects.jsonl")
    }.items()
    assert (summary(tmp_path)["rows_in"], sum(summary(tmp_path)["set_aside"].values())) == (15, 3)


def test_the_run_folder_holds_what_is_promised(done):
    folder, _ = done
    methods = read_lines(folder / "x.run/methods.jsonl")
    chosen = [method for method in methods if method["selected"]][-1]
    assert (folder / "x.run/best_method.txt").read_text(encoding="utf-8") == chosen["text"] + "\n"
    assert [(method["step"], method["draw"]) for method in methods] == [(0, 0), (1, 0), (1, 1)]
    assert "Auto" not in os.listdir(folder)
    assert {"config.json", "journal.sqlite", "run.log"} <= set(os.listdir(folder / "x.run"))
    assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_logs_go_to_stderr_and_the_summary_to_stdout(done):
    _, ran = done
    assert ran.out.startswith("failure rate  ")
    assert "\nrows in       12\n" in ran.out
    assert "INFO" in ran.err
    assert "rows in  " not in ran.err


@pytest.mark.parametrize(("suffix", "builder"), [(".json", "json"), (".jsonl", "json"), (".parquet", "parquet")])
def test_datasets_loads_every_kind_of_result(done, tmp_path, suffix, builder):
    import datasets

    datasets.disable_progress_bars()
    path = done[0] / f"x{suffix}"
    if not path.exists():
        assert run(tmp_path, *OFFLINE, "--save-path", path.name).code == 0
        path = tmp_path / path.name
    loaded = datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    expected = json.loads((done[0] / "x.json").read_text(encoding="utf-8"))
    assert list(loaded) == expected


def test_a_test_run_evolves_ten_rows(tmp_path):
    assert run(tmp_path, *OFFLINE, "--save-path", "x.jsonl", "--test-run", "1").code == 0
    ids = [row["id"] for name in ("x.jsonl", "x.run/rejects.jsonl") for row in read_lines(tmp_path / name)]
    assert sorted(ids) == list(range(10))
    assert summary(tmp_path)["rows_in"] == 10


def test_zero_steps_use_the_initial_method_and_learn_nothing(tmp_path):
    assert run(tmp_path, *OFFLINE, "--save-path", "x.jsonl", "--max-steps", "0").code == 0
    initial = (PROJECT / "prompts/initial_method.txt").read_text(encoding="utf-8").strip()
    assert (tmp_path / "x.run/best_method.txt").read_text(encoding="utf-8").strip() == initial
    assert read_lines(tmp_path / "x.run/methods.jsonl") == []
    assert not {"analyze", "optimize", "compare"} & summary(tmp_path)["stages"].keys()


def test_zero_generations_write_the_seeds_and_answer_those_without_an_answer(tmp_path):
    assert run(tmp_path, *OFFLINE, "--save-path", "x.jsonl", "--generations", "0", "--max-steps", "0").code == 0
    seeds = read_lines(SEEDS)
    rows = read_lines(tmp_path / "x.jsonl")
    assert summary(tmp_path)["stages"].keys() == {"respond", "examine"}
    answered = summary(tmp_path)["stages"]["respond"]["calls"]
    assert answered == sum("response" not in seed for seed in seeds)
    assert all((row["grade"] is None) == ("response" in seeds[row["id"]]) for row in rows)
    for row in rows:
        seed = seeds[row["id"]]
        assert (row["instruction"], row["generation"], row["stages"]) == (seed["instruction"], 0, [])
        assert row["response"] == seed.get("response", row["response"]) != ""


def test_a_learned_method_can_be_read_from_its_file(again):
    ran = run(again, *OFFLINE, "--method", "x.run/best_method.txt", "--save-path", "y.json")
    assert ran.code == 0
    assert not {"analyze", "optimize"} & summary(again, "y")["stages"].keys()
    assert (again / "y.json").read_bytes() == (again / "x.json").read_bytes()


# --- The same command again ------------------------------------------------------------------------


def test_repeated_it_makes_no_call_and_the_same_bytes(again):
    before = {name: (again / name).read_bytes() for name in ("x.json", "x.run/methods.jsonl", "x.run/rejects.jsonl")}
    ran = run(again, *OFFLINE, "--save-path", "x.json")
    assert (ran.code, summary(again)["calls"]) == (0, 0)
    assert {name: (again / name).read_bytes() for name in before} == before
    assert not (again / "x.run/earlier").exists()


def test_batch_size_and_log_level_change_how_not_what(again):
    ran = run(again, *OFFLINE, "--save-path", "x.json", "--batch-size", "1", "--quiet", "--log-level", "error")
    assert (ran.code, ran.err, summary(again)["calls"]) == (0, "", 0)
    assert not (again / "x.run/earlier").exists()


def test_other_settings_keep_the_former_result_and_what_was_answered(again):
    before = {name: (again / "x.run" / name).read_bytes() for name in ("methods.jsonl", "summary.json", "config.json")}
    before["x.json"] = (again / "x.json").read_bytes()
    assert run(again, *OFFLINE, "--save-path", "x.json", "--max-steps", "0").code == 0
    assert {name: (again / "x.run/earlier/1" / name).read_bytes() for name in before} == before
    assert summary(again)["journaled"] > 0
    assert run(again, *OFFLINE, "--save-path", "x.json").code == 0
    assert sorted(os.listdir(again / "x.run/earlier")) == ["1", "2"]
    assert (again / "x.json").read_bytes() == before["x.json"]
    assert summary(again)["calls"] == 0


def test_another_seed_gives_another_split_and_other_draws(again):
    def asked(seed: str) -> tuple[set[str], set[str]]:
        export = ("--export-journal", f"{seed}.jsonl")
        assert run(again, *OFFLINE, "--seed", seed, "--save-path", f"{seed}.json", *export).code == 0
        rows = [row for row in read_journal(again / f"{seed}.jsonl") if row["stage"] == "analyze"]
        return {json.dumps(row["messages"]) for row in rows}, {row["draw"] for row in rows}

    (train_of_one, draws_of_one), (train_of_other, draws_of_other) = asked("1"), asked("2")
    assert train_of_one
    assert not train_of_one & train_of_other
    assert not draws_of_one & draws_of_other


def test_fresh_sets_everything_aside_and_asks_again(again):
    result, calls = (again / "x.json").read_bytes(), summary(again)["calls"]
    assert run(again, *OFFLINE, "--save-path", "x.json", "--fresh").code == 0
    assert (again / "x.json").read_bytes() == result
    assert summary(again)["calls"] == calls
    assert {"journal.sqlite", "x.json", "summary.json"} <= set(os.listdir(again / "x.run/earlier/1"))


@pytest.mark.parametrize("broken", ["config.json", "journal.sqlite"])
def test_fresh_is_the_way_out_of_a_broken_run_folder(again, broken):
    (again / "x.run" / broken).write_bytes(b"\x00\xff broken " * 500)
    assert "--fresh" in failed(run(again, *OFFLINE, "--save-path", "x.json"), 2)
    assert run(again, *OFFLINE, "--save-path", "x.json", "--fresh").code == 0
    assert (again / "x.run/earlier/1" / broken).read_bytes().startswith(b"\x00\xff")


# --- Replay ----------------------------------------------------------------------------------------


def test_a_replay_of_an_exported_journal_gives_the_identical_result(again):
    ran = run(again, "--replay", "journal.jsonl", "--data-path", SEEDS, "--save-path", "y.json", "--no-report")
    assert ran.code == 0, ran.err
    for name in ("{}.json", "{}.run/methods.jsonl", "{}.run/rejects.jsonl"):
        assert (again / name.format("y")).read_bytes() == (again / name.format("x")).read_bytes()
    assert summary(again, "y")["calls"] == 0


def test_a_replay_asks_with_the_prompts_of_its_recording(again):
    """Whatever has become of the files of the program since."""
    reworded(again / "journal.jsonl", "You improve how instructions are rewritten", "You better rewriting")
    ran = run(again, "--replay", "journal.jsonl", "--data-path", SEEDS, "--save-path", "y.json", "--no-report")
    assert ran.code == 0, ran.err
    assert (again / "y.json").read_bytes() == (again / "x.json").read_bytes()


def test_a_replay_that_lacks_an_answer_is_an_error(again):
    lines = (again / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line).get("stage") != "analyze"]
    (again / "less.jsonl").write_text("".join(kept), encoding="utf-8")
    assert "analyze" in failed(run(again, "--replay", "less.jsonl", "--data-path", SEEDS, "--save-path", "y.json"), 2)
    assert not (again / "y.json").exists()


def test_a_replay_uses_the_recording_alone(again):
    with (again / "journal.jsonl").open(encoding="utf-8") as file:
        (again / "settings.jsonl").write_text(file.readline(), encoding="utf-8")
    assert "evolve" in failed(
        run(again, "--replay", "settings.jsonl", "--data-path", SEEDS, "--save-path", "x.json"), 2
    )


# --- Secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_reaches_no_output_and_no_file(tmp_path, status):
    said = refused(status, f"Incorrect API key provided: {KEY}. Header was: Bearer {KEY}")
    with MisbehavingServer(offline_reply if status == 200 else lambda _: said) as server:
        (tmp_path / ".env").write_text(f"MY_LLM_KEY={KEY}\n", encoding="utf-8")
        flags = served(server.url, "api_key_env=MY_LLM_KEY", "max_retries=0", "outage_minutes=0.02")
        ran = run(tmp_path, *flags, "--save-path", "x.json", "--log-level", "debug", "--export-journal", "j.jsonl")
    (tmp_path / ".env").unlink()
    assert ran.code == (0 if status == 200 else 3)
    assert {request.headers["authorization"] for request in server.received} == {f"Bearer {KEY}"}
    assert KEY not in ran.out + ran.err
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "word", ["api_key_env=" + KEY, "api_key=" + KEY, KEY, "base_url=https://me:" + KEY + "@x.org/v1"]
)
def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path, word):
    assert KEY not in failed(run(tmp_path, *OFFLINE, "--evol-llm-config", word), 2)


# --- main.sh ---------------------------------------------------------------------------------------


def sh(script: Path, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = environment()
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    return subprocess.run(
        ["sh", str(script), *argv], cwd=folder, env=env, text=True, capture_output=True, timeout=TIMEOUT
    )


def test_main_sh_works_from_any_folder_and_in_a_path_with_spaces(tmp_path, done):
    here = tmp_path / "a folder (of mine)"
    here.mkdir()
    (here / "the $HOME project").symlink_to(PROJECT)
    ran = sh(here / "the $HOME project" / "main.sh", here, *OFFLINE, "--save-path", "my result.json")
    assert ran.returncode == 0, ran.stderr
    assert (here / "my result.json").read_bytes() == (done[0] / "x.json").read_bytes()


def test_main_sh_passes_flags_on_so_that_they_override_its_own(tmp_path):
    shutil.copy(PROJECT / "main.sh", tmp_path)
    (tmp_path / "main.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\nsys.exit(7)\n")
    ran = sh(tmp_path / "main.sh", tmp_path.parent, "--seed", "7", "--data-path", "a  b*", "")
    assert ran.returncode == 7
    argv = json.loads(ran.stdout)
    assert argv[-5:] == ["--seed", "7", "--data-path", "a  b*", ""]
    assert argv[argv.index("--seed") + 1] == "42"


def test_help_names_every_flag_of_the_configuration(tmp_path):
    from utils.config import RunConfig

    ran = run(tmp_path, "--help")
    assert ran.code == 0
    assert [name for name in RunConfig.model_fields if f"--{name.replace('_', '-')}" not in ran.out] == []
