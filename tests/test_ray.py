"""The final run on a real Ray cluster of three nodes on this machine: same rows, whatever dies on the way."""

import asyncio
import gzip
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from subprocess import Popen
from types import SimpleNamespace

import pytest

from tests.builders import seeds as seeds_of
from tests.command import Ran, failed, finish, reworded, start
from tests.fakes import Act, MisbehavingServer, Received, dead_url
from tests.hub_stub import HubStub, Repo
from tests.object_store import environment, object_store
from tests.offline_server import offline_reply
from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.files.storage import ObjectStore
from utils.files.writing import parquet_bytes, parquet_rows
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.process.each import in_silence
from utils.rows.records import stored_row
from utils.run.context import RunContext
from utils.schema import (
    PASSED,
    Answer,
    Answers,
    Message,
    Method,
    Request,
    Rewrite,
    RowOutcome,
    Sampling,
    SeedInstruction,
    Trajectory,
)
from utils.text.decontamination import BenchmarkItems, eliminate_contaminated
from utils.text.near_duplicates import eliminate_near_duplicates

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator import scale_out as engine  # isort: skip - before all of Ray, whose settings it makes
from ray import cloudpickle
from ray.cluster_utils import Cluster as Machines
from ray.data import DataContext

from generator.scale_out import decontamination, near_duplicates

ROWS = 200
LIMIT = 300.0  # seconds; on a busy machine Ray takes many times what it needs
FINAL = ("--max-steps", "0", "--no-report", "--batch-size", "12")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # tests are not shipped to workers


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """What opens an object store, here and on the cluster."""
    with object_store() as opening, environment(opening):
        yield dict(opening)


@pytest.fixture(scope="module")
def machines(variables) -> Iterator[Machines]:
    """Three nodes of one CPU each."""
    os.environ.update(RAY_worker_niceness="0")  # on a busy machine Ray's workers would wait for all the others
    cluster = Machines(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


TOPICS = ("rivers in winter", "tax law", "jazz", "how bread rises", "orbits", "soil", "old bridges")
TEXTS = [f"Explain {TOPICS[n % 7]} to reader {n} of group {n * n % 97}, in {n % 5 + 2} steps." for n in range(ROWS)]
TEXTS[60:60] = ["", TEXTS[3]]  # two rows that are no seeds
THIRDS = (TEXTS[:70], TEXTS[70:140], TEXTS[140:])


def lines_of(texts: list[str]) -> str:
    return "".join(json.dumps({"instruction": text}) + "\n" for text in texts)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> str:
    """A glob of three files."""
    folder = tmp_path_factory.mktemp("seeds")
    for number, texts in enumerate(THIRDS):
        (folder / f"{number}.jsonl").write_text(lines_of(texts), encoding="utf-8")
    return str(folder / "*.jsonl")


def paced(fast: int, ended: list) -> Callable[[Received], Act]:
    """Replies of which all but the first so many take a second until `ended` holds anything: a run that is to be
    struck down does not come to its end before, however busy the machine.
    """
    numbers = count()
    return lambda received: offline_reply(received).after(0.02 if next(numbers) < fast or ended else 1.0)


def flags(seeds: str, name: str, *urls: str) -> tuple[str, ...]:
    llm = (*(f"base_url={url}" for url in urls), "model=served", "seed=7")
    to = ("--data-path", seeds, "--save-path", name)
    return (*to, *FINAL, "--evol-llm-config", *llm, "--optim-llm-config", *llm)


def on(machines: Machines) -> tuple[str, ...]:
    return ("--engine", "ray", "--ray-address", machines.address)


def run(folder: Path, *words: object, env: Mapping[str, str] | None = None) -> Ran:
    return finish(start(folder, *words, env=env), LIMIT)


def finished(folder: Path) -> int:
    """Groups that are written: of so few, each in a file of its own."""
    return len(list(folder.glob("x.run/rows/*.parquet")))


def wait_until(driver: Popen, holds: Callable[[], bool]) -> None:
    """Until it holds, which it has to while `driver` still runs."""
    limit = time.monotonic() + LIMIT
    while not holds():
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def request_of(body: dict) -> Request:
    """What a server was asked, as it is recorded."""
    messages = tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])
    sampling = Sampling(body.get("temperature"), body.get("top_p"), None, 7)
    return Request("evolve", body["model"], messages, sampling, str(body["seed"] - 7))


def asked(*servers: MisbehavingServer) -> Counter[str]:
    return Counter(json.dumps(received.body, sort_keys=True) for server in servers for received in server.received)


@pytest.fixture(scope="module")
def local(seeds, tmp_path_factory) -> tuple[Path, Counter[str]]:
    """The run on one machine, and what it asked for."""
    folder = tmp_path_factory.mktemp("local")
    with MisbehavingServer(offline_reply) as server:
        ran = run(folder, *flags(seeds, "x.json", server.url))
        assert ran.code == 0, ran.err
        return folder, asked(server)


