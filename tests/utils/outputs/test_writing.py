"""What is written beside the result, as the flags say, and what is said before anything costs."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.builders import answered, evolved, method, seeds
from tests.hub_stub import HubStub
from utils.command.arguments import parse_arguments
from utils.config import RunConfig
from utils.errors import AutoEvolError, DataError
from utils.files.row_store import RowStore
from utils.files.writing import write_rows
from utils.llm.ledger import Ledger
from utils.outputs.result_files import Ran
from utils.outputs.writing import check_outputs, write_outputs
from utils.rows.counts import RowCounts
from utils.rows.records import EVOLVED, evolved_records, stored_row
from utils.rows.summary import summarize
from utils.run.run_folder import RunFolder
from utils.schema import PASSED, Learned, RowOutcome, failed
from utils.seeds import SeedSource, load_seeds


def config_of(folder: Path, *flags: str) -> RunConfig:
    return parse_arguments(["--offline", "--save-path", str(folder / "x.jsonl"), *flags])


def written(folder: Path, *flags: str) -> set[str]:
    """Names of the files that come of a run of three rows, of which one failed."""
    config = config_of(folder, *flags)
    (folder / "seeds.jsonl").write_text("".join(json.dumps({"instruction": s.text}) + "\n" for s in seeds(3)))
    with (
        load_seeds([SeedSource(str(folder / "seeds.jsonl"))], folder / "seeds.sqlite") as loaded,
        RowStore(folder / "rows.sqlite") as rows,
        RunFolder(config) as run_folder,
    ):
        for start, verdict in zip(loaded, (PASSED, failed("lost"), PASSED), strict=True):
            trajectory = evolved(start, f"{start.text} Say why.")
            rows.put(start.id, stored_row(RowOutcome(trajectory, verdict, answers=answered(trajectory)), "m"))
        write_rows(run_folder.result, evolved_records(rows), EVOLVED)
        learned = Learned([method()])
        summary = summarize(RowCounts.of(rows), learned, Ledger(), 1.0, config)
        run_folder.write("summary.json", summary.model_dump_json())
        asyncio.run(write_outputs(config, run_folder, Ran(rows, EVOLVED, learned, summary)))
    return {*os.listdir(folder), *os.listdir(folder / "x.run")}


def test_report_and_measures_are_written_unless_it_is_asked_not_to(tmp_path):
    beside = written(tmp_path)
    assert {"report.html", "measures.json"} <= beside
    measures = json.loads((tmp_path / "x.run/measures.json").read_text(encoding="utf-8"))
    assert (measures["seeds"]["rows"], [g["rows"] for g in measures["generations"]]) == (3, [2])


@pytest.mark.parametrize(
    ("flags", "locale", "lang"), [((), "ko_KR.UTF-8", "ko"), (("--lang", "en"), "ko_KR.UTF-8", "en"), ((), "C", "en")]
)
def test_the_report_is_in_the_language_of_flag_or_terminal_or_rows(tmp_path, monkeypatch, flags, locale, lang):
    monkeypatch.setenv("LC_ALL", locale)
    written(tmp_path, *flags)
    assert f'<html lang="{lang}">' in (tmp_path / "x.run/report.html").read_text(encoding="utf-8")


def test_without_a_report_nothing_is_measured(tmp_path):
    assert not {"report.html", "measures.json"} & written(tmp_path, "--no-report")


@pytest.mark.parametrize("shape", ["alpaca", "messages", "sharegpt"])
def test_an_export_lies_beside_the_result_with_the_same_rows(tmp_path, shape):
    names = written(tmp_path, "--no-report", "--export", shape)
    assert f"x.{shape}.jsonl" in names
    lines = (tmp_path / f"x.{shape}.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert all(f"Name {number} rivers. Say why." in line for number, line in zip((2, 4), lines, strict=True))


def test_no_other_shape_is_written_unasked(tmp_path):
    assert not [name for name in written(tmp_path, "--no-report") if name.startswith("x.") and ".jsonl" in name[2:]]


def test_an_export_that_could_not_be_written_is_told_first(tmp_path):
    (tmp_path / "x.alpaca.jsonl").mkdir()
    with pytest.raises(DataError, match="--export"):
        check_outputs(config_of(tmp_path, "--export", "alpaca"))
    check_outputs(config_of(tmp_path, "--export", "messages"))


@pytest.mark.parametrize("flags", [(), ("--no-report",)])
def test_a_card_that_is_uploaded_holds_the_measures(tmp_path, monkeypatch, flags):
    monkeypatch.setenv("MY_HF_TOKEN", "hf_token")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with HubStub({}, tokens=("hf_token",)) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        written(tmp_path, "--push-to-hub", "org/mine", *flags)
        uploaded = hub.repos["org/mine"].files["README.md"].decode()
    assert "| seeds | 3 | " in uploaded
    assert "| generation 1 | 2 | " in uploaded


def test_an_upload_without_a_token_is_told_first(tmp_path, monkeypatch):
    for name in ("MY_HF_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(AutoEvolError, match="MY_HF_TOKEN"):
        check_outputs(config_of(tmp_path, "--push-to-hub", "me/mine"))
