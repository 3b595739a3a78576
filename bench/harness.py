"""What all benchmarks share: a server in a process of its own, seeds of any number, the command, a table."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOPICS = ("rivers", "tax law", "sorting", "vaccines", "jazz", "bridges", "soil", "elections", "orbits", "bread")


@dataclass(frozen=True)
class Server:
    """A running bench server."""

    url: str
    stats_url: str

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.stats_url, timeout=10) as reply:
            return json.load(reply)


@contextmanager
def server(
    median: float = 0.2, sigma: float = 0.8, draw: int = 0, fault: float = 0.0, spread: float = 0.0
) -> Iterator[Server]:
    """Start a bench server on a free loopback port and end it with the block; exit if it does not start.

    The arguments are the flags of bench.server.
    """
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        flags = ["--median", str(median), "--sigma", str(sigma), "--draw", str(draw), "--fault", str(fault)]
        flags += ["--spread", str(spread)]
        process = subprocess.Popen([sys.executable, "-m", "bench.server", str(port_file), *flags], cwd=ROOT)
        try:
            while not port_file.exists():
                if process.poll() is not None:
                    raise SystemExit("the bench server did not start")
                time.sleep(0.02)
            base = f"http://127.0.0.1:{port_file.read_text()}"
            yield Server(f"{base}/v1", f"{base}/stats")
        finally:
            process.terminate()
            process.wait()


def write_seeds(path: Path, count: int) -> Path:
    """Write a JSONL seed set of `count` different instructions, and return `path`."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            text = f"Explain problem {number} about {TOPICS[number % len(TOPICS)]} to a beginner in plain words."
            file.write(json.dumps({"instruction": text, "response": f"Answer {number}."}) + "\n")
    return path


@dataclass(frozen=True)
class Measured:
    """One run of a command: wall and CPU seconds, peak memory in MiB, what it printed."""

    wall: float
    cpu: float
    peak: float
    output: str
    code: int


def timed(command: Sequence[str], folder: Path) -> Measured:
    """Run `command` in `folder` and measure it."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output, process.returncode)


def run_main(folder: Path, seeds: Path, url: str | None, *flags: str) -> Measured:
    """Run the command over `seeds`, against `url` or (None) offline, without learning; exit if it fails."""
    config = f"model=bench base_url={url}" if url else "model=bench"
    where = ["--evol-llm-config", config, "--optim-llm-config", config] if url else ["--offline"]
    common = ["--data-path", str(seeds), "--max-steps", "0", "--quiet", "--save-path", str(folder / "result.json")]
    measured = timed([sys.executable, str(ROOT / "main.py"), *common, *where, *flags], folder)
    if measured.code:
        raise SystemExit(f"the run failed:\n{measured.output}")
    return measured


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a title and, below it, a table with its columns aligned to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
