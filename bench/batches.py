"""Peak memory and CPU of a final run through a batch API, and in rounds as files: all rows are in flight at once.

    python -m bench.batches [--rows 1000 10000 50000]

The batch API is the scripted one of the tests, on a loopback port; a batch is done when it is looked at for the third
time. With rounds as files each round is a run of the program of its own; between the runs the offline LLM answers in
the place of `vllm run-batch`. Nothing is learned, every row is evolved, judged and answered once.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.harness import ROOT, Measured, table, timed, write_seeds
from tests.batch_server import BatchServer, offline_line


def command(seeds: Path, url: str, *flags: str) -> list[str]:
    llm = ["model=bench", f"base_url={url}", "batch_poll=0.5"]
    common = ["--data-path", str(seeds), "--max-steps", "0", "--attempts", "1", "--batch-api", "all"]
    common += ["--max-overlap", "1", "--no-report", "--quiet"]
    return [
        sys.executable,
        str(ROOT / "main.py"),
        *common,
        "--evol-llm-config",
        *llm,
        "--optim-llm-config",
        *llm,
        *flags,
    ]


def line(rows: int, what: str, measured: Measured) -> list[str]:
    if measured.code:
        raise SystemExit(f"the run failed:\n{measured.output}")
    return [f"{rows:,}", what, f"{measured.peak:.0f}", f"{measured.cpu:.1f}", f"{measured.wall:.1f}"]


def through_an_api(rows: int) -> list[list[str]]:
    """Run all rounds over `rows` seeds through a batch API; return the line of the table."""
    with tempfile.TemporaryDirectory() as name, BatchServer() as provider:
        folder = Path(name)
        measured = timed(command(write_seeds(folder / "seeds.jsonl", rows), provider.url), folder)
        return [line(rows, f"{len(provider.jobs)} batches, {provider.asked.total():,} requests", measured)]


def answer(path: Path) -> int:
    """Answer a round, and return how many requests it has."""
    count = 0
    with path.open(encoding="utf-8") as lines, path.with_suffix(".out.jsonl").open("w", encoding="utf-8") as out:
        for count, request in enumerate(map(json.loads, lines), start=1):  # noqa: B007
            out.write(json.dumps(offline_line(request)) + "\n")
    return count


def as_files(rows: int) -> list[list[str]]:
    """Run all rounds over `rows` seeds as files; return a line of the table for each run of the program."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = command(write_seeds(folder / "seeds.jsonl", rows), "http://127.0.0.1:9/v1", "--batch-folder", ".")
        while True:
            measured = timed(words, folder)
            waiting = [path for path in sorted(folder.glob("round-????.jsonl"))
                       if not path.with_suffix(".out.jsonl").exists()]  # fmt: skip
            asked = sum(map(answer, waiting))
            lines.append(line(rows, f"writes {asked:,}" if waiting else "ends", measured))
            if not waiting:
                return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    sizes = parser.parse_args().rows
    ways: dict[str, Callable[[int], list[list[str]]]] = {"Through a batch API": through_an_api, "As files": as_files}
    for title, measure in ways.items():
        lines = [line for rows in sizes for line in measure(rows)]
        table(f"{title}, offline LLM", ("rows", "the run", "peak MiB", "CPU s", "wall s"), lines)


if __name__ == "__main__":
    main()
