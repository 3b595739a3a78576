"""`--hold-out`: seeds that are evolved and answered like all, but kept out of learning and of the result."""

import json
from pathlib import Path

import pytest

from tests.command import OFFLINE, SEEDS, SMALL, failed, run
from utils.command.arguments import parse_arguments
from utils.rows.held_out import draw_held_out
from utils.seeds import SeedSource, load_seeds

QUARTER = ("--hold-out", "0.25", "--dev-size", "5")
FIXED = ("--offline", "--data-path", str(SEEDS), "--no-report", "--method", "evol-instruct", "--generations", "2")
AS_THEY_ARE = (*OFFLINE, "--max-steps", "0", "--generations", "0")
DRAWN = draw_held_out(range(12), 0.25, 42)
TEXTS = [json.loads(line)["instruction"] for line in SEEDS.read_text(encoding="utf-8").splitlines()]


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))


def ids(path: Path) -> set[int]:
    return {row["id"] for row in read(path)}


def done(folder: Path, *flags: object, name: str = "x.json") -> dict:
    """The summary of a run that went well."""
    ran = run(folder, *flags, "--save-path", name)
    assert ran.code == 0, ran.err
    return json.loads((folder / name).with_suffix(".run").joinpath("summary.json").read_text())


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> tuple[Path, dict]:
    """A run that learned, with its journal as `j.jsonl`."""
    folder = tmp_path_factory.mktemp("learned")
    return folder, done(folder, *OFFLINE, *QUARTER, "--export-journal", "j.jsonl")


# --- The draw --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "of", "count"), [(0.1, 48, 5), (0.1, 3, 1), (0.99, 10, 9), (0.5, 1, 0), (0, 9, 0)])
def test_a_share_is_at_least_one_seed_and_never_all(share, of, count):
    assert len(draw_held_out(range(of), share, 42)) == count


def test_the_draw_depends_on_the_seed_alone():
    numbers = range(5, 1_000, 3)
    drawn = draw_held_out(numbers, 0.1, 42)
    assert drawn == draw_held_out(numbers, 0.1, 42) != draw_held_out(numbers, 0.1, 43)
    assert drawn < set(numbers)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_held_out_is_never_learned_from(seed, tmp_path):
    flags = ["--offline", "--train-size", "4", "--dev-size", "5", "--seed", str(seed)]
    with load_seeds([SeedSource(str(SEEDS))], tmp_path / "s") as seeds:
        config = parse_arguments([*flags, *QUARTER])
        train, dev = seeds.split(config)
        assert len({*train, *dev, *seeds.held_out(config)}) == 4 + 5 + 3 == len(seeds)


def test_flags_that_leave_too_few_seeds_to_learn_from_are_an_error(tmp_path):
    ran = run(tmp_path, *OFFLINE, *QUARTER, "--train-size", "6")
    assert "only 9" in failed(ran, 2)


# --- The run ---------------------------------------------------------------------------------------


def test_every_seed_is_in_one_place_and_the_counts_add_up(learned):
    folder, summary = learned
    kept, apart = ids(folder / "x.json"), ids(folder / "x.heldout.json")
    lost = {json.loads(line)["id"] for line in (folder / "x.run/rejects.jsonl").read_text().splitlines()}
    assert not kept & apart
    assert kept | apart | lost == set(range(12))
    assert apart == DRAWN - lost
    assert (summary["rows_in"], summary["held_out"]) == (12, len(apart))
    assert summary["rows_in"] == len(kept) + len(apart) + len(lost)
    assert summary["retention"] == (len(kept) + len(apart)) / 12


def test_no_call_of_learning_shows_a_seed_that_is_held_out(learned):
    folder, _ = learned
    apart = [TEXTS[row_id] for row_id in DRAWN]
    shown = {"evolve": "", "analyze": "", "optimize": ""}
    for line in (folder / "j.jsonl").read_text(encoding="utf-8").splitlines()[1:]:
        call = json.loads(line)
        if call["stage"] in shown:
            shown[call["stage"]] += "".join(message["content"] for message in call["messages"])
    assert all(shown.values())
    assert [shown[stage].count(text) for stage in ("analyze", "optimize") for text in apart] == [0] * 6
    assert all(text in shown["evolve"] for text in apart)  # in the final run


