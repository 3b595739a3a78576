"""Everything that a user can get wrong: the right exit code, and one last line on stderr that says what to do."""

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.command import OFFLINE, SEEDS, SMALL, Ran, failed, finish, run, served, start
from tests.fakes import EMPTY_BODY, Act, MisbehavingServer, Received, dead_url, refused
from tests.offline_server import offline_reply

FILES = {
    "no_column.jsonl": '{"riddle": "Why?", "level": 1}\n',
    "empty.jsonl": "",
    "latin.csv": "instruction\ncafé\n".encode("latin-1"),
}

# One of each kind (the kinds are tested where they are told apart: test_config, test_dataset and others):
# flags -> words that the message must hold; the exit code is 2
WRONG = {
    "unknown flag": (("--offline", "--no-such-flag"), ["--no-such-flag", "--help"]),
    "nothing to evolve": ((), ["--data-path", "--offline"]),
    "not a number": ((*OFFLINE, "--seed", "seven"), ["--seed", "seven"]),
    "budget without prices": ((*OFFLINE, "--max-cost", "1"), ["price_in", "--evol-llm-config"]),
    "unknown llm key": ((*OFFLINE, "--evol-llm-config", "modell=x"), ["modell", "--evol-llm-config", "api_key_env"]),
    "wrong llm value": ((*OFFLINE, "--optim-llm-config", "temperature=hot"), ["temperature", "hot"]),
    "no such file": (("--offline", "--data-path", "gone.jsonl"), ["gone.jsonl", "--data-path"]),
    "no such column": (("--offline", "--data-path", "no_column.jsonl"), ["'riddle', 'level'", "--instruction-field"]),
    "not UTF-8": (("--offline", "--data-path", "latin.csv"), ["UTF-8"]),
    "too few seeds": ((*OFFLINE, "--dev-size", "9"), ["13", "12", "lower"]),
    "wrong suffix of the result": ((*OFFLINE, "--save-path", "x.csv"), [".parquet"]),
    "missing output folder": ((*OFFLINE, "--save-path", "gone/x.json"), ["gone", "--save-path", "make"]),
    "file for output folder": ((*OFFLINE, "--save-path", "empty.jsonl/x.json"), ["empty.jsonl", "--save-path"]),
    "folder for result": ((*OFFLINE, "--save-path", "folder.json"), ["folder.json", "file"]),
    "file for run folder": ((*OFFLINE, "--save-path", "taken.json"), ["taken.run", "--save-path"]),
    "endless name": ((*OFFLINE, "--save-path", "x" * 300 + ".json"), ["--save-path"]),
    "missing export folder": ((*OFFLINE, "--export-journal", "gone/j.jsonl"), ["gone", "--export-journal"]),
    "foreign recording": (("--data-path", str(SEEDS), *SMALL, "--replay", "no_column.jsonl"), ["line 1", "--export"]),
    "missing method": ((*OFFLINE, "--method", "gone.txt"), ["gone.txt", "--method"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with all kinds of unusable files."""
    folder = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "folder.json").mkdir()
    (folder / "taken.run").write_text("a file")
    return folder


@pytest.fixture(scope="module")
def wrong(folder) -> Iterator[dict[str, Future[Ran]]]:
    """What each wrong command does, two at a time: there are many, and each starts a process."""
    with ThreadPoolExecutor(2) as pool:
        yield {case: pool.submit(run, folder, *argv) for case, (argv, _) in WRONG.items()}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_flags_and_data_are_exit_code_2(wrong, case):
    message = failed(wrong[case].result(), 2)
    assert [word for word in WRONG[case][1] if word not in message] == []


def test_what_is_wrong_leaves_no_result(folder, wrong):
    wait(wrong.values())
    assert not list(folder.glob("*.tmp")) + list(folder.glob("evolution_result.json"))


def test_what_is_wrong_is_said_in_order_data_set_then_output_then_key(tmp_path):
    llm = ("--evol-llm-config", "model=x")
    for argv, word in (
        (("--data-path", "gone.jsonl", "--save-path", "gone/x.json", *llm), "gone.jsonl"),
        (("--data-path", SEEDS, *SMALL, "--save-path", "gone/x.json", *llm), "--save-path"),
    ):
        assert word in failed(run(tmp_path, *argv), 2)
    assert "DEEPSEEK_API_KEY" in failed(run(tmp_path, "--data-path", SEEDS, *SMALL, *llm), 3)
    assert os.listdir(tmp_path) == []


def test_a_path_that_is_not_utf8_is_one_line(tmp_path):
    assert "UTF-8" in failed(run(tmp_path, *OFFLINE, "--save-path", "\udcff.json"), 2)


def test_an_env_file_that_is_not_utf8_is_one_line(tmp_path):
    (tmp_path / ".env").write_bytes(b"KEY=\xff\xfe\n")
    assert ".env" in failed(run(tmp_path, *OFFLINE), 2)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_stdout_that_is_full_is_one_line_and_the_result_is_there(tmp_path):
    with open("/dev/full", "w") as full:
        assert "stdout" in failed(run(tmp_path, *OFFLINE, stdout=full), 2)
    assert (tmp_path / "evolution_result.json").exists()


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    ran = run(tmp_path, *OFFLINE, stdout=writing)
    os.close(writing)
    assert (ran.code, "error" in ran.err.lower()) == (0, False)


def test_a_path_that_stdout_cannot_encode_is_no_error(tmp_path):
    ran = run(tmp_path, *OFFLINE, "--save-path", "결과.json", env={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 0
    assert (tmp_path / "결과.json").exists()


# --- Exit code 3: the endpoint ---------------------------------------------------------------------


def test_no_key_says_which_variable_to_set(tmp_path):
    message = failed(run(tmp_path, "--data-path", SEEDS, *SMALL), 3)
    assert "DEEPSEEK_API_KEY" in message
    assert "--offline" in message


def test_the_default_key_goes_to_no_other_host(tmp_path):
    flags = ("--evol-llm-config", "base_url=https://llm.example.org/v1")
    message = failed(run(tmp_path, "--data-path", SEEDS, *SMALL, *flags, env={"DEEPSEEK_API_KEY": "sk-1234567"}), 3)
    assert "api_key_env" in message


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (refused(401, "wrong key"), ["key", "401"]),
        (refused(404, "no such model", "model_not_found"), ["'served'", "model"]),
        (refused(402, "Insufficient Balance"), ["quota"]),
    ],
)
def test_an_endpoint_that_refuses_stops_the_run_at_once(tmp_path, act, words):
    with MisbehavingServer(otherwise=act) as server:
        message = failed(run(tmp_path, *served(server.url)), 3)
    assert [word for word in words if word not in message] == []
    assert len(server.received) <= 10
    assert not (tmp_path / "evolution_result.json").exists()


def test_a_closed_port_is_unreachable(tmp_path):
    with dead_url() as url:
        assert url in failed(run(tmp_path, *served(url)), 3)


def test_a_run_without_a_single_answer_is_exit_code_3_and_keeps_nothing_as_answered(tmp_path):
    replies: list[Act] = [EMPTY_BODY] * 12
    with MisbehavingServer(lambda request: replies.pop() if replies else offline_reply(request)) as server:
        flags = (*served(server.url, "max_retries=0"), "--max-steps", "0")
        ran = run(tmp_path, *flags)
        failed(ran, 3)
        assert "unavailable   12" in ran.out
        assert run(tmp_path, *flags).code == 0
    assert json.loads((tmp_path / "evolution_result.run/summary.json").read_text())["unavailable"] == 0


# --- Exit codes 4 and 5 ----------------------------------------------------------------------------


def test_low_retention_is_exit_code_4_with_the_result_written(tmp_path):
    rows = SEEDS.read_text(encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(rows + rows, encoding="utf-8")  # half of them are duplicates
    flags = (*OFFLINE, "--data-path", "rows.jsonl", "--min-retention")
    ran = run(tmp_path, *flags, "0.51")
    message = failed(ran, 4)
    assert "--min-retention" in message
    assert "rejects.jsonl" in message
    assert (tmp_path / "evolution_result.json").exists()
    assert "\nrows in " in ran.out
    assert run(tmp_path, *flags, "0.1").code == 0


def test_a_budget_stops_cleanly_and_is_continued_without_asking_twice(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    with MisbehavingServer(offline_reply) as server:
        flags = served(server.url)
        assert run(whole, *flags).code == 0
        needed = len(server.received)
        message = failed(run(parts, *flags, "--max-calls", "30"), 5)
        assert len(server.received) == needed + 30
        assert "--max-calls 30" in message
        assert "30 answers are kept" in message
        assert "continue with: sh main.sh" in message
        assert not (parts / "evolution_result.json").exists()
        assert run(parts, *flags).code == 0
    assert len(server.received) == 2 * needed
    assert (parts / "evolution_result.json").read_bytes() == (whole / "evolution_result.json").read_bytes()


def test_a_cost_budget_is_kept(tmp_path):
    prices = ("price_in=1000", "price_out=1000")
    with MisbehavingServer(offline_reply) as server:
        failed(run(tmp_path, *served(server.url, *prices), "--max-cost", "5", "--batch-size", "1"), 5)
    assert 0 < len(server.received) < 60


# --- The run folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"not a database at all, but long enough " * 50, "sqlite"])
def test_a_foreign_journal_is_never_replaced(tmp_path, content):
    journal = tmp_path / "evolution_result.run/journal.sqlite"
    journal.parent.mkdir()
    if content == "sqlite":
        import sqlite3

        with sqlite3.connect(journal) as db:
            db.execute("CREATE TABLE mine (x)")
        db.close()
    else:
        journal.write_bytes(content)
    before = journal.read_bytes()
    assert "journal" in failed(run(tmp_path, *OFFLINE), 2)
    assert journal.read_bytes() == before


def test_a_second_process_on_the_same_run_folder_is_told_so(tmp_path):
    def meanwhile(request: Received) -> Act:
        if not second:
            second.append(run(tmp_path, *served(server.url)))
        return offline_reply(request)

    second: list[Ran] = []
    with MisbehavingServer(meanwhile) as server:
        assert run(tmp_path, *served(server.url)).code == 0
    assert "another run" in failed(second[0], 2)


# --- Disk full -------------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 4 MB, where this machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if not mount or os.geteuid() or subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "none", disk]).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill_up(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_leaves_the_old_result_intact_and_the_run_can_go_on(tiny_disk):
    assert run(tiny_disk, *OFFLINE, "--test-run", "1", "--max-steps", "0").code == 0
    before = (tiny_disk / "evolution_result.json").read_bytes()
    ballast = tiny_disk / "ballast"
    with pytest.raises(OSError, match="space"):
        fill_up(ballast)
    assert "space" in failed(run(tiny_disk, *OFFLINE, "--seed", "7"), 2)
    assert (tiny_disk / "evolution_result.json").read_bytes() == before
    ballast.unlink()
    assert run(tiny_disk, *OFFLINE, "--seed", "7").code == 0
    assert (tiny_disk / "evolution_result.run/earlier/1/evolution_result.json").read_bytes() == before


@pytest.mark.parametrize("limit", [3_000, 100_000])
def test_a_file_size_limit_hits_as_one_line_wherever_it_hits(tmp_path, limit):
    (tmp_path / "evolution_result.json").write_text("[]\n")

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    failed(finish(start(tmp_path, *OFFLINE, preexec_fn=limited)), 2)
    assert (tmp_path / "evolution_result.json").read_text() == "[]\n"
    assert not list(tmp_path.glob(".*.tmp"))
    assert run(tmp_path, *OFFLINE).code == 0
