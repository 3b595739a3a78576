"""The final run on a Ray cluster: partitions of the data set through Ray Data, on workers with async LLM clients.

Groups of ten stay as row order fixes them, so the records are those of a run on one machine, whatever the number of
nodes and the order in which partitions finish. Workers ask for less than one CPU each and may stand anywhere: when
a node dies, those that stood there find a place on the others, which Ray would wait for otherwise. A worker that falls
silent is started anew, and what a pass over the partitions leaves is passed over again; a partition that takes its
worker down again and again is cut in halves, down to the row that does it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import ray

from generator.group import GROUP_SIZE, groups_of_ten
from generator.scale_out.cluster import (
    CPUS,
    LOOK,
    PATIENCE,
    POLL,
    QUIET,
    Cluster,
    Stream,
    as_raised,
    cause_of,
    in_blocks,
)
from generator.scale_out.desk import TRIES, Desk, State
from generator.scale_out.parts import Parts, Rows
from generator.scale_out.workers import Build, Lone, Plan, Worker, aside_rows
from utils.errors import AutoEvolError, BudgetReached, EndpointError, Interrupted
from utils.ledger import Ledger
from utils.prompts import PROMPT_FOLDER
from utils.schema import Reject, SeedInstruction

log = logging.getLogger(__name__)

READERS = 16  # files of finished partitions read at once
REQUESTS_AT_LEAST = 256  # in flight per worker, before there are more workers than nodes
SILENCE = 60.0  # seconds without a sign of a worker that has work in hand, after which it is started anew
IDLE = 60.0  # seconds in which nobody has work in hand, though there is some, after which a new pass begins
HOMECOMING = 900.0  # seconds for calls under way where the budget has ended the run
WINDING_DOWN = 5.0  # seconds for workers to hear that the run was interrupted, and to store what they have
BARREN = 3  # passes that finish nothing, or partitions of which none comes through, after which the run ends


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
    all (None: as the endpoint allows). A seed has `rows_of_seed` rows, and `key_of` gives the key of one that was set
    aside. `done` is told of rows and failed rows.
    """

    build: Callable[[int, int | None], Build]
    fingerprint: str
    requests: int | None
    rows_of_seed: int
    ledger: Ledger
    key_of: Callable[[int], int]
    done: Callable[[int, int], None]

    @property
    def digest(self) -> str:
        """Stands for all that is done with the rows."""
        digest = sha256(self.fingerprint.encode())
        for path in sorted(PROMPT_FOLDER.rglob("*.txt")):
            digest.update(path.read_bytes())
        return digest.hexdigest()


async def make_partitions(cluster: Cluster, work: Work, plan: Plan) -> Parts:
    """Make every partition that is not finished yet.

    Raises EndpointError where the cluster cannot be reached or does nothing any more, and what stopped a worker
    (dead endpoint, budget).
    """
    parts = plan.here()
    todo = parts.todo()
    _book_finished(parts, todo, work)
    barren = 0
    while todo:
        this_pass = _Pass(cluster, work, plan, parts, todo)
        finished = await this_pass.run()
        barren = 0 if finished else barren + 1
        if barren == BARREN:
            raise EndpointError(f"the Ray cluster finished nothing in {barren} passes ({this_pass.news}); {LOOK}")
        todo = [number for number in todo if number not in finished]
    return parts


def _book_finished(parts: Parts, todo: list[int], work: Work) -> None:
    """Count the partitions of earlier runs: their rows are done, and their calls come from the journal."""
    finished = sorted(set(range(len(parts.partitions))) - set(todo))
    with ThreadPoolExecutor(READERS) as pool:  # each is a small file, perhaps far away
        for counts in pool.map(parts.counts, finished):
            work.done(counts.rows, counts.rows - counts.evolved)
            for stage, calls in counts.calls.items():
                work.ledger.stages[stage].journaled += calls


