"""Share of the physical limit, (sum of the endpoint's latencies) / concurrency, and CPU per call.

    python -m bench.throughput [--rows 500] [--concurrency 32] [--draws 3] [--zero-rows 3000]

Each line is the median over latency draws; the bare asyncio script on the SDK runs in the same run.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.harness import Measured, run_main, server, table, timed, write_seeds


def reference(folder: Path, seeds: Path, url: str, concurrency: int) -> Measured:
    command = [sys.executable, "-m", "bench.reference", str(seeds), url, str(concurrency)]
    return timed(command, folder)


def one_run(folder: Path, seeds: Path, url: str, concurrency: int, judge: str | None) -> Measured:
    """Run the program once, or the bare script where `judge` is None, and measure it."""
    if judge is None:
        return reference(folder, seeds, url, concurrency)
    flags = ("--batch-size", str(concurrency), "--judge", judge, "--max-overlap", "1", "--no-report")
    return run_main(folder, seeds, url, *flags)


def share(rows: int, concurrency: int, draw: int, judge: str | None) -> tuple[float, float, float]:
    """Return the share of the limit (0 to 1), CPU ms per call and wall seconds of one run (see `one_run`)."""
    with tempfile.TemporaryDirectory() as name, server(draw=draw) as running:
        folder = Path(name)
        seeds = write_seeds(folder / "seeds.jsonl", rows)
        measured = one_run(folder, seeds, running.url, concurrency, judge)
        stats = running.stats()
        limit = stats["latency"] / concurrency
        return limit / measured.wall, 1000 * measured.cpu / stats["requests"], measured.wall


def no_latency(rows: int, concurrency: int) -> list[list[str]]:
    """Return lines of the table: CPU ms per call and calls per second of each program at a server without latency."""
    lines = []
    for title, judge in (("bare script", None), ("main.sh, no judge", "off"), ("main.sh", "all")):
        costs = []
        for count in (rows // 10, rows):  # the difference takes the start-up out
            with tempfile.TemporaryDirectory() as name, server(median=0) as running:
                folder = Path(name)
                seeds = write_seeds(folder / "seeds.jsonl", count)
                measured = one_run(folder, seeds, running.url, concurrency, judge)
                costs.append((measured.cpu, measured.wall, running.stats()["requests"]))
        (cpu0, wall0, calls0), (cpu1, wall1, calls1) = costs
        calls = calls1 - calls0
        lines.append([title, f"{1000 * (cpu1 - cpu0) / calls:.2f}", f"{calls / (wall1 - wall0):.0f}"])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[500])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--zero-rows", type=int, default=3000)
    options = parser.parse_args()
    lines = []
    for rows in options.rows:
        for concurrency in options.concurrency:
            for title, judge in (("bare script", None), ("main.sh, no judge", "off"), ("main.sh", "all")):
                runs = [share(rows, concurrency, draw, judge) for draw in range(options.draws)]
                figures = [median(run[position] for run in runs) for position in range(3)]
                lines.append([rows, concurrency, title, f"{figures[0]:.3f}", f"{figures[1]:.2f}", f"{figures[2]:.1f}"])
    head = ("rows", "at once", "program", "share of limit", "CPU ms/call", "seconds")
    table(f"Share of the physical limit (log-normal latency, median of {options.draws} draws)", head, lines)
    if options.zero_rows:
        head = ("program", "CPU ms/call", "calls/s")
        table("At zero latency, start-up taken out", head, no_latency(options.zero_rows, 64))


if __name__ == "__main__":
    main()
