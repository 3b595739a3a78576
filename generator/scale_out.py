"""The final run on a Ray cluster: partitions of the data set through Ray Data, on workers with async LLM clients.

Groups of ten stay as row order fixes them, so the records are those of a run on one machine, whatever the number of
nodes and the order in which partitions finish. Workers ask for less than one CPU each and may stand anywhere: when
a node dies, those that stood there find a place on the others, which Ray would wait for otherwise. A worker that falls
silent is started anew, and what a pass over the partitions leaves is passed over again; a partition that takes its
worker down again and again is cut in halves, down to the row that does it.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

# Read once, as Ray is loaded: its own news are not for our stderr, and what an ended pass has left behind in a thread
# must not start a cluster of its own.
os.environ.update(RAY_BACKEND_LOG_LEVEL="fatal", RAY_ENABLE_AUTO_CONNECT="0")
import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from generator.group import GROUP_SIZE, groups_of_ten
from generator.parts import Completions, Layout, Parts, Rows, Task, partition_size
from generator.ray_actors import TRIES, Build, Desk, Lone, State, Worker
from utils.errors import AutoEvolError, BudgetReached, EndpointError
from utils.ledger import Ledger
from utils.prompts import PROMPT_FOLDER
from utils.schema import Reject, SeedInstruction

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parent.parent
NOT_SHIPPED = [".git", ".venv", ".env", "*.run", "/tests", "/bench", "__pycache__", ".pytest_cache", ".ruff_cache"]
CPUS = 0.1  # of a worker: less than one, so that a node that dies does not take the only place for its workers
REQUESTS_AT_LEAST = 64  # in flight per worker, before there are more workers than nodes
BLOCKS = 2_000  # tasks of Ray Data at most; each does one partition or several
POLL = 0.5  # seconds
SILENCE = 60.0  # seconds without a sign of a worker that has work in hand, after which it is started anew
QUIET = 600.0  # seconds without a sign of anyone after which the run stops
PATIENCE = 30.0  # seconds for an answer of the desk, and for partitions in hand when the run stops
BARREN_PASSES = 3  # passes without a single finished partition after which the run stops
ALONE = 1800.0  # seconds for rows that are tried by themselves


@dataclass(frozen=True)
class Cluster:
    """Where to run: `address` of a Ray cluster, or None for one of this machine, started and ended with the run.

    `environment` names the variables that workers need.
    """

    address: str | None
    environment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """How the whole is split: so many workers, each with so many requests in flight (None: as the endpoint allows)."""

    workers: int
    requests: int | None


@dataclass(frozen=True)
class Work:
    """The final run: what is done with the rows, and whom to tell how far it is.

    `build` takes the number of workers and the requests in flight of each, and gives what opens a worker's LLMs.
    `fingerprint` stands for all that determines records besides seeds and prompts. `requests` may be in flight in
    all (None: as the endpoint allows). `done` is told of rows and failed rows.
    """

    build: Callable[[int, int | None], Build]
    fingerprint: str
    requests: int | None
    ledger: Ledger
    done: Callable[[int, int], None]


async def scale_out(cluster: Cluster, work: Work, parts: Parts, seeds: Iterable[SeedInstruction], total: int) -> Layout:
    """Make every partition of `seeds` that is not finished yet; `total` is how many seeds there are.

    Raises EndpointError where the cluster cannot be reached or does nothing any more, and what stopped a worker
    (dead endpoint, budget).
    """
    size = partition_size(total)
    layout = parts.lay_out(seeds, size, f"{work.fingerprint} {_digest_of_prompts()}")
    _book_finished(parts, layout, work)
    todo, barren = list(layout.todo), 0
    while todo:
        with connected(cluster):
            await _Pass(cluster, work, parts, todo, size).run()
        left = [number for number in todo if not parts.counts(number)]
        barren = barren + 1 if len(left) == len(todo) else 0
        if barren == BARREN_PASSES:
            raise EndpointError(f"the Ray cluster finished nothing in {barren} passes; look at its nodes, run again")
        todo = left
    return layout


def _book_finished(parts: Parts, layout: Layout, work: Work) -> None:
    """Count the partitions of earlier runs: their rows are done, and their calls come from the journal."""
    for number in sorted(set(range(len(layout.first_ids))) - set(layout.todo)):
        counts = parts.counts(number)
        work.done(counts.rows, counts.rows - counts.evolved)
        for stage, calls in counts.calls.items():
            work.ledger.stages[stage].journaled += calls


def _digest_of_prompts() -> str:
    digest = sha256()
    for path in sorted(PROMPT_FOLDER.rglob("*.txt")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """A connection to the cluster; everything that runs there for us ends with it."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters comes as an exception
    address = cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    if address != "local" and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # in a Ray job the code is there
        options["runtime_env"] = {"working_dir": str(PROJECT), "excludes": NOT_SHIPPED}
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as exc:
        cause = " ".join(str(exc).split())[:200]
        raise EndpointError(f"cannot use the Ray cluster at {address} ({cause}); check --ray-address") from exc
    signal.signal(signal.SIGTERM, terminate)  # Ray has put its own in the place of ours
    try:
        yield
    finally:
        ray.shutdown()


