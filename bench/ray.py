"""Rows per second on a Ray cluster of 1, 2 and 4 nodes of one CPU each, all on this machine, against the local engine.

    python -m bench.ray [--rows 300] [--nodes 1 2] [--batch-size 32]

Zero latency, tiny texts, no near-copy filter: what is measured is the program. Start-up (Ray itself, its workers) is
taken out as the difference to a run of a tenth of the rows. On a machine with fewer CPUs than nodes the nodes share
them: then the figures show overhead, not scaling.
"""

import argparse
import tempfile
from pathlib import Path

from bench.harness import Measured, run_main, server, table, write_seeds


def measured(rows: int, batch_size: int, *engine: str) -> Measured:
    """One run; its peak is the memory of the driver's process."""
    with tempfile.TemporaryDirectory() as name, server(median=0) as running:
        folder = Path(name)
        seeds = write_seeds(folder / "seeds.jsonl", rows)
        flags = ("--batch-size", str(batch_size), "--max-overlap", "1", "--no-report", *engine)
        return run_main(folder, seeds, running.url, *flags)


def line(title: str, rows: int, batch_size: int, *engine: str) -> list[str]:
    few, many = (measured(count, batch_size, *engine) for count in (rows // 10, rows))
    seconds = many.wall - few.wall
    per_row = 1000 * seconds / (rows - rows // 10)
    return [title, f"{1000 / per_row:.0f}", f"{per_row:.2f}", f"{few.wall:.1f}", f"{many.wall:.1f}", f"{many.peak:.0f}"]


def on_cluster(nodes: int, rows: int, batch_size: int) -> list[str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        return line(f"ray, {nodes} nodes", rows, batch_size, "--engine", "ray", "--ray-address", cluster.address)
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[300])
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    for rows in options.rows:
        lines = [line("local", rows, options.batch_size)]
        lines += [on_cluster(nodes, rows, options.batch_size) for nodes in options.nodes]
        head = ("engine", "rows/s", "ms/row", f"s for {rows // 10}", f"s for {rows}", "driver peak MiB")
        table(f"{rows} rows, zero latency", head, lines)


if __name__ == "__main__":
    main()