def summary(folder: Path) -> dict:
    return json.loads((folder / "x.run/summary.json").read_text())


def assert_same_counts(folder: Path, local: Path) -> None:
    ours, theirs = summary(folder), summary(local)
    for name in ("rows_in", "evolved", "eliminated", "set_aside", "unavailable", "retention"):
        assert ours[name] == theirs[name], name
    assert list(ours["set_aside"].values()) == [1, 1]
    assert ours["eliminated"]["near_copy"]


def assert_same(folder: Path, local: Path) -> None:
    for name in ("x.json", "x.run/rejects.jsonl"):
        assert (folder / name).read_bytes() == (local / name).read_bytes(), name
    assert_same_counts(folder, local)


def records_of(path: Path) -> list[dict]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.split("\n")[:-1]]


def test_a_budget_a_node_that_dies_and_a_driver_that_dies_change_nothing(machines, local, tmp_path):
    """Seeds from a private data set of the Hub. The budget is kept to the call, and no answer is asked for again."""
    reference, wanted = local
    halves = {"train-0.jsonl": TEXTS[:100], "train-1.jsonl": TEXTS[100:]}
    repo = Repo({name: lines_of(part).encode() for name, part in halves.items()}, private=True)
    token = "hf_aTokenOfTests"
    with HubStub({"org/seeds": repo}, tokens=(token,)) as hub, MisbehavingServer(paced(250, killed := [])) as server:
        opening = {"HF_ENDPOINT": hub.url, "MY_HF_TOKEN": token, "HF_HOME": str(tmp_path / "cache")}
        words = (*flags("org/seeds", "x.json", server.url), *on(machines))
        ran = run(tmp_path, *words, "--max-calls", "150", env=opening)
        assert "the budget of --max-calls 150 is used up: 150 calls made" in failed(ran, 5)
        assert "all answers are kept, continue with: sh main.sh" in ran.last_line
        assert len(server.received) == 150
        assert max(asked(server).values()) == 1

        driver = start(tmp_path, *words, env=opening)
        wait_until(driver, lambda: finished(tmp_path) >= 6)
        machines.remove_node(machines.list_all_nodes()[-1], allow_graceful=False)
        at_death = finished(tmp_path)
        wait_until(driver, lambda: finished(tmp_path) >= at_death + 4)
        os.kill(driver.pid, signal.SIGKILL)
        killed.append(driver.pid)
        driver.communicate()
        machines.add_node(num_cpus=1)

        ran = run(tmp_path, *words, env=opening)
        assert ran.code == 0, ran.err
        again = asked(server)
        assert set(again) == set(wanted)
        # What was in flight when a node, and then all, died: four calls of a worker, twelve of all of them. On a busy
        # machine as many answers may have been on their way from a worker to the journal.
        assert sum(again.values()) - len(again) <= 2 * (4 + 12)
        assert server.most_in_flight <= 12
        assert token not in ran.out + ran.err
    assert_same(tmp_path, reference)


def test_from_an_object_store_to_an_object_store(machines, variables, local, tmp_path):
    """In partitions, over two servers of which one goes away, interrupted: rows, rejects, answers end as Parquet."""
    reference, wanted = local
    root = f"s3://bucket/{tmp_path.name}"
    store = ObjectStore(root)
    for number, texts in enumerate(THIRDS):
        rows = [{"instruction": text} for text in texts]
        store.write(f"in/{number}.parquet", parquet_bytes(rows, {"instruction": str}))

    signalled: list[int] = []
    reply = paced(120, signalled)
    with MisbehavingServer(reply) as one:
        with MisbehavingServer(reply) as other:
            words = (*flags(f"{root}/in/*.parquet", f"{root}/out/x.parquet", one.url, other.url), *on(machines))
            driver = start(tmp_path, *words, env=variables)
            wait_until(driver, lambda: len(other.received) > 60)
        at_death = len(one.received)
        wait_until(driver, lambda: len(one.received) > at_death + 60)
        driver.send_signal(signal.SIGTERM)
        signalled.append(signal.SIGTERM)
        assert "all answers are kept" in failed(finish(driver, LIMIT), 130)
        ran = run(tmp_path, *words, env=variables)
    assert ran.code == 0, ran.err
    assert f"-> {root}/out/x.parquet" in ran.out
    again = asked(one, other)
    assert set(again) == set(wanted)
    assert sum(again.values()) - len(again) <= 12 + 12  # in flight when a server went away, and at the signal

    def stored(folder: str) -> list[dict]:
        names = [name for name in store.names(folder) if name.endswith(".parquet")]
        return [row for name in names for row in parquet_rows(store.read(name))]

    def by_id(record: dict) -> int:
        return record["id"]

    assert sorted(stored("out/x.parquet"), key=by_id) == records_of(reference / "x.json")
    assert sorted(stored("out/x.run/rejects"), key=by_id) == records_of(reference / "x.run/rejects.jsonl")
    with closing(Journal(None)) as journal:  # as the store has it, which is what is left where a disk is lost
        for name in store.names("out/x.run/journal"):
            (tmp_path / "segment").write_bytes(gzip.decompress(store.read(name)))
            journal.load(tmp_path / "segment")
        assert len(journal) == len(wanted)
        assert all(journal.get(request_of(json.loads(body))) for body in wanted)
    assert "out/x.parquet/_SUCCESS" in store.names("out")
    assert_same_counts(tmp_path, reference)
    assert not (tmp_path / "x.parquet").exists()


