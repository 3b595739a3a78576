"""The journal: what makes two requests the same, what survives, and what is refused."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import utils.llm.journal
from tests.command import TIMEOUT
from utils.errors import JournalError
from utils.llm.journal import SCHEMA_VERSION, Journal, request_key
from utils.schema import Completion, Message, Request, Sampling, Usage

PROJECT = Path(__file__).resolve().parents[3]
REQUEST = Request("evolve", "m", (Message("system", "Be brief."), Message("user", "안녕?")), Sampling(0.5, 0.9, 100, 7))
DONE = Completion("fine", None, Usage(10, 20, 5))


def sampled(**changes: float | int | None) -> Request:
    return replace(REQUEST, sampling=replace(REQUEST.sampling, **changes))


def numbered(number: int) -> Request:
    return replace(REQUEST, messages=(Message("user", f"prompt {number}"),))


# --- The key ---------------------------------------------------------------------------------------

OTHERS = [
    replace(REQUEST, model="n"),
    replace(REQUEST, draw="1"),
    replace(REQUEST, messages=REQUEST.messages[1:]),
    replace(REQUEST, messages=REQUEST.messages[::-1]),
    replace(REQUEST, messages=(REQUEST.messages[0], Message("assistant", "안녕?"))),
    replace(REQUEST, messages=(REQUEST.messages[0], Message("user", "안녕"))),
    replace(REQUEST, messages=(Message("system", "Be brief.\0user\x006\0안녕?"),)),
    sampled(temperature=0.6),
    sampled(temperature=None),
    sampled(top_p=0.8),
    sampled(top_p=None),
    sampled(seed=8),
    sampled(seed=None),
    sampled(temperature=0.9, top_p=0.5),
]


def test_every_field_that_determines_the_completion_changes_the_key():
    assert len({request_key(request) for request in [REQUEST, *OTHERS]}) == len(OTHERS) + 1


@pytest.mark.parametrize("other", [sampled(max_tokens=5), sampled(max_tokens=None), replace(REQUEST, kind="judge")])
def test_what_does_not_determine_it_leaves_the_key_alone(other):
    assert request_key(other) == request_key(REQUEST)


def test_the_key_is_the_same_in_every_process():
    """Journals of earlier runs hang on it: if it has to change, so has SCHEMA_VERSION."""
    assert request_key(REQUEST).hex() == "9e857ba105b2cc3dfb6c237599cd1d79"


# --- Putting and getting ---------------------------------------------------------------------------


def test_what_is_put_is_got_and_nothing_else():
    journal = Journal(None)
    assert journal.get(REQUEST) is None
    journal.put(REQUEST, DONE)
    assert journal.get(REQUEST) == DONE
    assert all(journal.get(other) is None for other in OTHERS)


@pytest.mark.parametrize("text", ["", "a\0b", "줄\r\n\u2028 {} $x \\", "x" * 1_000_000])
def test_texts_come_back_as_they_were(tmp_path, text):
    request = replace(REQUEST, messages=(Message("user", text),))
    with opened(tmp_path / "j") as journal:
        journal.put(request, Completion(text))
    with opened(tmp_path / "j") as journal:
        assert journal.get(request) == Completion(text)


@pytest.mark.parametrize(
    ("then", "completion", "now", "kept"),
    [
        (100, DONE, 100, True),
        (100, DONE, 200, True),
        (100, DONE, None, True),
        (None, DONE, None, True),
        (None, DONE, 20, True),
        (None, DONE, 19, False),
        (100, DONE, 10, False),
        (15, DONE, 18, True),  # a server that counts otherwise: what ended under 15 ends under 18
        (None, Completion("fine"), 50, False),  # nobody knows how long it is
        (100, Completion("fine"), 200, True),
        (100, Completion("cut", "length", Usage(1, 100)), 100, True),
        (100, Completion("cut", "length", Usage(1, 100)), 50, True),
        (100, Completion("cut", "length", Usage(1, 100)), 200, False),
        (100, Completion("cut", "length", Usage(1, 100)), None, False),
        (None, Completion("cut", "length", Usage(1, 100)), None, True),
        (None, Completion("cut", "length", Usage(1, 100)), 200, False),
        (100, Completion("", "content_filter"), 200, True),
    ],
)
def test_another_max_tokens_asks_again_for_what_it_would_change(then, completion, now, kept):
    journal = Journal(None)
    journal.put(sampled(max_tokens=then), completion)
    assert journal.get(sampled(max_tokens=now)) == (completion if kept else None)


def test_what_is_asked_again_replaces_what_was_cut():
    journal = Journal(None)
    journal.put(sampled(max_tokens=10), Completion("cut", "length"))
    journal.put(sampled(max_tokens=20), DONE)
    assert (journal.get(sampled(max_tokens=20)), len(journal)) == (DONE, 1)


# --- Files that cannot be used ---------------------------------------------------------------------


class opened:
    """A journal that is closed at the end of the block."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)

    def __enter__(self) -> Journal:
        return self._journal

    def __exit__(self, *_: object) -> None:
        self._journal.close()


