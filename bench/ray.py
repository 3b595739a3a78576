"""Rows per second on a Ray cluster of 1, 2 and 4 nodes of one CPU each, all on this machine, against the local engine.

    python -m bench.ray [--rows 10000] [--nodes 1 2 4] [--batch-size 32] [--latency 0.0] [--offline] [--max-overlap 1]
    python -m bench.ray --coordinator     calls per second through the coordinator alone

Zero latency and tiny texts: what is measured is the program. Start-up (Ray itself, its workers) is taken out as the
difference to a run of a tenth of the rows. Peak memory is that of the driver's process, whose start alone takes some
190 MiB (ray.data and what it imports): what matters is how it grows. The local engine writes one Parquet file, the
cluster a folder of them. `--offline` puts the rule-based LLM into the workers in place of a server; then what
remains is reading, rules, journal and writing.

On a machine with fewer CPUs than nodes the nodes share them, and with the server too: then the figures show overhead,
not scaling. With a latency (seconds, the median of a log-normal one) they show that nodes wait in parallel.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from bench.harness import Measured, run_main, server, table, write_seeds
from utils.concurrency import for_each
from utils.llm.journal import Journal, request_key
from utils.llm.ledger import Ledger
from utils.schema import Completion, Message, Request, Sampling, Usage


def measured(rows: int, options: argparse.Namespace, *engine: str) -> Measured:
    """Run once over `rows` seeds and measure it; the peak memory is that of the driver's process."""
    running = nullcontext() if options.offline else server(median=options.latency)
    with tempfile.TemporaryDirectory() as name, running as llm:
        folder = Path(name)
        seeds = write_seeds(folder / "seeds.jsonl", rows)
        flags = (
            "--batch-size",
            str(options.batch_size),
            "--max-overlap",
            str(options.max_overlap),
            "--no-report",
            *engine,
        )
        return run_main(folder, seeds, llm and llm.url, *flags, "--save-path", str(folder / "result.parquet"))


def line(title: str, rows: int, options: argparse.Namespace, *engine: str) -> list[str]:
    """Return a line of the table: speed without start-up, seconds for a tenth and for all rows, peak memory."""
    few, many = (measured(count, options, *engine) for count in (rows // 10, rows))
    per_row = 1000 * (many.wall - few.wall) / (rows - rows // 10)
    speed = [f"{1000 / per_row:.0f}", f"{per_row:.2f}"] if per_row > 0 else ["lost in start-up", "-"]
    return [title, *speed, f"{few.wall:.1f}", f"{many.wall:.1f}", f"{many.peak:.0f}"]


def on_cluster(nodes: int, rows: int, options: argparse.Namespace) -> list[str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        return line(f"ray, {nodes} nodes", rows, options, "--engine", "ray", "--ray-address", cluster.address)
    finally:
        cluster.shutdown()


class Asker:
    """A worker that does nothing but look answers up and record them, many at once."""

    def __init__(self, coordinator: Any) -> None:
        from generator.scale_out.coordinator import Calls

        self._calls = Calls(coordinator)

    async def ask(self, name: str, calls: int, at_once: int) -> None:
        async def one(number: int) -> None:
            request = Request("evolve", "m", (Message("user", f"{name} {number} " + "word " * 400),), Sampling(), "0")
            key = request_key(request)
            if await self._calls.get(request, key) is None:
                await self._calls.put(request, Completion("word " * 300, None, Usage(400, 300)), key)

        await for_each(range(calls), one, at_once)


def coordinator_speed(workers: int, calls: int, at_once: int) -> list[str]:
    """Return a line of the table: workers, calls (look up, record) per second, CPU ms of the coordinator per call."""
    import ray

    from generator.scale_out import connected
    from generator.scale_out.coordinator import Coordinator

    with tempfile.TemporaryDirectory() as folder, connected("local"):
        coordinator = ray.remote(Coordinator).options(num_cpus=0).remote()
        ray.get(coordinator.open.remote(partial(Journal, Path(folder, "journal.sqlite")), {}, Ledger()))
        askers = [ray.remote(Asker).options(num_cpus=0).remote(coordinator) for _ in range(workers)]
        ray.get([asker.ask.remote("warm", 10, 10) for asker in askers])
        started, worked = time.monotonic(), ray.get(coordinator.__ray_call__.remote(lambda _: time.process_time()))
        ray.get([asker.ask.remote(str(number), calls, at_once) for number, asker in enumerate(askers)])
        passed = time.monotonic() - started
        worked = ray.get(coordinator.__ray_call__.remote(lambda _: time.process_time())) - worked
        return [str(workers), f"{workers * calls / passed:.0f}", f"{1000 * worked / (workers * calls):.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000])
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--max-overlap", type=float, default=1)
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--no-local", action="store_true", help="the cluster alone, for sizes that take hours")
    parser.add_argument("--coordinator", action="store_true", help="calls per second through the coordinator alone")
    options = parser.parse_args()
    if options.coordinator:
        head = ("workers", "calls/s", "CPU ms of the coordinator per call")
        table("The coordinator", head, [coordinator_speed(workers, 2_000, 64) for workers in (1, 2, 4)])
        return
    for rows in options.rows:
        runs: list[Callable[[], list[str]]] = []
        if not options.no_local:
            runs.append(lambda rows=rows: line("local", rows, options))
        runs += [lambda nodes=nodes, rows=rows: on_cluster(nodes, rows, options) for nodes in options.nodes]
        head = ("engine", "rows/s", "ms/row", f"s for {rows // 10}", f"s for {rows}", "driver peak MiB")
        llm = "rule-based LLM" if options.offline else f"latency {options.latency:g} s"
        table(f"{rows} rows, {llm}, {options.batch_size} requests in flight", head, [run() for run in runs])


if __name__ == "__main__":
    main()
