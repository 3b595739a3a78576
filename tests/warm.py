"""The whole command in a process that starts at once: forked from one that has imported what the command imports.

Importing takes the command longer than a small run does, and the tests start it some hundred times. What is forked is a
process with environment, folder and output of its own, which ends as the command does. Tests that send it signals which
it handles, or set variables or streams, which may count while Python starts, start it as a user does
(tests/command.py).
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parent.parent
IMPORTED = (
    *("main", "tqdm", "pyarrow", "utils.llm.endpoint", "utils.llm.offline", "utils.text.near_duplicates"),
    *("utils.llm.client", "utils.llm.batch.provider", "utils.outputs.report", "utils.text.measures.run"),
)


def run_warm(
    folder: Path,
    argv: list[str],
    environment: Mapping[str, str],
    out: Path,
    err: Path,
    started: Callable[[int], None],
) -> int:
    """Run the command in `folder`, its streams written to `out` and `err`; return its exit code.

    `started` is told the id of the process.
    """
    pipes = _parent()
    assert pipes.stdin
    assert pipes.stdout
    pipes.stdin.write(json.dumps([str(folder), argv, dict(environment), str(out), str(err)]) + "\n")
    pipes.stdin.flush()
    started(int(pipes.stdout.readline()))
    return int(pipes.stdout.readline())


@cache
def _parent() -> subprocess.Popen[str]:
    # It ends when its stdin does, which is with this process. Threads are not forked, so there must be none.
    words, threads = [sys.executable, "-m", "tests.warm"], {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(words, cwd=PROJECT, env=os.environ | threads, text=True, **streams)


def _serve() -> None:
    """Fork once for each line of stdin; print the id of what was forked, then its exit code."""
    for module in IMPORTED:
        import_module(module)
    gc.freeze()  # else a collection in a fork copies all that was imported
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(*json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(folder: str, argv: list[str], environment: dict[str, str], out: str, err: str) -> NoReturn:
    from main import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(path, flags), number)
    sys.argv = ["main.py", *argv]
    sys.exit(main(argv))


if __name__ == "__main__":
    _serve()
