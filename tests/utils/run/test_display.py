"""What a run says on stderr while it works: lines for people or for programs, or one calm bar on a terminal."""

import fcntl
import json
import logging
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from tests.command import OFFLINE, TIMEOUT, command, environment
from utils.errors import DataError
from utils.llm.ledger import CallUse, Ledger
from utils.process.logs import JsonLines, log_to_file, set_up_logging
from utils.run import display
from utils.run.display import Display
from utils.schema import Usage

FIGURES = {
    *("stage", "rows", "of", "rows_per_second", "failure_rate", "calls", "journaled", "tokens", "cost"),
    *("in_flight", "retries", "rate_limited_seconds"),
}


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    yield
    root.handlers[:], logging.raiseExceptions = before[0], before[2]
    root.setLevel(before[1])


@pytest.fixture
def told(capsys) -> Callable[[], str]:
    """What has been written to stderr since it was asked for last."""
    return lambda: capsys.readouterr().err


def a_stage(ledger: Ledger, quiet: bool = False, rows: int = 20) -> None:
    display = Display(ledger, quiet)
    with display.phase("step 1", 40):
        for _ in range(rows // 10):
            ledger.kinds["evolve"].calls += 12
            display.done(10, 3)


@pytest.fixture
def ledger() -> Ledger:
    """Something was used before the stage began."""
    used = Ledger(retries=2, rate_limited_seconds=1.54)
    used.kinds["judge"] = CallUse(5, 1, 0, Usage(1000, 200), Decimal("0.5"))
    return used


def test_a_json_line_per_stage_carries_its_figures(ledger, told):
    set_up_logging("info", as_json=True)
    a_stage(ledger)
    (line,) = map(json.loads, told().splitlines())
    assert line.keys() == FIGURES | {"time", "level"}
    assert line["rows_per_second"] > 0
    assert {name: line[name] for name in FIGURES - {"rows_per_second"}} == {
        **{"stage": "step 1", "rows": 20, "of": 40, "failure_rate": 0.3, "calls": 24, "journaled": 0},
        **{"tokens": 1200, "cost": 0.5, "in_flight": 0, "retries": 2, "rate_limited_seconds": 1.5},
    }


def test_other_lines_are_json_with_their_message(told):
    set_up_logging("info", as_json=True)
    logging.getLogger("auto-evol").info('%d rows of\n한국어 "quoted"', 7)
    (line,) = told().splitlines()
    assert "한국어" in line
    assert (json.loads(line)["level"], json.loads(line)["message"]) == ("info", '7 rows of\n한국어 "quoted"')


def test_for_a_person_it_is_one_line_with_the_same_figures(ledger, told):
    set_up_logging("info")
    a_stage(ledger)
    (line,) = told().splitlines()
    assert " INFO step 1: 20 of 40 rows, " in line
    assert all(word in line for word in ("failure_rate 0.3", "calls 24", "retries 2", "tokens 1200"))


def test_a_stage_tells_how_far_it_is_only_now_and_then(ledger, told, monkeypatch):
    clock = iter(range(0, 10_000, 4))  # four seconds pass whenever somebody looks
    monkeypatch.setattr(display.time, "monotonic", lambda: float(next(clock)))
    set_up_logging("info", as_json=True)
    a_stage(ledger, rows=400)
    lines = [json.loads(line) for line in told().splitlines()]
    assert 5 < len(lines) < 30
    assert lines[-1]["rows"] == 400
    assert [line["rows"] for line in lines] == sorted(line["rows"] for line in lines)


@pytest.mark.parametrize("level", ["warning", "error"])
def test_the_level_bounds_what_is_shown(ledger, told, level):
    set_up_logging(level)
    a_stage(ledger)
    logging.getLogger("utils.llm").info("slow")
    logging.getLogger("auto-evol").error("broken")
    assert [line.split(" ", 1)[1] for line in told().splitlines()] == ["ERROR broken"]


def test_quiet_shows_no_progress(ledger, told):
    set_up_logging("info")
    a_stage(ledger, quiet=True)
    assert told() == ""


def test_a_stage_in_which_nothing_was_done_is_no_line(ledger, told):
    set_up_logging("info")
    a_stage(ledger, rows=0)
    Display(ledger, quiet=False).done(3, 1)  # outside of a stage
    assert told() == ""


def test_a_failing_stage_still_says_how_far_it_came(ledger, told):
    set_up_logging("info", as_json=True)
    display = Display(ledger, quiet=False)

    def break_off() -> None:
        with display.phase("evolving", 30):
            display.done(10, 0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert json.loads(told())["rows"] == 10


def test_the_file_holds_what_is_not_shown(tmp_path, told):
    set_up_logging("error")
    handler = log_to_file(tmp_path / "run.log")
    logging.getLogger("auto-evol").debug("a detail")
    handler.close()
    assert told() == ""
    assert "DEBUG auto-evol a detail" in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_a_log_that_cannot_be_written_is_an_error_in_one_line(tmp_path):
    (tmp_path / "run.log").mkdir()
    with pytest.raises(DataError, match=r"run\.log.*--save-path"):
        log_to_file(tmp_path / "run.log")


def test_a_line_that_carries_no_figures_is_its_message_alone():
    record = logging.LogRecord("x", logging.WARNING, "", 1, "hm %s", ("ha",), None)
    line = json.loads(JsonLines().format(record))
    assert line.keys() == {"time", "level", "message"}


# --- The command on a terminal ---------------------------------------------------------------------


def on_a_terminal(folder, *flags: str) -> str:
    """What the command writes to a terminal of 120 columns as its stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    argv = command(*OFFLINE, "--save-path", "x.json", *flags)
    env = environment({"TQDM_MININTERVAL": "0"})  # every update is drawn, however fast the run
    process = subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while select.select([ours], [], [], TIMEOUT)[0]:
            said += os.read(ours, 65536)
    except OSError:  # EIO: the other end was closed
        pass
    finally:
        os.close(ours)
        assert process.wait(TIMEOUT) == 0, said.decode()
    return said.decode()


def test_on_a_terminal_there_is_one_calm_bar(tmp_path):
    said = on_a_terminal(tmp_path)
    assert "evolving: " in said
    assert "row/s" in said
    assert "k tokens, " in said
    assert " in flight" in said
    lines = [line.rpartition("\r")[2] for line in said.replace("\r\n", "\n").split("\n")]
    assert len(lines) < 10  # log lines stand above the bar, which is drawn over and leaves nothing
    assert not [line for line in lines if "row/s" in line]
    assert len(said) < 20_000


def test_a_quiet_command_shows_no_bar_on_a_terminal(tmp_path):
    assert "row/s" not in on_a_terminal(tmp_path, "--quiet")


def test_without_a_terminal_there_is_no_bar(tmp_path):
    argv = command(*OFFLINE, "--save-path", "x.json", "--log-format", "json")
    ran = subprocess.run(argv, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=TIMEOUT)
    assert "\r" not in ran.stderr
    assert "row/s" not in ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["stage"] for line in lines if "stage" in line] == ["step 0", "step 1", "evolving"]
    assert all(line.keys() == FIGURES | {"time", "level"} for line in lines if "stage" in line)
