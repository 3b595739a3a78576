"""The final run on a real Ray cluster of three nodes on this machine: same rows, whatever dies on the way."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from generator import Hands, Parts
from tests.builders import seeds as seeds_of
from tests.command import finish, run, start
from tests.fakes import Act, MisbehavingServer, Received
from tests.offline_server import offline_reply
from utils.ledger import Ledger
from utils.results import set_aside_record

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator import scale_out as engine  # isort: skip - before all of Ray, whose settings it makes
from ray import cloudpickle
from ray.cluster_utils import Cluster as Machines

ROWS = 200
FINAL = ("--max-steps", "0", "--no-report", "--batch-size", "12")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # tests are not shipped to workers


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    cluster = Machines(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("seeds") / "seeds.jsonl"
    topics = ("rivers in winter", "tax law", "jazz", "how bread rises", "orbits", "soil", "old bridges")
    lines = (f"Explain {topics[n % 7]} to reader {n} of group {n * n % 97}, in {n % 5 + 2} steps." for n in range(ROWS))
    path.write_text("".join(json.dumps({"instruction": line}) + "\n" for line in lines), encoding="utf-8")
    return path


def slowly(received: Received) -> Act:
    return offline_reply(received).after(0.02)


def flags(seeds: Path, url: str, name: str, *more: str) -> tuple[str, ...]:
    llm = (f"base_url={url}", "model=served", "seed=7")
    to = ("--data-path", str(seeds), "--save-path", name)
    return (*to, *FINAL, "--evol-llm-config", *llm, "--optim-llm-config", *llm, *more)


def on(machines: Machines) -> tuple[str, ...]:
    return ("--engine", "ray", "--ray-address", machines.address)


def finished(folder: Path) -> int:
    return len(list(folder.glob("x.run/parts/done/*.json")))


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def asked(server: MisbehavingServer) -> Counter[str]:
    return Counter(json.dumps(received.body, sort_keys=True) for received in server.received)


@pytest.fixture(scope="module")
def local(seeds, tmp_path_factory) -> tuple[Path, Counter[str]]:
    """The run on one machine, and what it asked for."""
    folder = tmp_path_factory.mktemp("local")
    with MisbehavingServer(offline_reply) as server:
        ran = run(folder, *flags(seeds, server.url, "x.json"))
        assert ran.code == 0, ran.err
        return folder, asked(server)


def assert_same(folder: Path, local: Path) -> None:
    for name in ("x.json", "x.run/rejects.jsonl"):
        assert (folder / name).read_bytes() == (local / name).read_bytes(), name
    ours, theirs = (json.loads((path / "x.run/summary.json").read_text()) for path in (folder, local))
    for name in ("rows_in", "evolved", "eliminated", "set_aside", "unavailable", "retention"):
        assert ours[name] == theirs[name], name


def test_a_node_that_dies_and_a_driver_that_dies_change_nothing(machines, seeds, local, tmp_path):
    reference, wanted = local
    with MisbehavingServer(slowly) as server:
        words = flags(seeds, server.url, "x.json", *on(machines))
        driver = start(tmp_path, *words)
        wait_until(lambda: driver.poll() is not None or finished(tmp_path) >= 2)
        assert driver.poll() is None, driver.communicate()
        machines.remove_node(machines.list_all_nodes()[-1], allow_graceful=False)
        at_death = finished(tmp_path)
        wait_until(lambda: finished(tmp_path) >= at_death + 4)
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate()
        machines.add_node(num_cpus=1)

        kept = finished(tmp_path)
        before = server.received.copy()
        ran = finish(start(tmp_path, *words))
        assert ran.code == 0, ran.err
        again = asked(server)
        assert_same(tmp_path, reference)
        assert set(again) == set(wanted)
        assert server.most_in_flight <= 12
        paid_twice = sum(again.values()) - len(again)
        in_flight = 3 * engine.partitions_at_once(engine.Share(3, 4), 10) * 30  # workers, partitions, calls of each
        assert paid_twice <= 2 * in_flight
        assert len(server.received) - len(before) <= len(wanted) - kept * 20

        ran = run(tmp_path, *words[:-1], "127.0.0.1:9")  # nothing is left to do: no cluster is needed
        assert (ran.code, len(server.received)) == (0, sum(again.values())), ran.err
        assert f"0 made, {len(wanted)} from the journal" in ran.out
    assert_same(tmp_path, reference)


# --- Without the rest of the program ----------------------------------------------------------------

POISON, SLEEPY = "Name 9 rivers.", "Name 17 rivers."


def hands_of(slept: Path, journal: object, ledger: Ledger) -> Hands:
    """Work that kills its process at one row, and blocks it at another the first time."""

    async def work(group):
        if any(seed.text == POISON for seed in group):
            os._exit(1)
        if any(seed.text == SLEEPY for seed in group) and not slept.exists():
            slept.touch()
            time.sleep(1000)
        return [(seed.id, set_aside_record(seed.id, seed.text, "fine")) for seed in group]

    async def drain():
        """Nothing is under way."""

    return Hands(work, drain)


@pytest.mark.skipif(
    "RAY_ALL" not in os.environ,
    reason="taking a crashing row apart outlasts its time limit now and then; RAY_ALL=1 runs it",
)
def test_a_row_that_crashes_workers_is_rejected_and_silence_is_ended(machines, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SILENCE", 6.0)
    count, parts = 40, Parts(tmp_path / "parts")
    slept, told = tmp_path / "slept", Counter()

    def done(rows: int, failed: int) -> None:
        told.update(rows=rows)

    def build(workers: int, requests: int | None):
        return lambda journal, ledger: hands_of(slept, journal, ledger)

    work = engine.Work(build, "a test", 8, Ledger(), done)
    cluster = engine.Cluster(machines.address)
    running = engine.scale_out(cluster, work, parts, seeds_of(count), count)
    layout = asyncio.run(asyncio.wait_for(running, 120))
    reasons = {record["id"]: record["reason"] for n in range(len(layout.first_ids)) for _, record in parts.rows(n)}
    assert reasons == dict.fromkeys(range(count), "fine") | {7: "crashed"}
    assert slept.exists()
    assert told["rows"] == count