def test_another_run_with_the_same_seed_holds_the_same_rows_out(learned, tmp_path):
    done(tmp_path, *AS_THEY_ARE, *QUARTER)
    assert ids(tmp_path / "x.heldout.json") == DRAWN >= ids(learned[0] / "x.heldout.json")
    assert all(row["instruction"] == row["seed_instruction"] for row in read(tmp_path / "x.heldout.json"))


def test_rows_are_what_they_would_be_without_it_in_every_generation(tmp_path):
    done(tmp_path, *FIXED, name="all.json")
    summary = done(tmp_path, *FIXED, *QUARTER)
    rows = read(tmp_path / "x.json") + read(tmp_path / "x.heldout.json")
    assert sorted(rows, key=lambda row: (row["id"], row["generation"])) == read(tmp_path / "all.json")
    assert not ids(tmp_path / "x.json") & ids(tmp_path / "x.heldout.json")
    assert summary["held_out"] == len(read(tmp_path / "x.heldout.json")) > 3


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_the_file_has_the_form_of_the_result_and_no_export_holds_its_rows(suffix, tmp_path):
    from datasets import load_dataset

    done(tmp_path, *AS_THEY_ARE, *QUARTER, "--export", "messages", name=f"x{suffix}")
    kind = "parquet" if suffix == ".parquet" else "json"
    result, apart, export = (
        load_dataset(kind, data_files=str(tmp_path / f"x{name}{suffix}"), split="train", cache_dir=str(tmp_path / "c"))
        for name in ("", ".heldout", ".messages")
    )
    assert list(apart.features) == list(result.features)
    assert (len(result), len(apart), len(export)) == (9, 3, 9)


def test_a_report_shows_them_and_its_counts_add_up(tmp_path):
    flags = [flag for flag in AS_THEY_ARE if flag != "--no-report"]
    done(tmp_path, *flags, *QUARTER, "--lang", "en")
    page = " ".join((tmp_path / "x.run/report.html").read_text(encoding="utf-8").split())
    assert '<dt>Held out</dt><dd class="value">3</dd>' in page
    assert page.count('"outcome": "held_out"') + page.count('"outcome":"held_out"') == 3
    assert "do not add up" not in page


def test_a_trial_of_ten_seeds_holds_out_those_of_the_draw_that_are_among_them(tmp_path):
    done(tmp_path, *AS_THEY_ARE, *QUARTER, "--test-run", "1", "--seed", "1")
    assert draw_held_out(range(12), 0.25, 1) == {3, 10, 11}
    assert ids(tmp_path / "x.heldout.json") == {3}


# --- The file --------------------------------------------------------------------------------------


def test_what_a_run_of_other_settings_held_out_is_kept_with_its_result(tmp_path):
    done(tmp_path, *AS_THEY_ARE, *QUARTER)
    before = read(tmp_path / "x.heldout.json")
    done(tmp_path, *AS_THEY_ARE)
    assert not (tmp_path / "x.heldout.json").exists()
    assert read(tmp_path / "x.run/earlier/1/x.heldout.json") == before


def test_a_place_that_cannot_be_written_is_told_before_anything_is_asked(tmp_path):
    (tmp_path / "x.heldout.json").mkdir()
    assert "--hold-out" in failed(run(tmp_path, *OFFLINE, *QUARTER, "--save-path", "x.json"), 2)


def test_the_file_that_is_read_is_not_overwritten(tmp_path):
    (tmp_path / "x.heldout.jsonl").write_text(SEEDS.read_text(encoding="utf-8"), encoding="utf-8")
    flags = ("--offline", *SMALL, "--data-path", "x.heldout.jsonl", *QUARTER)
    assert "--data-path" in failed(run(tmp_path, *flags, "--save-path", "x.jsonl"), 2)


def test_a_folder_of_seeds_is_read_without_it(tmp_path):
    (tmp_path / "s.jsonl").write_text(SEEDS.read_text(encoding="utf-8"), encoding="utf-8")
    flags = ("--offline", *SMALL, "--max-steps", "0", "--data-path", ".", *QUARTER)
    assert [done(tmp_path, *flags)["rows_in"], done(tmp_path, *flags, "--seed", "7")["rows_in"]] == [12, 12]


@pytest.mark.parametrize("share", ["1", "-0.1", "half"])
def test_what_is_no_share_is_an_error(share, tmp_path):
    assert "--hold-out" in failed(run(tmp_path, *OFFLINE, "--hold-out", share), 2)
