"""The data set of Ray Data, its actors, and what is done about groups that do not come through.

Ray Data starts a worker that died anew and gives its task out again. A group that takes its process down repeatedly, or
blocks it until Ray Data's no-progress time-out, is tried once more by the same pipeline, by itself, and then rejected.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray

from generator.scale_out.cluster import LOOK, cause_of, this_node
from generator.scale_out.coordinator import PATIENCE, TRIES, Calls, Coordinator, News, SharedLedger, asked, taken
from generator.scale_out.groups import GROUPS, ROWS, SEEDS, Groups
from utils.config import RunConfig
from utils.errors import AutoEvolError, BudgetReached, EndpointError, Interrupted
from utils.files.row_store import RowStore
from utils.files.storage import brief, store_of
from utils.llm.journal_segments import open_journal
from utils.llm.ledger import Ledger
from utils.llm.opening import GRACE
from utils.prompts import all_prompts, use_prompts
from utils.rows.records import REJECTED, crashed_row, keyed_rows
from utils.run.context import RunContext
from utils.run.run_folder import JOURNAL
from utils.schema import Method, RowOutcome, SeedInstruction
from utils.urls import is_url

log = logging.getLogger(__name__)

GROUPS_OF_BLOCK = 16  # at most: as many as Ray Data has under way of a block, so that none waits for the others
REQUESTS_AT_LEAST = 256  # in flight per worker, before there are more workers than nodes
POLL, HOMECOMING = 0.2, 900.0  # seconds; the latter for calls under way where the budget has ended the run
BARREN = 3  # passes that bring nothing, or groups of which none comes through: then the groups are not to blame


Evolve = Callable[[RunContext, Sequence[SeedInstruction]], Awaitable[list[RowOutcome]]]  # does one group of rows


class Evolver:
    """One of the actors of Ray Data's pool. `config` holds its share of the requests in flight and of all rates."""

    def __init__(self, evolve: Evolve, config: RunConfig, prompts: Mapping[str, str], coordinator: Any) -> None:
        variables, budgeted = ray.get(coordinator.enter.remote(ray.get_runtime_context().current_actor))
        os.environ.update(variables)
        use_prompts(prompts)
        self._calls = Calls(coordinator)
        self._ledger = SharedLedger(self._calls) if budgeted else Ledger()
        self._evolve, self._config = evolve, config
        self._ctx: RunContext | None = None

    async def __call__(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Evolve the group of `row`; return what became of it as a row, none where it did not end or lacks answers."""
        group = row["group"]
        if not await self._calls("begin", group):
            return []
        try:
            # Opened here, in the event loop that makes the calls: connections belong to it.
            self._ctx = self._ctx or RunContext.of(self._config, self._calls, self._ledger, quiet=True)
            done = await self._evolve(self._ctx, SEEDS.validate_python(json.loads(row["seeds"])))
            rows = keyed_rows(done, self._config, self._ctx.evol.model)
        except AutoEvolError as exc:
            await self._calls("stop", exc, taken(self._ledger))
            if self._ctx:  # sends nothing more, and waits for what is in flight
                await self._ctx.drain()
            await self._calls("stop", exc, taken(self._ledger))
            return []
        except (Exception, SystemExit) as exc:  # Ray would take the latter for the wish to end the worker
            self._ctx = None  # its LLMs have stopped: the next group opens others
            await self._calls("fail", brief(exc), taken(self._ledger))
            return []
        outcomes = [row.outcome for _, row in rows]
        unfinished = rows if "unavailable" in outcomes else None
        failed = len(outcomes) - outcomes.count("evolved")
        await self._calls("end", group, len(outcomes), failed, taken(self._ledger), unfinished)
        return [] if unfinished else [{"group": group, "records": json.dumps(rows)}]


@dataclass(frozen=True)
class FinalRun:
    """What is done with the seeds: workers `evolve` groups of them, by `methods`."""

    ctx: RunContext
    evolve: Evolve
    methods: Sequence[Method]

    def digest(self) -> str:
        """Return a digest of all that is done with the rows; it is new in each replay, which looks at all answers."""
        config, ids = self.ctx.config, [method.id for method in self.methods]
        settings = f"{config.determining()} {ids} {[*REJECTED]} {config.replay and uuid4()}"
        return sha256(f"{settings} {all_prompts()}".encode()).hexdigest()


async def evolve_on_ray(seeds: Iterable[SeedInstruction], run: FinalRun, rows: RowStore, folder: Path) -> None:
    """Evolve all seeds on the cluster, into `rows`; its files lie in `folder`, or beside the result's URL."""
    config, done, root = run.ctx.config, run.ctx.display.done, run.ctx.config.on_store(folder.absolute())
    groups = Groups(store_of(root), seeds, run.digest())
    todo = {name for name, *_ in groups.named()}
    done(*groups.gather(todo, rows))
    coordinator = ray.remote(Coordinator).options(num_cpus=0, label_selector=this_node()).remote()
    journal, recording = (config.run_folder / JOURNAL).absolute(), config.replay and config.replay.absolute()
    opening = partial(open_journal, journal, recording, config.on_store(config.run_folder))
    variables = {name: os.environ[name] for name in config.variables if name in os.environ}
    await asked(coordinator.open.remote(opening, variables, run.ctx.ledger.remaining()))
    try:
        await _Passes(groups, run, root, rows, coordinator).over(todo)
    finally:
        await asked(coordinator.close.remote())


class _Passes:
    """Passes of the pipeline over groups, until all have come through or are rejected."""

    def __init__(self, groups: Groups, run: FinalRun, root: str, rows: RowStore, coordinator: Any) -> None:
        self._groups, self._run, self._root, self._rows, self._coordinator = groups, run, root, rows, coordinator

    async def over(self, todo: set[str]) -> None:
        """Make passes until no group is left in `todo`. Raise EndpointError where no pass brings anything any more."""
        total, suspects, barren = len(todo), set[str](), 0
        while todo:
            before, alone = (len(todo), len(suspects)), todo <= suspects
            fault = await self._pass(todo, todo if alone else todo - suspects, alone)
            begun, why = await asked(self._coordinator.take_begun.remote())
            self._groups.gather(todo, self._rows)
            if alone:
                self._reject(begun & todo)
                self._groups.gather(todo, self._rows)
            suspects |= begun & todo
            barren = barren + 1 if before == (len(todo), len(suspects)) else 0
            if len(suspects) == total >= BARREN or barren == BARREN:
                raise EndpointError(f"no group of rows comes through on the Ray cluster ({fault or why}); {LOOK}")

    async def _pass(self, todo: set[str], chosen: set[str], alone: bool) -> str | None:
        """Make one pass over the `chosen` groups, singly if `alone`; return why Ray Data gave up, or None."""
        config = self._run.ctx.config
        requests = None if config.batch_size == "auto" else config.batch_size
        workers = 1 if alone else workers_for(requests, len(chosen))
        log.info("%d groups over %d Ray workers", len(chosen), workers)
        self._groups.write(chosen)
        share = config.for_worker(workers, requests and requests // workers)
        of_block = 1 if alone else max(1, min(GROUPS_OF_BLOCK, len(chosen) // (4 * workers)))
        of_worker = (self._run.evolve, share, all_prompts(), self._coordinator)
        running = _in_thread(pipeline, self._root, of_worker, workers, of_block, alone, config.longest_silence)
        try:
            if error := await self._watch(running, todo):
                await self._watch(running, todo, HOMECOMING if isinstance(error, BudgetReached) else GRACE)
                raise error
        except asyncio.CancelledError:
            await asked(self._coordinator.stop.remote(Interrupted("interrupted"), Ledger()))
            await self._watch(running, todo, GRACE)
            raise
        finally:
            await self._end(running)
        if fault := running.exception():
            log.warning("Ray Data gave up: %s", cause_of(fault))
        return cause_of(fault) if fault else None

    async def _watch(self, running: Future[None], todo: set[str], seconds: float | None = None) -> AutoEvolError | None:
        """Show progress until the pass ends, or for `seconds`, or without these until an error; return the error."""
        limit = seconds and time.monotonic() + seconds
        while True:
            ended = running.done()
            told: tuple[News, AutoEvolError | None] = await asked(self._coordinator.news.remote())
            news, error = told
            self._run.ctx.display.done(news.rows, news.failed)
            self._run.ctx.ledger.add(news.spent)
            for group, rows in news.unfinished.items():
                self._rows.put_many(rows)
                todo.discard(group)
            if ended or (time.monotonic() > limit if limit else error):
                return error
            await asyncio.sleep(POLL)

    async def _end(self, running: Future[None]) -> None:
        """Kill the workers until Ray Data gives up: to disconnect while it runs would end this process."""
        limit = time.monotonic() + PATIENCE
        while not running.done() and time.monotonic() < limit:
            for worker in await asked(self._coordinator.workers.remote()):
                ray.kill(worker)
            await asyncio.sleep(POLL)

    def _reject(self, names: set[str]) -> None:
        """Reject groups that took their process down, or blocked it, also when each was alone in it."""
        for name, group, _ in self._groups.named():
            if name in names:
                log.warning("rows %d to %d crash or block their process: rejected", group[0].id, group[-1].id)
                rows = [(self._run.ctx.config.row_key(seed.id, 1), crashed_row(seed, TRIES)) for seed in group]
                self._groups.finish(name, rows)
                self._run.ctx.display.done(len(group), len(group))


def workers_for(requests: int | None, groups: int) -> int:
    """Count the workers for the cluster as it is: one per node, more where a node's share of requests is large."""
    nodes: int = sum(node["Alive"] for node in ray.nodes())
    most = max(nodes, int(ray.cluster_resources().get("CPU", 1)))
    return min(most, max(nodes, (requests or 0) // REQUESTS_AT_LEAST), groups, requests or groups)


def pipeline(
    root: str, built_of: tuple[Any, ...], workers: int, rows_of_block: int, alone: bool, silence: float
) -> None:
    """Do Ray Data's part: block until all groups are written, or raise an error of Ray's where it gives up."""
    from ray.data import ActorPoolStrategy, DataContext, read_parquet

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what matters comes as an exception
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = silence
    # A folder of this machine is read and written here, whether or not other nodes see it.
    here = {} if is_url(root) else {"num_cpus": 0, "label_selector": this_node()}
    (
        read_parquet(f"{root}/{GROUPS}", **here)
        .repartition(target_num_rows_per_block=rows_of_block, strict=True)
        .flat_map(
            Evolver,
            fn_constructor_args=built_of,
            compute=ActorPoolStrategy(
                size=workers,
                max_tasks_in_flight_per_actor=1 if alone else 4,
                max_concurrent_calls_per_actor=1 if alone else 2,
            ),
            num_cpus=0,  # they wait for the network, and start again wherever there is a node
        )
        .write_parquet(f"{root}/{ROWS}", ray_remote_args=here)
    )


def _in_thread(work: Callable[..., None], *args: Any) -> "Future[None]":
    """Do `work`, which blocks, in a daemon thread, as nothing can end it; return a future of its end or error."""

    def run() -> None:
        try:
            work(*args)
            future.set_result(None)
        except Exception as exc:
            future.set_exception(exc)

    future: Future[None] = Future()
    threading.Thread(target=run, daemon=True).start()
    return future
