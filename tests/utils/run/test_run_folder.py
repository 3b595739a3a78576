"""The run folder: one run at a time, nothing of an earlier one lost, no secret in it."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from tests.builders import seed
from tests.object_store import environment, object_store
from utils.command.arguments import parse_arguments
from utils.errors import DataError, JournalError
from utils.files.storage import LocalFolder, ObjectStore
from utils.llm.batch.records import Records
from utils.run.run_folder import OF_A_RUN, OF_CLUSTER, SUCCESS, RunFolder, check_output, check_partitions
from utils.schema import Completion, Message, Request, Sampling

REQUEST = Request("evolve", "m", (Message("user", seed().text),), Sampling(0.0))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(*argv: str) -> RunFolder:
    return RunFolder(parse_arguments(["--offline", "--save-path", "x.json", *argv]))


def a_run(text: str, *argv: str) -> None:
    """What a finished run leaves, `text` in all its files."""
    with opened(*argv) as folder:
        folder.journal.put(REQUEST, Completion(text))
        folder.write_lines("methods.jsonl", [{"of": text}])
        folder.write_lines("rejects.jsonl", [{"of": text}])
        folder.write("best_method.txt", text)
        folder.write("summary.json", json.dumps(text))
        folder.result.write_text(json.dumps([text]))


def shelves() -> list[str]:
    return sorted(os.listdir("x.run/earlier")) if Path("x.run/earlier").exists() else []


def test_the_same_settings_go_on_in_the_same_folder():
    a_run("one")
    with opened() as folder:
        assert folder.journal.get(REQUEST) == Completion("one")
    assert shelves() == []


def test_what_is_only_how_a_run_is_done_is_no_other_setting():
    a_run("one")
    opened("--quiet", "--batch-size", "3", "--log-level", "error").close()
    assert shelves() == []


def test_other_settings_put_all_but_the_journal_on_a_shelf_of_its_own():
    a_run("one")
    a_run("two", "--seed", "1")
    with opened("--seed", "2") as folder:
        assert folder.journal.get(REQUEST) == Completion("two")
    assert shelves() == ["1", "2"]
    for number, text in (("1", "one"), ("2", "two")):
        shelf = Path("x.run/earlier") / number
        assert json.loads((shelf / "x.json").read_text()) == [text]
        assert (shelf / "best_method.txt").read_text() == text
        assert not (shelf / "journal.sqlite").exists()
    assert json.loads(Path("x.json").read_text()) == ["two"]
    assert not Path("x.run/methods.jsonl").exists()


def test_the_tenth_shelf_does_not_replace_the_second():
    for number in range(12):
        a_run(str(number), "--seed", str(number))
    assert sorted(map(int, shelves())) == list(range(1, 12))
    assert Path("x.run/earlier/11/best_method.txt").read_text() == "10"


def test_fresh_sets_the_journal_aside_as_well():
    a_run("one")
    with opened("--fresh") as folder:
        assert folder.journal.get(REQUEST) is None
    assert Path("x.run/earlier/1/journal.sqlite").exists()
    assert Path("x.json").exists()


def test_fresh_names_the_batches_that_it_leaves_under_way(caplog):
    with opened() as folder:
        records = Records(folder.journal)
        for number in (1, 2, 3):
            records.sent(records.begin("there", [b"k" * 16]), f"batch_{number}")
        records.end(records.unread()[1])
        records.begin("there", [b"l" * 16])
    opened("--fresh").close()
    (said,) = [record.getMessage() for record in caplog.records if "under way" in record.getMessage()]
    assert said.startswith("--fresh leaves 2 batches under way")
    assert "(batch_1, batch_3)" in said
    caplog.clear()
    opened("--fresh").close()
    assert not caplog.records


def test_fresh_on_nothing_is_nothing_special():
    opened("--fresh").close()
    assert shelves() == []


def test_a_result_without_a_run_folder_is_kept():
    Path("x.json").write_text("mine")
    opened().close()
    assert Path("x.run/earlier/1/x.json").read_text() == "mine"
    assert Path("x.json").read_text() == "mine"


def test_a_former_result_that_cannot_be_kept_is_an_error_and_all_stays_in_place(monkeypatch):
    def full(*_: object) -> None:
        Path("x.run/earlier/1/x.json").write_text("half")
        raise OSError(28, "No space left on device")

    a_run("one")
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(DataError, match="No space"):
        opened("--seed", "1")
    assert not Path("x.run/earlier/1/x.json").exists()
    assert json.loads(Path("x.json").read_text()) == ["one"]
    assert Path("x.run/best_method.txt").read_text() == "one"


def test_one_process_at_a_time_and_the_next_may_when_it_is_done():
    with opened(), pytest.raises(DataError, match="another run is using"):
        opened()
    opened().close()


def test_a_folder_that_could_not_be_opened_is_not_left_locked():
    Path("x.run").mkdir()
    Path("x.run/journal.sqlite").write_bytes(b"something else altogether" * 200)
    with pytest.raises(JournalError):
        opened()
    Path("x.run/journal.sqlite").unlink()
    opened().close()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00"])
def test_a_configuration_that_cannot_be_read_is_an_error_and_fresh_the_way_out(content):
    a_run("one")
    Path("x.run/config.json").write_text(content)
    with pytest.raises(DataError, match="--fresh"):
        opened()
    opened("--fresh").close()
    assert json.loads(Path("x.run/earlier/1/x.json").read_text()) == ["one"]


def test_a_replay_answers_from_the_recording_alone_and_leaves_the_journal_as_it_is():
    a_run("one")
    with opened() as folder:
        folder.journal.export(Path("recording.jsonl"))
    a_run("two")
    replay = ["--data-path", "s.jsonl", "--save-path", "x.json", "--replay", "recording.jsonl"]
    with RunFolder(parse_arguments(replay)) as folder:
        assert folder.journal.get(REQUEST) == Completion("one")
    with opened() as folder:
        assert folder.journal.get(REQUEST) == Completion("two")


def test_the_configuration_names_variables_not_keys(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    opened("--evol-llm-config", "api_key_env=MY_KEY", "model=m").close()
    text = Path("x.run/config.json").read_text()
    assert "MY_KEY" in text
    assert "sk-very-secret" not in text


def test_the_log_ends_with_the_folder():
    with opened():
        logging.getLogger("auto-evol").warning("within 한글")
    logging.getLogger("auto-evol").warning("after")
    text = Path("x.run/run.log").read_text(encoding="utf-8")
    assert "within 한글" in text
    assert "after" not in text


@pytest.mark.parametrize("name", ["run.log", "config.json"])
def test_a_file_that_cannot_be_written_is_one_line(name):
    Path("x.run", name).mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        opened()
    assert name in str(caught.value)


def test_all_files_but_the_journal_are_known():
    assert "journal.sqlite" not in OF_A_RUN
    a_run("one")
    assert set(os.listdir("x.run")) <= {*OF_A_RUN, "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"}


@pytest.mark.parametrize("path", ["gone/x.json", "folder", "file/x.json", "x" * 300, "y" * 300 + "/x.json"])
def test_where_nothing_can_be_written_is_said_before_anything_costs(path):
    Path("folder").mkdir()
    Path("file").touch()
    with pytest.raises(DataError, match="--some-flag"):
        check_output(Path(path), "--some-flag")
    assert sorted(os.listdir()) == ["file", "folder"]
    check_output(Path("folder/fine.json"), "--some-flag")
    assert os.listdir("folder") == []


def test_a_folder_takes_no_place_of_a_file_nor_a_file_that_of_a_folder():
    Path("x.parquet").touch()
    with pytest.raises(DataError, match=r"x\.parquet is a file, where --engine ray writes a folder"):
        check_output(Path("x.parquet"), "--save-path", partitions=True)
    check_output(Path("x.parquet"), "--save-path")
    Path("x.parquet").unlink()
    Path("x.parquet").mkdir()
    check_output(Path("x.parquet"), "--save-path", partitions=True)
    with pytest.raises(DataError, match="name a file"):
        check_output(Path("x.parquet"), "--save-path")


# --- Results in partitions ------------------------------------------------------------------------


def a_run_in_partitions(text: str, *argv: str) -> None:
    """What a run on a cluster leaves."""
    with opened("--save-path", "x.parquet", *argv) as folder:
        folder.write("summary.json", json.dumps(text))
        for place in ("x.parquet", "x.run/rejects", *(f"x.run/{name}" for name in OF_CLUSTER)):
            LocalFolder(Path(place)).write("part-10-000000.parquet", text.encode())


def test_partitions_of_other_settings_are_shelved_and_what_was_paid_for_stays():
    a_run_in_partitions("one")
    a_run_in_partitions("two", "--seed", "1")
    shelf = Path("x.run/earlier/1")
    for place in (shelf / "x.parquet", shelf / "rejects"):
        assert (place / "part-10-000000.parquet").read_text() == "one"
    assert not [name for name in OF_CLUSTER if (shelf / name).exists()]
    opened("--save-path", "x.parquet", "--seed", "1", "--fresh").close()
    assert (Path("x.run/earlier/2/journal") / "part-10-000000.parquet").read_text() == "two"
    assert not [name for name in OF_CLUSTER if Path("x.run", name).exists()]


def test_a_folder_of_partitions_is_told_from_other_folders(tmp_path):
    store = LocalFolder(tmp_path / "x.parquet")
    for name in ("part-10-000000.parquet", SUCCESS, ".this_folder"):
        store.write(name, b"")
    check_partitions(store, "x.parquet")
    store.write("mine.parquet", b"")
    with pytest.raises(DataError, match=r"x\.parquet holds mine\.parquet, which no run has written"):
        check_partitions(store, "x.parquet")


def test_in_an_object_store_fresh_forgets_what_was_paid_for(tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "x.parquet").mkdir()  # somebody else's, of the same name, here
    with object_store() as variables, environment(variables):
        store = ObjectStore("s3://bucket/out/x.run")
        for name in (*OF_CLUSTER, "rejects"):
            store.write(f"{name}/part-10-000000.parquet", b"")
        words = ("--engine", "ray", "--save-path", "s3://bucket/out/x.parquet")
        opened(*words).close()
        assert len(store.names("")) == len(OF_CLUSTER) + 1
        opened(*words, "--fresh").close()
        assert store.names("") == ["rejects/part-10-000000.parquet"]
    assert (tmp_path / "x.parquet").exists()
