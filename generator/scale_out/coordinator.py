"""What the whole cluster has one of: the journal, the budget, the keys, and how far the run is.

The coordinator is an actor on the driver's node. A worker asks it before every call and tells it every answer, so
that no answer is asked for twice, whoever dies, and nobody asks for more once the run stops.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import ray

from generator.scale_out.cluster import cause_of
from utils.errors import AutoEvolError, BudgetReached, EndpointError
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger, estimated_tokens
from utils.llm_config import LLMConfig
from utils.rows.records import KeyedRows
from utils.schema import Completion, Request, Usage

TRIES = 3  # times that a group may be begun without coming to its end
BETWEEN_LOOKS, PATIENCE = 0.05, 300.0  # seconds: between looks for room in the budget; of waiting for an answer


@dataclass(slots=True)
class News:
    """What has happened since the last news. `unfinished` are the rows of groups that lack answers, by group."""

    rows: int = 0
    failed: int = 0
    spent: Ledger = field(default_factory=Ledger)
    unfinished: dict[str, KeyedRows] = field(default_factory=dict)


class Coordinator:
    """The actor. It does one thing after the other, in the order in which a worker asks."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()  # groups that have not come to an end
        self._ended: set[str] = set()
        self._workers: list[Any] = []
        self._news = News()
        self._error: AutoEvolError | None = None
        self._why = "no news of what it does"

    def open(self, open_journal: Callable[[], Journal], environment: Mapping[str, str], budget: Ledger) -> None:
        """Open the journal, take keys and budget: keys come in a call, so no file, log or table of Ray has them."""
        self._journal, self._environment, self._budget = open_journal(), environment, budget

    def close(self) -> None:
        self._journal.close()

    def handle(self, calls: list[tuple[str, tuple[Any, ...]]]) -> list[tuple[Any, AutoEvolError | None]]:
        """Make several calls for one worker; return for each its result and None, or None and the error raised."""
        answers: list[tuple[Any, AutoEvolError | None]] = []
        for name, args in calls:
            try:
                answers.append((getattr(self, name)(*args), None))
            except AutoEvolError as exc:
                answers.append((None, exc))
        return answers

    def enter(self, worker: Any) -> tuple[Mapping[str, str], bool]:
        """Register a worker; return the environment variables that it needs, and whether there is a budget to ask."""
        self._workers.append(worker)
        return self._environment, self._budget.max_calls is not None or self._budget.max_cost is not None

    def get(self, request: Request, key: bytes) -> Completion | None:
        """Return the recorded completion of a request. Raise what has stopped the run, so that no more is asked for."""
        if self._error:
            raise self._error
        return self._journal.get(request, key)

    def call(self, of: str, name: str, *args: Any) -> Any:
        """Call a method of the `journal`, or of the `budget`, the ledger of all workers; return what it gives."""
        return getattr(self._journal if of == "journal" else self._budget, name)(*args)

    def begin(self, group: str) -> bool:
        """Tell whether to begin a group: not if it was begun TRIES times without an end, or if the run has stopped."""
        if self._error or self._begun[group] == TRIES:
            return False
        self._begun[group] += 1
        return True

    def end(self, group: str, rows: int, failed: int, spent: Ledger, unfinished: KeyedRows | None) -> None:
        """Note that a group has come to its end; one that does so again, as its rows got lost, is not counted again."""
        del self._begun[group]
        self._news.spent.add(spent)
        if group not in self._ended:
            self._ended.add(group)
            self._news.rows += rows
            self._news.failed += failed
        if unfinished:
            self._news.unfinished[group] = unfinished

    def fail(self, why: str, spent: Ledger) -> None:
        """Note why the program itself has failed on a group, which remains begun."""
        self._news.spent.add(spent)
        self._why = why

    def stop(self, error: AutoEvolError, spent: Ledger) -> None:
        """Note the first error for which the run cannot go on."""
        self._news.spent.add(spent)
        self._error = self._error or error

    def news(self) -> tuple[News, AutoEvolError | None]:
        """Return what has happened since the last call, and what has stopped the run."""
        news, self._news = self._news, News()
        return news, self._error

    def workers(self) -> list[Any]:
        return self._workers

    def take_begun(self) -> tuple[set[str], str]:
        """Return, and forget, the groups that were begun and have not ended, and say why the last one failed."""
        begun, self._begun = set(self._begun), Counter()
        return begun, self._why


