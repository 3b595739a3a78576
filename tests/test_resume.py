"""Resuming is replaying: however a run ends, the same command goes on where it stopped, to the same bytes."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import OFFLINE, failed, finish, run, served, start, start_impatient
from tests.fakes import HANG, Act, MisbehavingServer, Received
from tests.offline_server import offline_reply
from utils.llm.journal import Journal

FILES = ("evolution_result.json", "evolution_result.run/methods.jsonl", "evolution_result.run/rejects.jsonl")
JOURNAL = Path("evolution_result.run/journal.sqlite")


class Watched:
    """A server that is asked by one process at a time and may do something to it, told the journal's length."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watch: Callable[[int], Act | None] = lambda _: None
        self.server = MisbehavingServer(self._reply)
        self.flags = served(self.server.url)

    def _reply(self, request: Received) -> Act:
        return self.watch(recorded_rows(self.folder / JOURNAL)) or offline_reply(request)

    def asked(self, since: int = 0) -> list[tuple[str, int]]:
        """Messages and draw of the requests that have come in."""
        bodies = [request.body for request in self.server.received[since:]]
        return [(json.dumps(body["messages"]), body["seed"] - 7) for body in bodies]


def recorded_rows(journal: Path) -> int:
    db = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        return db.execute("SELECT count(*) FROM completion").fetchone()[0]
    except sqlite3.OperationalError:  # it is just being made
        return 0
    finally:
        db.close()


def recorded(folder: Path) -> set[tuple[str, int]]:
    """Messages and draw of what the journal holds."""
    if not (folder / JOURNAL).exists():
        return set()
    journal = Journal(folder / JOURNAL)
    journal.export(folder / "export.jsonl")
    journal.close()
    rows = map(json.loads, (folder / "export.jsonl").read_text(encoding="utf-8").splitlines())
    return {(json.dumps(row["messages"]), int(row["draw"].rpartition(":")[2])) for row in rows}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> tuple[dict[str, bytes], int]:
    """What an undisturbed run writes, and how many calls it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with MisbehavingServer(offline_reply) as server:
        assert run(folder, *served(server.url)).code == 0
    return {name: (folder / name).read_bytes() for name in FILES}, len(server.received)


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path)
    with watched.server:
        yield watched


def test_killed_at_several_points_it_ends_with_the_same_bytes_and_repeats_no_recorded_call(watched, expected):
    files, needed = expected
    for kill_at in (0, needed // 2, needed - 3):
        before, since = recorded(watched.folder), len(watched.server.received)
        process = start(watched.folder, *watched.flags)
        watched.watch = lambda rows, process=process, kill_at=kill_at: process.kill() if rows >= kill_at else None
        assert finish(process).code == -signal.SIGKILL
        assert not before & set(watched.asked(since))
        assert len(recorded(watched.folder)) >= kill_at
    watched.watch = lambda _: None
    before, since = recorded(watched.folder), len(watched.server.received)
    assert run(watched.folder, *watched.flags).code == 0
    assert len(watched.asked(since)) == needed - len(before)
    assert not before & set(watched.asked(since))
    assert {name: (watched.folder / name).read_bytes() for name in FILES} == files


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_nobody_answers_and_it_can_be_continued(watched, expected, number):
    files, needed = expected
    signalled: list[int] = []

    def interrupt(rows: int) -> Act | None:
        if rows < 40:
            return None
        if not signalled:
            signalled.append(rows)
            process.send_signal(number)
        return HANG  # an endpoint that does not answer, as long as the process is there, must not hold it

    process = start_impatient(watched.folder, *watched.flags)
    watched.watch = interrupt
    message = failed(finish(process), 130)
    before = len(recorded(watched.folder))
    assert f"interrupted; {before} answers are kept, continue with: sh main.sh --data-path" in message
    assert not (watched.folder / FILES[0]).exists()
    if number == signal.SIGTERM:  # going on has nothing to do with which signal it was
        return
    watched.watch, since = lambda _: None, len(watched.server.received)
    assert run(watched.folder, *watched.flags).code == 0
    assert len(watched.asked(since)) == needed - before
    assert {name: (watched.folder / name).read_bytes() for name in FILES} == files


def test_a_second_signal_ends_it_at_once(watched):
    signalled: list[int] = []

    def interrupt(rows: int) -> Act:
        if not signalled:
            signalled.append(rows)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
        return HANG

    process = start(watched.folder, *watched.flags)
    watched.watch = interrupt
    ran = finish(process)
    assert (ran.code, "error:" in ran.err) == (130, False)  # what ends in good order says so


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_was_asked(tmp_path, number):
    os.mkfifo(tmp_path / "slow.jsonl")
    process = start(tmp_path, "--offline", "--data-path", "slow.jsonl")
    writing = opened_by(process, tmp_path / "slow.jsonl")  # and nothing is written: the command waits for its seeds
    process.send_signal(number)
    assert "start again with: sh main.sh" in failed(finish(process), 130)
    os.close(writing)
    assert not (tmp_path / "evolution_result.run").exists()


def opened_by(process: subprocess.Popen[str], fifo: Path) -> int:
    """The end of `fifo` to write into, as soon as the process has opened the other."""
    while process.poll() is None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            time.sleep(0.001)
    raise AssertionError(finish(process).err)


def test_killed_in_the_final_run_offline(tmp_path):
    """Without a server: the process is watched by its journal alone, which grows as fast as it can."""
    (tmp_path / "whole").mkdir()
    assert run(tmp_path / "whole", *OFFLINE).code == 0
    process = start(tmp_path, *OFFLINE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and recorded_rows_or_0(tmp_path / JOURNAL) < 20:
        time.sleep(0.0005)
    process.kill()
    process.wait()
    ran = run(tmp_path, *OFFLINE)
    assert ran.code == 0, ran.err
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def recorded_rows_or_0(journal: Path) -> int:
    return recorded_rows(journal) if journal.exists() else 0
