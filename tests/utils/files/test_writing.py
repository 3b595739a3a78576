"""Result files: written whole or not at all, streamed, and the same in all formats."""

import json
import os
import subprocess
import sys

import pytest

from tests.builders import HOSTILE, answered, evolved, score, seed
from utils.errors import DataError
from utils.files import writing
from utils.files.storage import LocalFolder
from utils.files.writing import dumps, replacing, write_parts, write_rows
from utils.rows.records import (
    EVOLVED,
    evolved_row,
    method_record,
    reject,
    result_records,
    set_aside_row,
    stored_row,
)
from utils.schema import (
    PASSED,
    UNJUDGED,
    Candidate,
    Finding,
    Method,
    RowOutcome,
    SeedInstruction,
    SetAside,
    Trajectory,
    failed,
    unscored,
)


def outcome(trajectory: Trajectory, verdict=PASSED, finding=None, answer: str | None = "an answer") -> RowOutcome:
    return RowOutcome(
        trajectory, verdict, finding, None if answer is None else answered(trajectory, answer), attempts=2
    )


TEXTS = [*HOSTILE.values(), "", "\x00\x1f\u2028", "👩‍👩‍👧‍👦 é ﬁ"]
RECORDS = [stored_row(outcome(evolved(seed(text, id), text + "!")), "a-model")[1] for id, text in enumerate(TEXTS)]
ROWS = list(result_records(RECORDS, EVOLVED))


def read(path) -> list[dict]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.split("\n")[:-1]]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("count", [0, 1, len(ROWS)])
def test_what_is_written_comes_back_equal(tmp_path, suffix, count):
    path = tmp_path / f"x{suffix}"
    assert write_rows(path, iter(ROWS[:count]), EVOLVED) == count
    assert read(path) == ROWS[:count]
    assert os.listdir(tmp_path) == [path.name]


def test_parquet_is_written_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.files.writing.PARQUET_BATCH", 4)
    path = tmp_path / "x.parquet"
    assert write_rows(path, iter(ROWS), EVOLVED) == len(ROWS)
    assert read(path) == ROWS


def test_characters_are_written_as_they_are_one_record_a_line(tmp_path):
    write_rows(tmp_path / "x.json", [{"a": "한국어\n두 줄"}, {"a": "b"}])
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '[\n{"a": "한국어\\n두 줄"},\n{"a": "b"}\n]\n'
    assert dumps("é") == '"é"'


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bug")])
def test_whatever_goes_wrong_the_old_file_stays_and_nothing_else(tmp_path, suffix, error):
    def rows():
        yield from ROWS
        raise error

    path = tmp_path / f"x{suffix}"
    path.write_text("old")
    with pytest.raises(DataError if isinstance(error, OSError) else type(error)) as caught:
        write_rows(path, rows(), EVOLVED)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_a_disk_that_is_full_while_the_rows_are_written(tmp_path, suffix):
    """In a process of its own, as the limit holds for all files of a process."""
    path = tmp_path / f"x{suffix}"
    path.write_text("old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.utils.files.test_writing import ROWS; from utils.files.writing import write_rows\n"
        "from utils.rows.records import EVOLVED\n"
        "import pyarrow.parquet\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\n"
        "write_rows(Path(sys.argv[1]), iter(ROWS * 20), EVOLVED)"
    )
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert "utils.errors.DataError: cannot write" in ran.stderr.splitlines()[-1]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot write"), replacing(tmp_path / "gone" / "x.json") as temporary:
        temporary.write_text("x")


# --- Records ---------------------------------------------------------------------------------------


def test_a_row_that_passed():
    start = SeedInstruction(7, "a", "ref", {"system": "s"})
    row = evolved_row(outcome(evolved(start, "b", "c"), finding=Finding(("stagnant",), "n")), "m1")
    assert (row.id, row.instruction, row.response, row.seed_instruction, row.seed_response) == (
        7,
        "c",
        "an answer",
        "a",
        "ref",
    )
    assert (row.generation, row.model, [stage.instruction for stage in row.stages]) == (2, "m1", ["b", "c"])
    assert row.method_id == row.stages[-1].method_id


@pytest.mark.parametrize(
    ("finding", "labels"),
    [
        (None, []),
        (Finding(()), ["ok"]),
        (UNJUDGED, ["unscored"]),
        (Finding(("stagnant", "lost")), ["stagnant", "lost"]),
    ],
)
def test_labels_tell_ok_from_not_judged(finding, labels):
    assert evolved_row(outcome(evolved(seed(), "b"), finding=finding), "m").labels == labels


def test_a_reject_holds_the_last_readable_rewrite_or_the_raw_reply():
    unreadable = Trajectory(seed("a", 3), (), failed("unreadable"), "raw")
    told = reject(outcome(unreadable, failed("unreadable"), answer=None))
    assert (told.id, told.instruction, told.response, told.reply, told.reason) == (3, None, None, "raw", "unreadable")
    told = reject(outcome(evolved(seed("a"), "b"), failed("refusal"), answer="No."))
    assert (told.instruction, told.response, told.reply, told.generation, told.attempts) == ("b", "No.", None, 1, 2)


def test_kinds_of_records():
    rewritten = evolved(seed(), "b")
    assert stored_row(outcome(rewritten), "m")[0] == "evolved"
    assert stored_row(outcome(rewritten, failed("lost")), "m")[0] == "eliminated"
    assert stored_row(outcome(rewritten, unscored("unavailable")), "m")[0] == "unavailable"
    assert set_aside_row(SetAside(4, "x", "duplicate")).outcome == "set_aside"


def test_a_line_of_the_methods_file():
    measured = score("the method", "fjpu")
    child = Method(measured.method.text, "optimized", parent_id="parent")
    record = method_record(Candidate(2, 1, type(measured)(child, measured.outcomes), "be brief", True), 1.5)
    assert record | {"interval": None} == {
        "method_id": child.id,
        "parent_id": "parent",
        "step": 2,
        "draw": 1,
        "origin": "optimized",
        "text": "the method",
        "feedback": "be brief",
        "judged": 3,
        "failed": 2,
        "unscored": 1,
        "failure_rate": 2 / 3,
        "interval": None,
        "failures": {"refusal": 1, "stagnant": 1},
        "complexity_score": 1.5,
        "selected": True,
    }
    json.dumps(record)


def parts(path) -> list[list[dict]]:
    return [read(part) for part in sorted(path.glob("*.parquet"))]


def test_a_folder_of_files_holds_the_same_rows_in_order_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "PART", 4)
    store = LocalFolder(tmp_path / "x.parquet")
    write_parts(store, ROWS, EVOLVED)
    found = parts(tmp_path / "x.parquet")
    assert [row for part in found for row in part] == ROWS
    assert {len(part) for part in found[:-1]} == {4}
    assert len(store.names("")) == len(found) + 1
    write_parts(store, ROWS[:1], EVOLVED)
    assert parts(tmp_path / "x.parquet") == [ROWS[:1]]
    assert store.names("") == ["_SUCCESS", "part-000000.parquet"]
    write_parts(store, [], EVOLVED)
    assert parts(tmp_path / "x.parquet") == [[]]  # with its columns, so that it can be loaded


def test_a_folder_that_could_not_be_completed_is_not_marked_as_complete(tmp_path):
    def breaks():
        yield ROWS[0]
        raise DataError("no more rows")

    store = LocalFolder(tmp_path / "x.parquet")
    write_parts(store, ROWS, EVOLVED)
    with pytest.raises(DataError, match="no more rows"):
        write_parts(store, breaks(), EVOLVED)
    assert "_SUCCESS" not in store.names("")