def share_of(requests: int | None, partitions: int) -> Share:
    """The workers for the cluster as it is: one per node, more where a node's share of requests is large.

    Each has the same share, rounded down: together they never have more in flight than `requests`.
    """
    nodes = sum(node["Alive"] for node in ray.nodes())
    cpus = int(ray.cluster_resources().get("CPU", 1))
    workers = min(max(cpus, nodes), max(nodes, (requests or 0) // REQUESTS_AT_LEAST), partitions)
    workers = min(workers, requests or workers)
    return Share(workers, requests and requests // workers)


def partitions_at_once(share: Share, size: int) -> int:
    """Partitions that a worker has in hand: one waits for its last rows, the others keep the endpoint busy."""
    return 1 + -(-max(4, share.requests or REQUESTS_AT_LEAST) * GROUP_SIZE // size)


class _Pass:
    """One pass of Ray Data over the partitions that are left."""

    def __init__(self, cluster: Cluster, work: Work, plan: Plan, parts: Parts, todo: list[int]) -> None:
        self._cluster, self._work, self._plan, self._parts, self._todo = cluster, work, plan, parts, todo
        self._keeper = cluster.keeper
        self._share = share_of(work.requests, len(todo))
        self._build = work.build(self._share.workers, self._share.requests)
        budget = work.ledger.remaining()
        self._budgeted = budget.max_calls is not None or budget.max_cost is not None
        self._desk = cluster.remote(Desk, here=True).remote(budget, SILENCE)
        self._rows = self._failed = 0
        self._lone: Any = None
        self.news = "no news of what it does"

    async def run(self) -> set[int]:
        """Until all partitions are finished or suspect, or nothing moves any more: those that were finished.

        Raises what stopped a worker.
        """
        log.info("%d partitions over %d Ray workers", len(self._todo), self._share.workers)
        stream = Stream(self._dataset)
        stream.start()
        try:
            state = await self._watch(stream)
            if state.error:
                await self._homecoming(stream, HOMECOMING if isinstance(state.error, BudgetReached) else PATIENCE)
                raise state.error
        except asyncio.CancelledError:
            await self._cluster.ask(self._desk.stop.remote(Interrupted("interrupted"), Ledger()))
            await self._homecoming(stream, WINDING_DOWN)
            raise
        finally:
            self._end(stream)
        self._check(state)
        for number, why in sorted(state.suspects.items()):
            log.warning("partition %d %s: trying its rows by themselves", number, why)
            await self._settle(number)
        self._book(await self._state())
        return await self._cluster.ask(self._desk.finished.remote())

    def _check(self, state: State) -> None:
        """Rows are not to blame where the program fails on all partitions of a run."""
        if state.doubted == len(self._parts.partitions) >= BARREN:
            first = state.suspects[min(state.suspects)]
            raise EndpointError(f"none of {state.doubted} partitions came through: the first {first}; {LOOK}")

    def _dataset(self) -> Any:
        """Rows do not come this way, only the numbers of partitions."""
        from ray.data import ActorPoolStrategy

        partitions = in_blocks([{"part": number} for number in self._todo])
        at_once = partitions_at_once(self._share, self._plan.size)
        return partitions.map_batches(
            Worker,
            fn_constructor_args=(self._build, self._plan, self._desk, self._keeper, self._budgeted, at_once),
            compute=ActorPoolStrategy(
                size=self._share.workers, max_tasks_in_flight_per_actor=at_once, max_concurrent_calls_per_actor=at_once
            ),
            batch_size=1,
            num_cpus=CPUS,
        )

    async def _watch(self, stream: Stream) -> State:
        """Tell how far it is until the stream ends, a worker stops the run, or nothing moves."""
        limit = time.monotonic() + QUIET
        while True:
            ended = not stream.is_alive()
            deque(stream.taken(), maxlen=0)  # the desk has told what is in them
            state = await self._state()
            self._book(state)
            if ended and stream.fault:
                self.news = cause_of(stream.fault)
                log.warning("Ray Data gave up: %s", self.news)
            if state.error or ended:
                return state
            for actor in state.silent:
                log.warning("a Ray worker has been silent for %.0f s: starting it anew", SILENCE)
                ray.kill(actor, no_restart=False)
            if state.idle is None and time.monotonic() > limit:
                raise EndpointError(f"no Ray worker has come up in {QUIET:.0f} s; {LOOK}")
            if state.idle is not None and state.idle > IDLE:
                log.warning("no Ray worker has had work in hand for %.0f s: beginning a new pass", IDLE)
                return state
            await asyncio.sleep(POLL)

    async def _homecoming(self, stream: Stream, seconds: float) -> None:
        """Give workers time to store what they have paid for."""
        limit = time.monotonic() + seconds
        while stream.is_alive() and time.monotonic() < limit:
            deque(stream.taken(), maxlen=0)
            await asyncio.sleep(POLL)
        self._book(await self._state())

    async def _state(self) -> State:
        return await self._cluster.ask(self._desk.state.remote())

    def _book(self, state: State) -> None:
        self._work.ledger.add(state.spent)
        self._work.done(state.rows - self._rows, state.failed - self._failed)
        self._rows, self._failed = state.rows, state.failed

    def _end(self, stream: Stream) -> None:
        """Have Ray Data come to an end before the connection does: without workers it gives up."""
        with suppress(ray.exceptions.RayError, TimeoutError):
            if stream.is_alive():
                for actor in ray.get(self._desk.workers.remote(), timeout=PATIENCE):
                    ray.kill(actor, no_restart=True)
                stream.join(PATIENCE)

    # --- Suspect partitions ------------------------------------------------------------------------

    async def _settle(self, number: int) -> None:
        """Do a suspect partition in an actor that can take nothing else down, cutting out the rows that crash it."""
        part = await asyncio.to_thread(self._parts.open, number, "cut-down")
        rows = await self._cut_down(number, part.seeds)
        part = await asyncio.to_thread(self._parts.open, number, "cut-down")  # with all that was logged since
        rows += aside_rows(part, self._work.key_of)
        counts = await asyncio.to_thread(self._parts.finish, part, rows)
        finished = self._desk.finish.remote(number, counts.rows, counts.rows - counts.evolved, Ledger())
        await self._cluster.ask(finished)

    async def _cut_down(self, number: int, seeds: list[SeedInstruction]) -> Rows:
        """The rows of `seeds`; whole groups stay together unless a row of theirs crashes."""
        for _ in range(TRIES if len(seeds) == 1 else 1):  # a single row is not blamed for a node that just died
            rows = await self._alone(number, seeds)
            if rows is not None:
                return rows
        if len(seeds) == 1:
            log.warning("row %d crashes its worker: rejected", seeds[0].id)
            return [self._crashed(seeds[0])]
        groups = list(groups_of_ten(seeds))
        middle = len(groups) // 2 * GROUP_SIZE
        pieces = [seeds[:middle], seeds[middle:]] if middle else [[seed] for seed in seeds]
        return [row for piece in pieces for row in await self._cut_down(number, piece)]

    async def _alone(self, number: int, seeds: list[SeedInstruction]) -> Rows | None:
        """The rows of `seeds`, done in an actor that does nothing else; None where it went down or fell silent."""
        self._lone = self._lone or await self._new_lone()
        work = asyncio.ensure_future(_awaited(self._lone.do.remote(number, [seed.id for seed in seeds])))
        try:
            while not (await asyncio.wait({work}, timeout=SILENCE / 2))[0]:
                await asyncio.wait_for(self._lone.alive.remote(), SILENCE)
            rows, spent = work.result()
        except AutoEvolError as exc:
            raise as_raised(exc) from exc
        except (ray.exceptions.RayError, TimeoutError) as exc:
            log.info("%d rows did not come through (%s)", len(seeds), cause_of(exc))
            work.cancel()
            ray.kill(self._lone)
            self._lone = None
            return None
        self._work.ledger.add(spent)
        return rows

    async def _new_lone(self) -> Any:
        """An actor that has come up. Raises EndpointError where none does, for which rows are not to blame."""
        for _ in range(TRIES):
            lone = self._cluster.remote(Lone, max_restarts=0).remote(
                self._build, self._plan, self._desk, self._keeper, self._budgeted
            )
            try:
                await asyncio.wait_for(lone.alive.remote(), SILENCE)
                return lone
            except (ray.exceptions.RayError, TimeoutError) as exc:
                ray.kill(lone)
                news = cause_of(exc)
        raise EndpointError(f"no process comes up to try rows in ({news}); {LOOK}")

    def _crashed(self, seed: SeedInstruction) -> tuple[int, list]:
        reject = Reject(seed.id, seed.text, None, None, None, "crashed", 0, TRIES)
        return self._work.key_of(seed.id), ["eliminated", asdict(reject)]


async def _awaited(reference: Any) -> Any:
    return await reference
