"""What the roles use: the journal first, then an endpoint; every completion is recorded before it is used."""

import asyncio
from collections.abc import Awaitable
from copy import copy
from inspect import isawaitable
from typing import Any, Protocol

from utils.errors import JournalError
from utils.llm.journal import request_key
from utils.llm.ledger import Ledger
from utils.llm_config import VARIED, LLMConfig
from utils.schema import CallKind, Completion, Message, Request


class LLM(Protocol):
    """An LLM as the roles see it."""

    @property
    def model(self) -> str: ...

    async def complete(self, kind: CallKind, messages: tuple[Message, ...], draw: int = 0) -> Completion: ...


class Endpoint(Protocol):
    """Where completions come from; what each costs is booked there. Raises EndpointError when the run cannot go on."""

    async def send(self, request: Request) -> Completion: ...

    def stop(self, why: Exception) -> None: ...

    async def close(self) -> None: ...


class Recorder(Protocol):
    """Where completions are looked up and recorded: a Journal, or one that is asked from afar and awaited."""

    def get(self, request: Request, key: bytes) -> Completion | Awaitable[Completion | None] | None: ...

    def put(self, request: Request, completion: Completion, key: bytes) -> Awaitable[None] | None: ...

    def holds_answers_of(self, model: str, base_url: str) -> bool: ...


class Stopped(Exception):
    """Raised for a request that is not sent any more, as the run ends; nobody is left to catch it."""


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
        self._of_endpoint = config.of_endpoint()
        self._under_way: dict[bytes, asyncio.Task[Completion]] = {}

    @property
    def model(self) -> str:
        return self.config.model

    def varied(self) -> "JournaledLLM":
        """Return this LLM at a temperature at which its answers differ, unless the user has set one; they are one."""
        if self.config.temperature is not None:
            return self
        other = copy(self)
        other.config = self.config.model_copy(update={"temperature": VARIED})
        return other

    @property
    def in_flight(self) -> int:
        """Requests that are with a server, of all LLMs that share the ledger."""
        return self._ledger.in_flight

    async def complete(self, kind: CallKind, messages: tuple[Message, ...], draw: int = 0) -> Completion:
        """Return the completion of `messages`; `draw` counts the samples of one prompt, from 0.

        A row's failure is in `Completion.failure`. Raises EndpointError, BudgetReached and JournalError.
        """
        request = self._request(kind, messages, draw)
        key = request_key(request)
        stored: Completion | None = await _awaited(self._journal.get(request, key))
        if stored:
            self._ledger.found(kind, stored, self.model)
            return stored
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(request, key))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        # Not awaited itself: when the run stops, a call already paid for may still come home to the journal (`drain`).
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:  # nothing but the end of the run cancels a row
            self._endpoint.stop(Stopped("the run has stopped"))
            raise
        return task.result()

    def _end(self, key: bytes, task: asyncio.Task[Completion]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at: the run may have stopped before anyone could hear of it

    def _request(self, kind: CallKind, messages: tuple[Message, ...], draw: int) -> Request:
        sampling = self.config.sampling(kind)
        # Another --seed means other samples; greedy completions are the same whatever the seed.
        greedy = sampling.temperature == 0
        drawn = str(draw) if greedy else f"{self._run_seed}:{draw}"
        return Request(kind, self.model, messages, sampling, drawn, self._of_endpoint)

    async def _fetch(self, request: Request, key: bytes) -> Completion:
        completion = await self._endpoint.send(request)
        if completion.failure == "unavailable":
            self._ledger.gave_up(request.kind)
            return completion
        try:
            await _awaited(self._journal.put(request, completion, key))
        except JournalError as exc:
            self._endpoint.stop(exc)  # what cannot be kept must not be paid for
            raise
        return completion

    async def drain(self, seconds: float | None = None) -> None:
        """Send nothing more, wait at most `seconds` (None: without end) for calls in flight, and cancel the rest."""
        self._endpoint.stop(Stopped("the run has come to its end"))
        tasks = list(self._under_way.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        await self._endpoint.close()


async def _awaited(value: Any) -> Any:
    return await value if isawaitable(value) else value


class Booked:
    """An endpoint whose calls are booked as they are sent, each of them once."""

    def __init__(self, endpoint: Endpoint, config: LLMConfig, ledger: Ledger) -> None:
        self._endpoint = endpoint
        self._config = config
        self._ledger = ledger

    async def send(self, request: Request) -> Completion:
        prompt = await self._ledger.admit(request, self._config)
        completion = None
        try:
            completion = await self._endpoint.send(request)
        finally:
            self._ledger.settle(prompt, request, completion, self._config)
        return completion

    def stop(self, why: Exception) -> None:
        self._endpoint.stop(why)

    async def close(self) -> None:
        await self._endpoint.close()


class ReplayEndpoint:
    """Answers nothing: in a replay every answer stands in the recording, and a missing one is an error."""

    async def send(self, request: Request) -> Completion:
        raise JournalError(
            f"the recording has no answer for a request of kind {request.kind}: replay it with the very "
            "flags, data and program version that it was made with"
        )

    def stop(self, why: Exception) -> None:
        """Do nothing: nothing is ever sent."""

    async def close(self) -> None:
        """Do nothing: nothing is open."""
