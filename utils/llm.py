"""The one place where the program asks an LLM; it owns all retrying.

    roles -> JournaledLLM.complete -> journal, or an Endpoint: OpenAIEndpoint, OfflineEndpoint, ReplayEndpoint

What a server's reply means is told by `sorting.py`, what it costs by `ledger.py`.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

from utils.concurrency import Gate, Window
from utils.config import DEEPSEEK_KEY, LLMConfig, RunConfig
from utils.errors import EndpointError, JournalError
from utils.journal import request_key
from utils.ledger import Ledger, estimated_tokens
from utils.schema import Completion, Message, Request, Stage
from utils.sorting import Fault, read_completion, sort_error

if TYPE_CHECKING:
    import openai
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds of the exponential back-off
CONNECT_TIMEOUT = 20.0
LAST_MOMENT = 1.0  # seconds that calls under way are given when a run stops early
DOWN_SECONDS = 10.0  # a server that could not be reached is left alone for so long where there are others
DEAD_AFTER_FAULTS = 5  # connection failures in a row, and over at least so many seconds, stop the run
DEAD_AFTER_SECONDS_AT_START, DEAD_AFTER_SECONDS = 3.0, 30.0
SICK_AFTER_FAULTS, SICK_AFTER_SECONDS = 20, 120.0  # the same for faults of any kind without one success between
PATIENCE_UNDER_429 = 600.0  # seconds of nothing but 429 after which the run stops
# Judging frees a group of ten rows, evolving feeds the judge; answers are long, need nobody, and fill the rest.
PRIORITY = {"judge": 0, "compare": 0, "equal": 0, "optimize": 1, "analyze": 1, "evolve": 2, "respond": 3}


class Endpoint(Protocol):
    """Where completions come from. Raises EndpointError when the run cannot go on."""

    async def send(self, request: Request) -> Completion: ...

    async def close(self) -> None: ...


# --- What the roles use ----------------------------------------------------------------------------


class LLM(Protocol):
    """An LLM as the roles see it."""

    @property
    def model(self) -> str: ...

    async def complete(self, stage: Stage, messages: tuple[Message, ...], draw: int = 0) -> Completion: ...


class Recorder(Protocol):
    """Where completions are looked up and recorded: a Journal, or one that is asked from afar and awaited."""

    def get(self, request: Request, key: bytes) -> Completion | Awaitable[Completion | None] | None: ...

    def put(self, request: Request, completion: Completion, key: bytes) -> Awaitable[None] | None: ...


class JournaledLLM:
    """Journal first, then the endpoint; every completion is recorded before it is used."""

    def __init__(
        self, endpoint: Endpoint, config: LLMConfig, journal: Recorder, ledger: Ledger, run_seed: int = 42
    ) -> None:
        self.config = config
        self._endpoint = endpoint
        self._journal = journal
        self._ledger = ledger
        self._run_seed = run_seed
        self._under_way: dict[bytes, asyncio.Task[Completion]] = {}

    @property
    def model(self) -> str:
        return self.config.model

    async def complete(self, stage: Stage, messages: tuple[Message, ...], draw: int = 0) -> Completion:
        """The completion of `messages`; `draw` counts the samples of one prompt, from 0.

        A row's failure is in `Completion.failure`. Raises EndpointError and BudgetReached.
        """
        request = self._request(stage, messages, draw)
        key = request_key(request)
        if stored := await _settled(self._journal.get(request, key)):
            self._ledger.stages[stage].journaled += 1
            return stored
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(request, key))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._settle(key, done))
        # Not awaited itself: when the run stops, a call already paid for may still come home to the journal (`drain`).
        await asyncio.wait((task,))
        return task.result()

    def _settle(self, key: bytes, task: asyncio.Task[Completion]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at: the run may have stopped before anyone could hear of it

    def _request(self, stage: Stage, messages: tuple[Message, ...], draw: int) -> Request:
        sampling = self.config.sampling(stage)
        # Another --seed means other samples; greedy completions are the same whatever the seed.
        greedy = sampling.temperature == 0
        return Request(stage, self.model, messages, sampling, str(draw) if greedy else f"{self._run_seed}:{draw}")

    async def _fetch(self, request: Request, key: bytes) -> Completion:
        reserved = await self._ledger.admit(request, self.config)
        completion = None
        try:
            completion = await self._endpoint.send(request)
        finally:
            self._ledger.settle(reserved, request.stage, completion, self.config)
        if completion.failure != "unavailable":
            await _settled(self._journal.put(request, completion, key))
        return completion

    async def drain(self, seconds: float | None = None) -> None:
        """Let calls under way come home, at most so many seconds; cancel what is still out then."""
        tasks = list(self._under_way.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        await self._endpoint.close()


async def _settled(value: Any) -> Any:
    return await value if isawaitable(value) else value


class ReplayEndpoint:
    """Answers nothing: in a replay every answer stands in the recording, and a missing one is an error."""

    async def send(self, request: Request) -> Completion:
        raise JournalError(
            f"the recording has no answer for a request of stage {request.stage}: replay it with the very "
            "flags, data and program version that it was made with"
        )

    async def close(self) -> None:
        """Nothing is open."""


# --- The OpenAI-compatible endpoint ----------------------------------------------------------------


class Health:
    """The circuit breaker: decides when an endpoint is dead, so that the run stops instead of burning rows."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._worked = False
        self._since: dict[str, float] = {}
        self._count: dict[str, int] = defaultdict(int)

    def success(self) -> None:
        self._worked = True
        self._since.clear()
        self._count.clear()

    def fault(self, fault: Fault, base_url: str) -> None:
        """Raises EndpointError when faults have gone on for too long without one success."""
        kind = "throttled" if fault.throttled else "connection" if fault.connection else "other"
        self._count[kind] += 1
        lasted = self._now() - self._since.setdefault(kind, self._now())
        dead_after = DEAD_AFTER_SECONDS if self._worked else DEAD_AFTER_SECONDS_AT_START
        if kind == "connection" and self._count[kind] >= DEAD_AFTER_FAULTS and lasted >= dead_after:
            raise EndpointError(f"cannot reach {base_url} ({fault}); check base_url and that the server runs")
        if kind == "throttled" and lasted >= PATIENCE_UNDER_429:
            raise EndpointError(f"{base_url} has answered 429 for {lasted:.0f} s; lower --batch-size or set rpm")
        if kind == "other" and self._count[kind] >= SICK_AFTER_FAULTS and lasted >= SICK_AFTER_SECONDS:
            raise EndpointError(f"{base_url} gives nothing but faults ({fault}); check the server, then run again")


