"""Peak memory and time per row over the number of rows, through the offline LLM.

    python -m bench.memory [--rows 1000 20000 200000]

Seeds come from a local Parquet file; nothing is learned, every row is evolved, judged and answered.
"""

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.harness import run_main, table, write_seeds


def parquet(folder: Path, rows: int) -> Path:
    """Write seeds as Parquet in a process of its own, as a child's peak memory begins at its parent's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(write_parquet, folder, rows).result()


def write_parquet(folder: Path, rows: int) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = write_seeds(folder / "seeds.jsonl", rows).read_text(encoding="utf-8").splitlines()
    path = folder / "seeds.parquet"
    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in lines]), path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 20_000, 200_000])
    parser.add_argument("--max-overlap", default="1", help="1 switches the near-copy filter off")
    options = parser.parse_args()
    lines = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            measured = run_main(
                folder, parquet(folder, rows), None, "--max-overlap", options.max_overlap, "--no-report"
            )
            journal = (folder / "result.run" / "journal.sqlite").stat().st_size / 2**20
            per_row = 1000 * measured.wall / rows
            lines.append([rows, f"{measured.peak:.0f}", f"{measured.wall:.1f}", f"{per_row:.2f}", f"{journal:.0f}"])
    head = ("rows", "peak MiB", "seconds", "ms/row", "journal MiB")
    table("Memory and time, offline LLM", head, lines)


if __name__ == "__main__":
    main()