@pytest.fixture
def path(tmp_path) -> Path:
    """A journal of 200 completions, closed."""
    with opened(tmp_path / "journal.sqlite") as journal:
        for number in range(200):
            journal.put(numbered(number), Completion("x" * 300))
    return tmp_path / "journal.sqlite"


def spoil(path: Path, start: int, spoilt: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(spoilt)


def run_sql(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


DAMAGE = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "truncated within a page": lambda path: os.truncate(path, path.stat().st_size - 1000),
    "truncated to its first page": lambda path: os.truncate(path, 4096),
    "empty": lambda path: os.truncate(path, 0),
    "a page overwritten": lambda path: spoil(path, 4096, b"\xff" * 4096),
    "zeros": lambda path: path.write_bytes(bytes(20_000)),
    "a text": lambda path: path.write_text("my diary\n"),
    "a long text": lambda path: path.write_text("my diary\n" * 5000),
    "another program's": lambda path: (path.unlink(), run_sql(path, "CREATE TABLE diary (day)")),
    "an empty SQLite file": lambda path: (path.unlink(), run_sql(path, "VACUUM")),
    "another program's, with its own id": lambda path: run_sql(path, "PRAGMA application_id = 5"),
    "another version": lambda path: run_sql(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_torn_or_foreign_file_is_refused_and_left_as_it_is(path, damage):
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(JournalError) as told:
        Journal(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_torn_file_with_a_log_beside_it_is_left_as_it_is(tmp_path):
    """As after kill -9 and a disk error: opening and closing must not write the log into the torn file."""
    killed_while_putting(tmp_path, 3000)
    path = tmp_path / "journal.sqlite"
    assert (tmp_path / "journal.sqlite-wal").stat().st_size > 0
    spoil(path, 2 * 4096, b"\xff" * 20 * 4096)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.sqlite*") if not file.name.endswith("-shm")}
    with pytest.raises(JournalError, match="--fresh"):
        Journal(path)
    assert before == {file.name: file.read_bytes() for file in tmp_path.glob("*.sqlite*") if file.name in before}


def test_the_remedy_fits_the_damage(path):
    spoil(path, 4096, b"\xff" * 4096)
    with pytest.raises(JournalError, match="--fresh"):
        Journal(path)


def test_a_locked_file_is_told_before_anything_is_paid(path, monkeypatch):
    monkeypatch.setattr(utils.llm.journal, "PATIENCE", 0.01)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="locked; close the program that holds it"):
        Journal(path)
    assert path.read_bytes() == before
    holder.close()


def test_a_missing_folder(tmp_path):
    with pytest.raises(JournalError, match=r"journal .*; check space and permissions"):
        Journal(tmp_path / "nowhere" / "journal.sqlite")


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, with the project's modules at hand."""
    preamble = (
        "import os, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from utils.errors import JournalError\n"
        "from utils.llm.journal import Journal\n"
        "from utils.schema import Completion, Message, Request, Sampling\n"
        "def request(n): return Request('evolve', 'm', (Message('user', f'prompt {n}'),), Sampling(0.5, 0.9, 100, 7))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", preamble + code, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach, as the superuser may write to any file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("mode", [0o555, 0o777])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_paid(public_folder, mode):
    path = public_folder / "journal.sqlite"
    with opened(path) as journal:
        journal.put(REQUEST, DONE)
    path.chmod(0o444)
    public_folder.chmod(mode)
    before = path.read_bytes()
    code = (
        "Path.cwd().as_uri()  # it imports what the other user may not be able to read\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: Journal(Path(sys.argv[1]))\n"
        "except JournalError as exc: print(exc)\n"
    )
    ran = python(code, str(path))
    public_folder.chmod(0o755)
    assert "check space and permissions" in ran.stdout, ran.stderr
    assert path.read_bytes() == before


def test_a_full_disk_is_an_error_and_keeps_what_was_put(tmp_path):
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "journal.sqlite"
    code = (
        "journal = Journal(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    for n in range(1000): journal.put(request(n), Completion('x' * 1000))\n"
        "except JournalError as exc: print(n, exc, sep='\\n')\n"
    )
    count, told = python(code, str(path)).stdout.splitlines()
    assert "check space" in told
    with opened(path) as journal:
        assert len(journal) == int(count) > 0
        assert all(journal.get(numbered(number)) == Completion("x" * 1000) for number in range(int(count)))


# --- Killed ----------------------------------------------------------------------------------------


def killed_while_putting(folder: Path, after: int) -> None:
    code = (
        "journal = Journal(Path(sys.argv[1]) / 'journal.sqlite')\n"
        "for n in range(10**6):\n"
        "    journal.put(request(n), Completion(f'answer {n}'))\n"
        "    if n + 1 == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert python(code, str(folder), str(after)).returncode == -signal.SIGKILL


@pytest.mark.parametrize("after", [1, 137, 3000])
def test_a_killed_process_loses_nothing_that_was_put(tmp_path, after):
    killed_while_putting(tmp_path, after)
    with opened(tmp_path / "journal.sqlite") as journal:
        assert len(journal) == after
        assert all(journal.get(numbered(n)) == Completion(f"answer {n}") for n in range(after))


def test_a_process_killed_while_it_makes_the_file_leaves_no_half_of_one(tmp_path):
    (tmp_path / "journal.sqlite.new").write_bytes(b"half of a jour")
    with opened(tmp_path / "journal.sqlite") as journal:
        journal.put(REQUEST, DONE)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.sqlite"]


# --- Export and load -------------------------------------------------------------------------------

RECORDED = [
    (REQUEST, DONE),
    (replace(REQUEST, kind="respond", sampling=Sampling()), Completion("줄\n둘\u2028 셋", None, Usage(1, 2, 0))),
    (replace(REQUEST, draw="42:3"), Completion("cut", "length", Usage(1, 100))),
    (replace(REQUEST, model="n"), Completion("", "content_filter")),
    (replace(REQUEST, messages=(Message("user", "half \ud83d a pair"),)), DONE),
]


@pytest.fixture
def exported(tmp_path) -> Path:
    journal = Journal(None)
    for request, completion in RECORDED:
        journal.put(request, completion)
    assert journal.export(tmp_path / "export.jsonl") == len(RECORDED)
    return tmp_path / "export.jsonl"


def test_what_is_exported_can_be_loaded(exported, tmp_path):
    journal = Journal(None)
    assert journal.load(exported) == len(journal) == len(RECORDED)
    assert all(journal.get(request) == completion for request, completion in RECORDED)
    journal.export(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == exported.read_bytes()


def test_an_export_is_readable_and_keeps_the_order(exported):
    lines = exported.read_text(encoding="utf-8").split("\n")[:-1]
    assert "안녕?" in lines[0]
    assert [json.loads(line)["text"] for line in lines] == [completion.text for _, completion in RECORDED]
    assert json.loads(lines[0])["sampling"] == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100, "seed": 7}
    assert json.loads(lines[1])["sampling"] == {}


def changed(**fields: object) -> str:
    journal, path = Journal(None), Path(tempfile.mkstemp()[1])
    journal.put(REQUEST, DONE)
    journal.export(path)
    record = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return json.dumps(record | fields)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        changed(text=None),
        changed(text=5),
        changed(draw=0),
        changed(failure="unavailable"),
        changed(failure=[]),
        changed(messages=None),
        changed(messages=[{"role": "user"}]),
        changed(messages=[{"role": "user", "content": ["a"]}]),
        changed(messages=["user"]),
        changed(sampling={"heat": 1}),
        changed(sampling={"max_tokens": "9"}),
        changed(usage={"input_tokens": -1}),
        changed(usage={"input_tokens": 10**30}),
        changed(usage=[]),
        "caf\xe9".encode("latin-1"),
    ],
)
def test_a_recording_that_cannot_be_read_is_told_by_its_line_and_taken_in_not_at_all(tmp_path, line):
    path = tmp_path / "recording.jsonl"
    path.write_bytes(changed().encode() + b"\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    journal = Journal(None)
    with pytest.raises(JournalError, match=r"recording.jsonl, line \d"):
        journal.load(path)
    assert len(journal) == 0
    journal.put(REQUEST, DONE)
    assert journal.get(REQUEST) == DONE


def test_a_missing_recording(tmp_path):
    with pytest.raises(JournalError, match=r"cannot read .*; check --replay"):
        Journal(None).load(tmp_path / "nothing.jsonl")


def test_an_export_that_fails_leaves_the_old_file_and_no_other(exported, tmp_path):
    folder = tmp_path / "taken.jsonl"
    folder.mkdir()
    with pytest.raises(JournalError, match="--export-journal"):
        Journal(None).export(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.jsonl", "taken.jsonl"]