def test_what_cannot_be_reached_or_used_is_one_line(seeds, tmp_path):
    with dead_url() as dead:
        words = flags(seeds, "x.json", dead)
        ran = run(tmp_path, *words, "--engine", "ray", "--ray-address", "127.0.0.1:9")
        assert "cannot use the Ray cluster at 127.0.0.1:9" in failed(ran, 3)
        (tmp_path / "x.parquet").mkdir()
        (tmp_path / "x.parquet/mine.txt").write_text("")
        ran = run(tmp_path, *flags(seeds, "x.parquet", dead), "--engine", "ray")
        assert "holds mine.txt, which no run has written" in failed(ran, 2)
        (tmp_path / "x.parquet").rename(tmp_path / "y.heldout.parquet")
        ran = run(tmp_path, *flags(seeds, "y.parquet", dead), "--engine", "ray", "--hold-out", "0.1")
        assert "y.heldout.parquet holds mine.txt" in failed(ran, 2)
        ran = run(tmp_path, *flags(seeds, "s3://bucket/x.json", dead), "--engine", "ray")
        assert "takes the partitions of --save-path NAME.parquet" in failed(ran, 2)


def test_what_one_engine_has_begun_the_other_ends(machines, local, seeds, tmp_path):
    """Whichever asks: no answer is asked for twice, and all of them are in the one journal."""
    reference, wanted = local
    with MisbehavingServer(offline_reply) as server:
        words = flags(seeds, "x.json", server.url)
        assert run(tmp_path, *words, "--max-calls", "150").code == 5
        assert run(tmp_path, *words, *on(machines), "--max-calls", "150").code == 5
        assert len(server.received) == 300
        ran = run(tmp_path, *words, "--export-journal", "all.jsonl")
        assert ran.code == 0, ran.err
        assert asked(server) == wanted
    assert_same(tmp_path, reference)
    reworded(tmp_path / "all.jsonl", "You rewrite instructions.", "You are a writer of instructions.")
    ran = run(tmp_path, *words, *on(machines), "--replay", "all.jsonl", "--save-path", "y.json")
    assert ran.code == 0, ran.err
    assert (tmp_path / "y.json").read_bytes() == (reference / "x.json").read_bytes()


# --- Without the rest of the program ----------------------------------------------------------------

POISON, SLEEPY = "Name 9 rivers.", "Name 27 rivers."


def outcome_of(seed: SeedInstruction, text: str) -> RowOutcome:
    """A seed that became `text`."""
    trajectory = Trajectory(seed, (Rewrite(text, "m"),))
    return RowOutcome(trajectory, PASSED, None, Answers((Answer(trajectory, "a"),)))


def work_of(opened: Path, slept: Path) -> Callable:
    """Work that kills its process at one row, and blocks it at another the first time."""

    async def evolve(ctx, group):
        opened.touch()
        if any(seed.text == POISON for seed in group):
            os._exit(1)
        if any(seed.text == SLEEPY for seed in group) and not slept.exists():
            slept.touch()
            time.sleep(1000)
        return [outcome_of(seed, f"{seed.text} Why?") for seed in group]

    return evolve


