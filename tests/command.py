"""The whole command as a subprocess, the way a user starts it."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from tests.warm import run_warm

PROJECT = Path(__file__).resolve().parent.parent
SEEDS = PROJECT / "tests" / "golden" / "seeds.jsonl"
SMALL = (
    *("--train-size", "4", "--dev-size", "6", "--max-steps", "1", "--loop", "2", "--candidate-size", "2"),
    "--no-report",  # its language models take over a second to load
)
OFFLINE = ("--offline", "--data-path", str(SEEDS), *SMALL)
_warm = Lock()
TIMEOUT = 300  # seconds, against hanging alone: no test may depend on how fast the machine is


@dataclass(frozen=True, slots=True)
class Ran:
    """How the command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line of stderr, where an error stands."""
        return self.err.splitlines()[-1] if self.err else ""


def command(*argv: object) -> list[str]:
    return [sys.executable, str(PROJECT / "main.py"), *map(str, argv)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without keys, tokens and proxies of the machine."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | dict(extra or {})


def start(folder: Path, *argv: object, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start the command in `folder`; `finish` waits for it."""
    return _start(folder, command(*argv), env, **options)


def start_impatient(folder: Path, *argv: object) -> subprocess.Popen[str]:
    """Start the command with hardly any patience for the calls that are in flight when it is to end."""
    script = (
        "import sys; from utils.llm import opening; opening.GRACE = 0.5; import main; sys.exit(main.main(sys.argv[1:]))"
    )
    return _start(folder, [sys.executable, "-c", script, *map(str, argv)], {"PYTHONPATH": str(PROJECT)})


def _start(folder: Path, words: list[str], env: Mapping[str, str] | None, **options: Any) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=folder, env=environment(env), text=True, encoding="utf-8", **(pipes | options))


def finish(process: subprocess.Popen[str], timeout: float = TIMEOUT) -> Ran:
    """Wait for the command. A traceback is a bug, whatever else a test looks for."""
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return _without_traceback(Ran(process.returncode, out or "", err or ""))


def _without_traceback(ran: Ran) -> Ran:
    assert "Traceback" not in ran.out + ran.err, ran.err
    return ran


def run(
    folder: Path,
    *argv: object,
    env: Mapping[str, str] | None = None,
    started: Callable[[int], None] = lambda pid: None,
    **options: Any,
) -> Ran:
    """Run the command in `folder` to its end; from a warm start (tests/warm.py) where that makes no difference.

    `started` is told the id of the process, for those who kill it.
    """
    if env or options or not _warm.acquire(blocking=False):
        process = start(folder, *argv, env=env, **options)
        started(process.pid)
        return finish(process)
    try:
        with TemporaryDirectory() as streams:
            out, err = Path(streams, "out"), Path(streams, "err")
            code = run_warm(folder, [str(word) for word in argv], environment(), out, err, started)
            return _without_traceback(Ran(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")))
    finally:
        _warm.release()


def run_here(*argv: object) -> int:
    """The command in this process, for tests that change a part of it; logging and signals stay as they were."""
    from main import main

    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    on_signal, raises = signal.getsignal(signal.SIGTERM), logging.raiseExceptions
    try:
        return main([str(word) for word in argv])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        signal.signal(signal.SIGTERM, on_signal)
        logging.raiseExceptions = raises


def reworded(recording: Path, was: str, now: str) -> None:
    """Make a recording one of earlier days, whose prompts said `now` where today's say `was`."""
    text = recording.read_text(encoding="utf-8")
    assert text.count(was) > 1, "its first line has the prompts, others have the requests"
    recording.write_text(text.replace(was, now), encoding="utf-8")


def failed(ran: Ran, code: int) -> str:
    """The message of a run that failed as it should: one last line that begins with `error: `."""
    assert ran.code == code, (ran.code, ran.err)
    assert ran.last_line.startswith("error: "), ran.err
    assert ran.err.count("error: ") == 1, ran.err
    return ran.last_line


def served(base_url: str, *more: str) -> tuple[str, ...]:
    """The flags of a small run against the server at `base_url`; draws differ by the seed that is sent."""
    llm = (f"base_url={base_url}", "model=served", "seed=7", *more)
    return ("--data-path", str(SEEDS), *SMALL, "--evol-llm-config", *llm, "--optim-llm-config", *llm)
