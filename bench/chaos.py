"""Rows lost when a few per cent of all replies are faults: 500, reset, 429, malformed, empty, length.

    python -m bench.chaos [--rows 200] [--fault 0.03] [--kills 0]

With --kills N the run is killed (SIGKILL) N times on its way and started again. The ledger has to add up in the
end, and no completion that stood in the journal may be asked for again.
"""

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from bench.harness import ROOT, run_main, server, table, write_seeds


def journaled(folder: Path) -> int:
    """Count the completions in the journal of the run in `folder`; 0 while there is no journal."""
    path = folder / "result.run" / "journal.sqlite"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM completion").fetchone()[0]
    except sqlite3.Error:
        return 0


def kill_once(folder: Path, seeds: Path, url: str, flags: list[str], at_least: int) -> bool:
    """Start the run and kill it once the journal holds `at_least` completions; return False when it ended before."""
    config = f"model=bench base_url={url}"
    where = ["--evol-llm-config", config, "--optim-llm-config", config]
    common = ["--data-path", str(seeds), "--max-steps", "0", "--quiet", "--save-path", str(folder / "result.json")]
    command = [sys.executable, str(ROOT / "main.py"), *common, *where, *flags]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and journaled(folder) < at_least:
        time.sleep(0.005)
    ended = process.poll() is not None
    if not ended:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return not ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--fault", type=float, default=0.03)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--median", type=float, default=0.02, help="seconds of latency")
    options = parser.parse_args()
    flags = ["--batch-size", "32", "--attempts", "4", "--max-overlap", "1", "--no-report"]
    with tempfile.TemporaryDirectory() as name, server(median=options.median, fault=options.fault) as running:
        folder = Path(name)
        seeds = write_seeds(folder / "seeds.jsonl", options.rows)
        random, kills = Random(0), 0
        for number in range(options.kills):
            goal = int(options.rows * 2.1 * (number + random.random()) / options.kills)
            kills += kill_once(folder, seeds, running.url, flags, goal)
        kept = journaled(folder)
        measured = run_main(folder, seeds, running.url, *flags)
        stats = running.stats()
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        rejects = (folder / "result.run" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
        summary = json.loads((folder / "result.run" / "summary.json").read_text(encoding="utf-8"))
        repeated = stats["requests"] - stats["faults"] - journaled(folder)
    lost = options.rows - len(result) - len(rejects)
    doubled = len(result) - len({row["id"] for row in result})
    figures = [options.rows, len(result), len(rejects), lost, doubled, stats["faults"], summary["retries"]]
    head = ("rows", "evolved", "rejects", "lost", "doubled", "faults", "retries")
    table(f"{options.fault:.0%} of each kind of fault", head, [figures])
    if options.kills:
        figures = [kills, kept, repeated, f"{measured.wall:.1f}"]
        table("Killed and run again", ("kills", "kept", "asked twice", "last run s"), [figures])


if __name__ == "__main__":
    main()