async def asked(answer: Any) -> Any:
    """Return what the coordinator answers the driver. Raise what it raised, EndpointError where it is gone."""
    try:
        return await asyncio.wait_for(answer, PATIENCE)
    except AutoEvolError as exc:  # wrapped by Ray, with a traceback for its text
        raise getattr(exc, "cause", None) or exc from exc
    except (TimeoutError, ray.exceptions.RayError) as exc:
        raise EndpointError(f"the Ray node of this program does not answer ({cause_of(exc)}); run again") from exc


class Calls:
    """Calls of the coordinator by one worker, whose LLMs use it as their journal. Calls that wait are sent together."""

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator
        self._waiting: list[tuple[tuple[str, tuple[Any, ...]], asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None

    def __call__(self, name: str, *args: Any) -> asyncio.Future[Any]:
        """Return a future of what the coordinator's method of this name gives; calls arrive in their order."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(((name, args), future))
        self._sending = self._sending or asyncio.ensure_future(self._send())
        return future

    def get(self, request: Request, key: bytes) -> asyncio.Future[Completion | None]:
        return self("get", request, key)

    def put(self, request: Request, completion: Completion, key: bytes) -> asyncio.Future[None]:
        return self("call", "journal", "put", request, completion, key)

    def holds_answers_of(self, model: str, base_url: str) -> bool:
        return bool(ray.get(self._coordinator.call.remote("journal", "holds_answers_of", model, base_url)))

    async def _send(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                answers = await self._coordinator.handle.remote([call for call, _ in waiting])
            except ray.exceptions.RayError as exc:
                answers = [(None, EndpointError(f"the coordinator is gone ({cause_of(exc)})"))] * len(waiting)
            for (_, future), (value, error) in zip(waiting, answers, strict=True):
                if not future.cancelled():
                    future.set_exception(error) if error else future.set_result(value)
        self._sending = None


class SharedLedger(Ledger):
    """A worker's ledger where there is a budget. What a worker that died had set aside stays so: the budget holds."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    async def admit(self, request: Request, config: LLMConfig) -> Decimal:
        asked = (request.kind, estimated_tokens(request), request.sampling.max_tokens, config)
        limit = time.monotonic() + config.timeout  # what is in flight for longer has died with its worker
        while (prompt := await self._calls("call", "budget", "reserve", *asked)) is None:
            if time.monotonic() > limit:
                raise BudgetReached("the rest of the budget is held for calls of workers that died; run again")
            await asyncio.sleep(BETWEEN_LOOKS)
        self.in_flight += 1
        self.kinds[request.kind].in_flight += 1
        return Decimal(prompt)

    def settle(self, prompt: Decimal, request: Request, completion: Completion | None, config: LLMConfig) -> None:
        super().settle(Decimal(0), request, completion, config)
        self._calls("call", "budget", "settle", prompt, request, completion, config)

    def wasted(self, request: Request, usage: Usage, config: LLMConfig) -> None:
        super().wasted(request, usage, config)
        self._calls("call", "budget", "wasted", request, usage, config)


def taken(ledger: Ledger) -> Ledger:
    """Take out of a worker's ledger what it has booked; return that for the driver to book."""
    booked = Ledger()
    booked.add(ledger)
    ledger.kinds.clear()
    ledger.answered_by.clear()
    ledger.retries, ledger.rate_limited_seconds = 0, 0.0
    return booked
