"""How far a run overruns its budget, and what it sends and loses when it is stopped, as its server counts.

    python -m bench.budget [--rows 400] [--budget 0.5] [--at-once 1 10 64]

Each request is paid for at 1 and 4 per million tokens; replies have some 500 tokens, of a log-normal spread.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench.harness import ROOT, Server, server, table, write_seeds

PRICES = ("price_in=1", "price_out=4")
SPREAD = 0.8


def command(folder: Path, seeds: Path, url: str, *flags: str) -> list[str]:
    llm = ["model=bench", f"base_url={url}", "api_key_env=none", *PRICES]
    files = ["--data-path", str(seeds), "--save-path", str(folder / "x.json"), "--max-steps", "0", "--no-report"]
    where = ["--evol-llm-config", *llm, "--optim-llm-config", *llm]
    return [sys.executable, str(ROOT / "main.py"), *files, *where, "--max-overlap", "1", "--quiet", *flags]


def spent(running: Server) -> float:
    stats = running.stats()
    return (stats["in"] + 4 * stats["out"]) / 1_000_000


def overrun(rows: int, budget: float, at_once: int) -> list[str]:
    """Run once with a budget; return a line of the table: calls, cost and overrun as the server counts them."""
    with tempfile.TemporaryDirectory() as name, server(median=0.02, spread=SPREAD) as running:
        folder = Path(name)
        seeds = write_seeds(folder / "seeds.jsonl", rows)
        flags = ("--max-cost", str(budget), "--batch-size", str(at_once))
        ran = subprocess.run(command(folder, seeds, running.url, *flags), capture_output=True, text=True, cwd=folder)
        cost, calls = spent(running), running.stats()["requests"]
    return [str(at_once), str(ran.returncode), str(calls), f"{cost:.4f}", f"{cost / budget - 1:+.1%}"]


def stopped(rows: int, at_once: int) -> list[str]:
    """Run once and send SIGTERM; return a line of the table: requests sent after it, and answers not in the journal."""
    with tempfile.TemporaryDirectory() as name, server(median=0.5, spread=SPREAD) as running:
        folder = Path(name)
        seeds = write_seeds(folder / "seeds.jsonl", rows)
        argv = command(folder, seeds, running.url, "--batch-size", str(at_once))
        process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while running.stats()["requests"] < 3 * at_once:
            time.sleep(0.05)
        before = running.stats()["requests"]
        os.kill(process.pid, signal.SIGTERM)
        code = process.wait()
        after = running.stats()["requests"]
        with closing(sqlite3.connect(folder / "x.run" / "journal.sqlite")) as journal:
            (kept,) = journal.execute("SELECT count(*) FROM completion").fetchone()
    return [str(at_once), str(code), str(after - before), str(after - kept)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 10, 64])
    options = parser.parse_args()
    head = ("at once", "exit", "calls", "spent", "overrun")
    table(f"--max-cost {options.budget}", head, [overrun(options.rows, options.budget, n) for n in options.at_once])
    head = ("at once", "exit", "sent after", "lost")
    table("SIGTERM (a request under way to the server counts as sent after)", head,
          [stopped(options.rows, n) for n in options.at_once])  # fmt: skip


if __name__ == "__main__":
    main()