def share_of(requests: int | None, ledger: Ledger) -> Share:
    """The workers for the cluster as it is: one per node, more where a node's share of requests is large.

    Each has the same share, rounded down: together they never have more in flight than `requests`.
    """
    nodes = sum(node["Alive"] for node in ray.nodes())
    cpus = int(ray.cluster_resources().get("CPU", 1))
    workers = min(max(cpus, nodes), max(nodes, (requests or 0) // REQUESTS_AT_LEAST))
    workers = min(workers, requests or workers, max(1, ledger.remaining().max_calls or workers))
    return Share(workers, requests and requests // workers)


def partitions_at_once(share: Share, size: int) -> int:
    """Partitions that a worker has in hand: one waits for its last rows, the others keep the endpoint busy."""
    return 1 + -(-max(4, share.requests or REQUESTS_AT_LEAST) * GROUP_SIZE // size)


class _Pass:
    """One pass of Ray Data over the partitions that are left."""

    def __init__(self, cluster: Cluster, work: Work, parts: Parts, todo: list[int], size: int) -> None:
        self._work, self._parts, self._todo, self._size = work, parts, todo, size
        self._share = share_of(work.requests, work.ledger)
        self._build = work.build(self._share.workers, self._share.requests)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._desk = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=here).remote(parts, SILENCE)
        self._environment = {name: os.environ[name] for name in cluster.environment if name in os.environ}
        self._desk.set_environment.remote(self._environment)
        self._rows = self._failed = 0
        self._fault: Exception | None = None
        self._lone: Any = None

    async def run(self) -> None:
        """Until all partitions are finished or suspect, or nothing is heard any more. Raises what stopped a worker."""
        log.info("%d partitions over %d Ray workers", len(self._todo), self._share.workers)
        stream = threading.Thread(target=self._stream, daemon=True)
        stream.start()
        try:
            state = await self._watch(stream)
            if state.error:
                await asyncio.to_thread(stream.join, PATIENCE)  # others keep what they have paid for
                self._book(await self._state())
                raise _as_whole(state)
        finally:
            self._end(stream)
        for number in state.suspects:
            await asyncio.to_thread(self._settle, number)
        self._book(await self._state())

    def _end(self, stream: threading.Thread) -> None:
        """Have Ray Data come to an end before the connection does: without workers it gives up."""
        with suppress(ray.exceptions.RayError, TimeoutError):
            if stream.is_alive():
                for actor in ray.get(self._desk.workers.remote(), timeout=PATIENCE):
                    ray.kill(actor, no_restart=True)
                stream.join(PATIENCE)

    def _stream(self) -> None:
        """Ray Data's part, in a thread of its own: it blocks. Rows do not come this way, only partition numbers."""
        try:
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            partitions = ray.data.from_items(
                [{"part": number} for number in self._todo], override_num_blocks=min(BLOCKS, len(self._todo))
            )
            at_once = partitions_at_once(self._share, self._size)
            done = partitions.map_batches(
                Worker,
                fn_constructor_args=(self._build, self._desk, self._budget()),
                compute=ray.data.ActorPoolStrategy(
                    size=self._share.workers,
                    max_tasks_in_flight_per_actor=at_once,
                    max_concurrent_calls_per_actor=at_once,
                ),
                batch_size=1,
                num_cpus=CPUS,
            )
            for _ in done.iter_batches(batch_size=None, prefetch_batches=0):
                pass
        except Exception as exc:
            self._fault = exc

    def _budget(self) -> Ledger:
        """A worker's share of what is left of the budget."""
        left = self._work.ledger.remaining()
        workers = self._share.workers
        calls = None if left.max_calls is None else left.max_calls // workers
        return Ledger(calls, None if left.max_cost is None else left.max_cost / workers)

    async def _watch(self, stream: threading.Thread) -> State:
        """Tell how far it is until the stream ends, a worker stops the run, or there is silence."""
        while True:
            ended = not stream.is_alive()
            state = await self._state()
            self._book(state)
            if state.error or ended:
                if self._fault:
                    log.warning("Ray Data gave up: %s", " ".join(str(self._fault).split())[:300])
                return state
            for actor in state.silent:
                log.warning("a Ray worker has been silent for %.0f s: starting it anew", SILENCE)
                ray.kill(actor, no_restart=False)
            if state.quiet > QUIET:
                raise EndpointError(f"no Ray worker could be heard for {QUIET:.0f} s; look at the cluster, run again")
            await asyncio.sleep(POLL)

    async def _state(self) -> State:
        try:
            return await asyncio.wait_for(self._desk.state.remote(), PATIENCE)
        except (TimeoutError, ray.exceptions.RayError) as exc:
            raise EndpointError("the Ray node of this program is gone; start it, then run again") from exc

    def _book(self, state: State) -> None:
        self._work.ledger.add(state.spent)
        self._work.done(state.rows - self._rows, state.failed - self._failed)
        self._rows, self._failed = state.rows, state.failed

    # --- Suspect partitions ------------------------------------------------------------------------

    def _settle(self, number: int) -> None:
        """Do a suspect partition in an actor that can take nothing else down, cutting out the rows that crash it."""
        task = self._parts.task(number)
        log.warning("partition %d has taken its worker down %d times: trying its rows by themselves", number, TRIES)
        rows = self._cut_down(task.seeds, task.completions)
        ray.get(self._desk.file.remote(number, rows, task.completions, Ledger()), timeout=PATIENCE)

    def _cut_down(self, seeds: list[SeedInstruction], completions: Completions) -> Rows:
        """The rows of `seeds`; whole groups stay together unless a row of theirs crashes."""
        for _ in range(TRIES if len(seeds) == 1 else 1):  # a single row is not blamed for a node that just died
            rows = self._alone(Task(0, seeds, completions))
            if rows is not None:
                return rows
        if len(seeds) == 1:
            log.warning("row %d crashes its worker: rejected", seeds[0].id)
            return [self._crashed(seeds[0])]
        groups = list(groups_of_ten(seeds))
        middle = len(groups) // 2 * GROUP_SIZE
        pieces = [seeds[:middle], seeds[middle:]] if middle else [[seed] for seed in seeds]
        return [row for piece in pieces for row in self._cut_down(piece, completions)]

    def _alone(self, task: Task) -> Rows | None:
        """The rows of `task`, done in an actor that does nothing else; None where it went down."""
        if self._lone is None:
            self._lone = ray.remote(Lone).options(num_cpus=CPUS, max_restarts=0).remote(self._build)
        try:
            rows, completions, spent = ray.get(self._lone.do.remote(task, self._environment), timeout=ALONE)
        except AutoEvolError as exc:  # as Ray wraps it, with a traceback for its text
            raise getattr(exc, "cause", exc) from exc
        except (ray.exceptions.RayError, TimeoutError) as exc:
            log.info("%d rows took their actor down: %s", len(task.seeds), type(exc).__name__)
            ray.kill(self._lone)
            self._lone = None
            return None
        task.completions.update(completions)
        self._work.ledger.add(spent)
        return rows

    def _crashed(self, seed: SeedInstruction) -> tuple[int, list]:
        reject = Reject(seed.id, seed.text, None, None, None, "crashed", 0, TRIES)
        return seed.id, ["eliminated", asdict(reject)]


def _as_whole(state: State) -> Exception:
    """A worker knows its share of the budget only; the run's error speaks of the whole."""
    if isinstance(state.error, BudgetReached):
        return BudgetReached("the budget is used up by a worker (each has an equal share of it); raise it to go on")
    return state.error or EndpointError("the run was stopped")