class Server:
    """One address of an endpoint: its connection, its window, its health."""

    def __init__(self, base_url: str, window: Window, client: "openai.AsyncOpenAI") -> None:
        self.base_url = base_url
        self.window = window
        self.client = client
        self.health = Health(window.now)
        self.assigned = 0  # requests that wait for it or are with it
        self.down_until = 0.0

    @property
    def load(self) -> float:
        return self.assigned / self.window.size

    @property
    def down(self) -> bool:
        return self.window.now() < self.down_until


class OpenAIEndpoint:
    """Any OpenAI-compatible server, or several of them, through the SDK's async client over aiohttp.

    `gate` bounds requests over all endpoints; `windows` are those of the config's addresses, in their order. A
    request goes to the address with the least to do; while one is down, the others take its load. Close with `close`.
    """

    def __init__(
        self,
        config: LLMConfig,
        gate: Gate,
        windows: Sequence[Window],
        ledger: Ledger,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._gate = gate
        self._ledger = ledger
        self._key = usable_key(config)
        self._servers = [
            Server(base_url, window, make_client(config, base_url, self._key))
            for base_url, window in zip(config.base_urls, windows, strict=True)
        ]
        self._sleep = sleep

    async def close(self) -> None:
        for server in self._servers:
            await server.client.close()

    async def send(self, request: Request) -> Completion:
        """One completion, however often it has to be asked for; `unavailable` when retries are used up."""
        from tenacity import AsyncRetrying, retry_if_exception_type

        attempts = _Attempts(self._config.max_retries)
        retrying = AsyncRetrying(
            sleep=self._sleep,
            stop=attempts.used_up,
            wait=attempts.wait,
            retry=retry_if_exception_type(Fault),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, request)
        except Fault as fault:
            log.warning("no answer after %d attempts, the row waits for the next run: %s", attempts.faults, fault)
            return Completion("", "unavailable")
        finally:
            self._ledger.retries += retrying.statistics["attempt_number"] - 1

    async def _attempt(self, request: Request) -> Completion:
        up = [server for server in self._servers if not server.down] or self._servers
        server = min(up, key=lambda server: server.load)
        server.assigned += 1
        try:
            async with self._gate.slot(server.window, PRIORITY.get(request.stage, 2), estimated_tokens(request)):
                return await self._ask(server, request)
        finally:
            server.assigned -= 1

    async def _ask(self, server: Server, request: Request) -> Completion:
        window, started = server.window, server.window.now()
        try:
            completion = await self._post(server, request)
        except Fault as fault:
            self._ledger.wasted(request.stage, fault.usage, self._config)
            if fault.throttled:
                self._ledger.rate_limited_seconds += window.throttled(started, fault.wait or 1.0)
            self._note_fault(server, fault)
            raise
        server.health.success()
        window.succeeded(started, completion.usage.output_tokens)
        used = completion.usage.input_tokens + completion.usage.output_tokens
        window.spent(max(0, used - estimated_tokens(request)))
        return completion

    def _note_fault(self, server: Server, fault: Fault) -> None:
        """Leave a server alone for a while that cannot be reached. Raises EndpointError when none is left."""
        others_up = any(not other.down for other in self._servers if other is not server)
        if fault.connection:
            server.down_until = server.window.now() + DOWN_SECONDS
            fault.elsewhere = others_up
        try:
            server.health.fault(fault, server.base_url)
        except EndpointError as exc:
            if not others_up:
                raise
            log.warning("the other servers go on: %s", exc)
            server.down_until = server.window.now() + DOWN_SECONDS

    async def _post(self, server: Server, request: Request) -> Completion:
        import httpx2

        try:
            async with asyncio.timeout(self._config.timeout):
                response = await server.client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=request_body(request, self._config),
                    options={"headers": {"X-Stage": request.stage}},
                )
                body = response.content
        except Exception as exc:
            result = sort_error(exc, self._config, self._key)
            if isinstance(result, Completion):
                return result
            if result is exc:
                raise
            raise result from exc
        return read_completion(body)