@pytest.fixture
def evolved(
    machines, tmp_path, monkeypatch
) -> Callable[[Path, list[SeedInstruction]], tuple[Counter, dict[int, list]]]:
    """Runs seeds through the cluster, and touches `opened` where there is work to do. Gives what was told, and
    the rows by key.
    """

    (tmp_path / "x.run").mkdir()
    # Else a machine that is slow to start actors would be silent for as long.
    monkeypatch.setattr(DataContext.get_current(), "wait_for_min_actors_s", LIMIT)

    def evolve(opened: Path, seeds: list[SeedInstruction]) -> tuple[Counter, dict[int, list]]:
        told: Counter[str] = Counter()
        slept = tmp_path / "slept"

        def done(rows: int, lost: int) -> None:
            told.update(rows=rows, lost=lost)

        config = RunConfig(offline=True, engine="ray", save_path=str(tmp_path / "x.json"))
        llm = SimpleNamespace(model="m")
        ctx = RunContext(llm, llm, None, config, Ledger(), SimpleNamespace(done=done))  # type: ignore[arg-type]
        final_run = engine.FinalRun(ctx, work_of(opened, slept), [Method("m", "file")])
        with RowStore(tmp_path / "rows") as rows, engine.connected(machines.address):
            running = engine.evolve_on_ray(seeds, final_run, rows, tmp_path / "x.run")
            asyncio.run(asyncio.wait_for(running, LIMIT))
            return told, dict(rows.items())

    return evolve


def test_a_group_that_crashes_workers_is_rejected_one_that_blocks_is_tried_again_and_all_is_done_once(
    evolved, tmp_path, monkeypatch
):
    started = time.monotonic()
    evolved(tmp_path / "opened", seeds_of(50)[10:20])  # which tells how busy the machine is
    monkeypatch.setattr(RunConfig, "longest_silence", 2 * (time.monotonic() - started) + 5)
    told, rows = evolved(tmp_path / "opened", seeds_of(50))
    reasons = {key: record["reason"] for key, (kind, record, *_) in rows.items() if kind == "eliminated"}
    assert reasons == dict.fromkeys(range(10), "crashed")  # the whole group of ten
    assert sorted(rows) == list(range(50))
    assert (tmp_path / "slept").exists()
    assert (tmp_path / "opened").exists()
    assert (told["rows"], told["lost"]) == (50, 10)

    again, rows_again = evolved(tmp_path / "opened again", seeds_of(50))
    assert rows_again == rows
    assert not (tmp_path / "opened again").exists()
    assert (again["rows"], again["lost"]) == (50, 10)


WORDS = [f"word{number}" for number in range(40)]


def test_shared_out_the_near_copy_filter_drops_what_it_drops_on_one_machine(machines, tmp_path, monkeypatch):
    monkeypatch.setattr(near_duplicates, "ON_DRIVER", 0)
    monkeypatch.setattr(near_duplicates, "IN_A_SHARD", 7)
    random = Random(12)
    contexts = ((), (Message("system", "Be brief."),))
    seeds = [
        replace(seed, text=" ".join(random.choices(WORDS, k=10)), context=random.choice(contexts))
        for seed in seeds_of(30)
    ]
    new = [
        " ".join([*random.choice(seeds).text.split()[: random.randrange(6, 11)], *random.choices(WORDS, k=2)])
        for _ in seeds
    ]
    with RowStore(tmp_path / "one") as one, RowStore(tmp_path / "other") as other:
        for rows in (one, other):
            rows.put_many(
                (seed.id, stored_row(outcome_of(seed, text), "m")) for seed, text in zip(seeds, new, strict=True)
            )
        eliminate_near_duplicates(one, seeds, 0.7)
        with engine.connected(machines.address):
            asyncio.run(engine.eliminate_near_duplicates_in_shards(other, seeds, 0.7, in_silence))
        assert list(other.items()) == list(one.items())
        kinds = Counter(kind for _, (kind, *_) in one.items())
        assert min(kinds["evolved"], kinds["eliminated"]) > 3


def test_shared_out_benchmarks_keep_out_what_they_keep_out_on_one_machine(machines, tmp_path, monkeypatch):
    monkeypatch.setattr(decontamination, "ON_DRIVER", 0)
    monkeypatch.setattr(decontamination, "IN_A_TASK", 7)
    random = Random(12)
    items = [" ".join(random.choices(WORDS, k=12)) for _ in range(5)]
    benchmarks = BenchmarkItems({"one": items[:2], "two": items[2:]}, 0.7)
    texts = [
        " ".join([*random.choice(items).split()[: random.choice((0, 7, 10, 12))], *random.choices(WORDS, k=9)])
        for _ in range(60)
    ]
    benchmarks.match(f"{items[0][:40]} and more")  # its arrays have grown, as after the seeds
    with RowStore(tmp_path / "one") as one, RowStore(tmp_path / "other") as other:
        for rows in (one, other):
            rows.put_many(
                (seed.id, stored_row(outcome_of(seed, text), "m"))
                for seed, text in zip(seeds_of(60), texts, strict=True)
            )
        eliminate_contaminated(one, benchmarks)
        with engine.connected(machines.address):
            asyncio.run(engine.eliminate_contaminated_in_tasks(other, benchmarks, in_silence))
        assert list(other.items()) == list(one.items())
        kinds = Counter(kind for _, (kind, *_) in one.items())
        assert min(kinds["evolved"], kinds["eliminated"]) > 3