class _Attempts:
    """How often one request may still be asked.

    Back-pressure, and a server that is down where another one is up, are no faults of the request and cost nothing.
    """

    def __init__(self, max_retries: int) -> None:
        self._max_retries = max_retries
        self.faults = 0

    def used_up(self, state: "RetryCallState") -> bool:
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, Fault) and not fault.throttled and not fault.elsewhere:
            self.faults += 1
        return self.faults > self._max_retries

    def wait(self, state: "RetryCallState") -> float:
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, Fault) and fault.elsewhere:
            return 0.0
        backoff = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(state.attempt_number - 1, 20)) * random.uniform(0.5, 1.5)
        asked = fault.wait if isinstance(fault, Fault) else None
        return backoff if asked is None else asked + random.uniform(0, 0.1 * asked)


def make_client(config: LLMConfig, base_url: str, key: str) -> "openai.AsyncOpenAI":
    """The SDK's client with its fastest transport and its own retries switched off."""
    import openai

    timeout = openai.Timeout(config.timeout, connect=min(CONNECT_TIMEOUT, config.timeout))
    http_client = openai.DefaultAioHttpClient(timeout=timeout, limits=_unlimited())
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=0, http_client=http_client)


def _unlimited() -> Any:
    """The gate bounds requests; a second bound in the connection pool would only hide waiting from it."""
    import httpx2

    return httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)


def request_body(request: Request, config: LLMConfig) -> dict[str, Any]:
    """The JSON body. Fields that are not set are left out: some servers reject what they do not know."""
    sampling = request.sampling
    draw = int(request.draw.rpartition(":")[2])
    optional = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        config.max_tokens_field: sampling.max_tokens,
        "seed": None if sampling.seed is None else sampling.seed + draw,
    }
    return {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
    } | {name: value for name, value in optional.items() if value is not None}


# --- Opening them for a run ------------------------------------------------------------------------


def usable_key(config: LLMConfig) -> str:
    """The key from the environment. Raises EndpointError where it is missing, or cannot stand in an HTTP header."""
    key = config.api_key()
    if not (key.isascii() and key.isprintable()):
        name = config.api_key_env or DEEPSEEK_KEY
        raise EndpointError(f"the key of {name} holds a character that no key has; copy it again, without quotes")
    return key


def check_keys(config: RunConfig) -> None:
    """Raises EndpointError where a key that the run will need is missing or cannot be one."""
    if not (config.offline or config.replay):
        for llm_config in (config.evol_llm_config, config.optim_llm_config):
            usable_key(llm_config)


Windows = dict[tuple[str, float | None, float | None], Window]  # by base_url, rpm and tpm


def open_llms(config: RunConfig, journal: Recorder, ledger: Ledger) -> tuple[JournaledLLM, JournaledLLM]:
    """The evol LLM and the optimizer LLM of a run. Where both use one server at one rate, they share its window."""
    gate = Gate(None if config.batch_size == "auto" else config.batch_size)
    windows: Windows = {}

    def opened(llm_config: LLMConfig) -> JournaledLLM:
        if config.offline:  # rows must not claim a model that has not written them
            llm_config = llm_config.model_copy(update={"model": "offline"})
        return JournaledLLM(
            _endpoint(config, llm_config, gate, windows, ledger), llm_config, journal, ledger, config.seed
        )

    return opened(config.evol_llm_config), opened(config.optim_llm_config)


def _endpoint(config: RunConfig, llm_config: LLMConfig, gate: Gate, windows: Windows, ledger: Ledger) -> Endpoint:
    if config.replay:
        return ReplayEndpoint()
    if config.offline:
        from utils.offline import OfflineEndpoint

        return OfflineEndpoint()
    ceiling = None if config.batch_size == "auto" else config.batch_size
    rates = (llm_config.rpm, llm_config.tpm)
    own = [windows.setdefault((base_url, *rates), Window(ceiling, *rates)) for base_url in llm_config.base_urls]
    return OpenAIEndpoint(llm_config, gate, own, ledger)


async def close_llms(*llms: JournaledLLM) -> None:
    """Give calls under way a moment to come home, then close the connections."""
    await asyncio.gather(*(llm.drain(LAST_MOMENT) for llm in llms))
    for llm in llms:
        await llm.close()
