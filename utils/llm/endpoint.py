"""The OpenAI-compatible endpoint: one address or several of one model, and all retrying.

What a reply means is told by `reply.py` and `faults.py`, what the whole of them means for the run by `health.py`.
"""

import asyncio
import difflib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from utils.errors import BudgetReached, EndpointError
from utils.llm.faults import Border, Fault, FaultKind, Refused
from utils.llm.health import Health, Refusals
from utils.llm.keys import usable_key
from utils.llm.ledger import Ledger, estimated_tokens
from utils.llm.limits import Gate, Window
from utils.llm.reply import names_of_models, read_completion
from utils.llm_config import LLMConfig
from utils.schema import Completion, Request, Usage

if TYPE_CHECKING:
    import openai
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds of the exponential back-off
DOWN_SECONDS = 10.0  # a server that gave no answer is left alone for so long where there are others
MOST_REDIRECTS = 3
MOST_TRIES_OF_THOUGHTS = 2  # how often a request is sent that is answered with thoughts alone
MODELS_SECONDS, MODELS_SHOWN = 5.0, 6
# Judging frees a group of ten rows, evolving feeds the judge; answers are long, need nobody, and fill the rest.
PRIORITY = {"judge": 0, "compare": 0, "equal": 0, "optimize": 1, "analyze": 1, "evolve": 2, "respond": 3}


class Server:
    """One address of an endpoint: its connection, its window."""

    def __init__(
        self, border: Border, window: Window, client: "openai.AsyncOpenAI", headers: Mapping[str, Any]
    ) -> None:
        self.border = border
        self.headers = headers
        self.window = window
        self.client = client
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
    request goes to the address with the least to do; while one is down, the others take its load. `worked` says that
    it has answered in an earlier run. Close with `close`.
    """

    def __init__(
        self,
        config: LLMConfig,
        gate: Gate,
        windows: Sequence[Window],
        ledger: Ledger,
        worked: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        from utils.llm.client import key_header, make_client  # they load openai

        key = usable_key(config)
        self._config = config
        self._gate = gate
        self._ledger = ledger
        self._servers = [
            Server(Border(config, base_url, key), window, make_client(config, base_url, key), key_header(base_url, key))
            for base_url, window in zip(config.base_urls, windows, strict=True)
        ]
        self._health = Health(config.outage_minutes * 60, worked, windows[0].now)
        self._refusals = Refusals(self._health)
        self._probing = asyncio.Lock()  # first come, first served: held requests probe in turn
        self._under_way = 0
        self._sleep = sleep
        self._has_estimated = False

    async def close(self) -> None:
        for server in self._servers:
            await server.client.close()

    def stop(self, why: Exception) -> None:
        """Send no further request to any server of the run; those in flight may still be answered."""
        self._gate.close(why)

    async def send(self, request: Request) -> Completion:
        """Return one completion, however often it has to be asked for.

        Its failure is `unavailable` when retries are used up, and `empty` when only thoughts come. Raises EndpointError
        or BudgetReached when the run cannot go on.
        """
        from tenacity import AsyncRetrying, retry_if_exception_type

        attempts = _Attempts(self._config.max_retries, self._health, self._refusals)
        retrying = AsyncRetrying(
            sleep=self._pause,
            stop=lambda _: attempts.used_up or self._health.gives_up(self._under_way),
            wait=attempts.wait,
            retry=retry_if_exception_type(Fault),
            reraise=True,
        )
        self._under_way += 1
        try:
            return await retrying(self._attempt, request, attempts)
        except Fault as fault:
            attempts.in_vain -= 1  # the first one is no retry
            if fault.kind is FaultKind.EMPTY:
                return Completion("", "empty", reasoning=fault.reasoning)
            log.warning("no answer after %d retries, the row waits for the next run: %s", attempts.in_vain, fault)
            return Completion("", "unavailable")
        finally:
            self._under_way -= 1
            attempts.end()
            self._ledger.retries += attempts.in_vain

    async def _pause(self, seconds: float) -> None:
        await self._gate.pause(seconds, self._sleep)

    async def _attempt(self, request: Request, attempts: "_Attempts") -> Completion:
        """Ask once; while the endpoint is down, one request at a time asks, after a pause, and the others wait."""
        try:
            if self._health.down:
                async with self._probing:
                    if self._health.down:
                        await self._pause(self._health.pause)
                        return await self._through_gate(request, probing=True)
            return await self._through_gate(request)
        except Fault as fault:
            attempts.failed(fault)
            raise

    async def _through_gate(self, request: Request, probing: bool = False) -> Completion:
        up = [server for server in self._servers if not server.down] or self._servers
        server = min(up, key=lambda server: server.load)
        server.assigned += 1
        try:
            async with self._gate.slot(server.window, PRIORITY.get(request.kind, 2), estimated_tokens(request)):
                if self._health.down and not probing:
                    raise Fault(FaultKind.HELD, "held while the endpoint is down")
                try:
                    return await self._ask(server, request, probing)
                except (EndpointError, BudgetReached) as exc:
                    self._gate.close(exc)  # the run ends: what waits is not sent any more
                    raise
        finally:
            server.assigned -= 1

    async def _ask(self, server: Server, request: Request, probing: bool) -> Completion:
        prompt = await self._ledger.admit(request, self._config)
        window, started, completion, refused = server.window, server.window.now(), None, None
        number = self._health.post()
        self._refusals.posted()
        try:
            self._gate.check()
            completion = await self._post(server, request)
            self._health.success(number)
        except Fault as fault:
            if fault.usage != Usage():
                self._ledger.wasted(request, fault.usage, self._config)
            if fault.kind.throttles:
                self._ledger.rate_limited_seconds += window.throttled(started, fault.wait or 1.0)
            self._set_aside(server, fault)
            if not fault.elsewhere:
                self._health.fault(fault, self._under_way, probing)
            raise
        except Refused as exc:
            refused = exc
        finally:
            self._refusals.answered(usable=completion is not None)
            if refused is None:
                self._ledger.settle(prompt, request, completion, self._config)
        if refused:
            try:
                await self._take_refusal(server, refused)
                completion = Completion("", refused.reason, said=refused.said)
            finally:
                self._ledger.settle(prompt, request, completion, self._config)
            return completion
        assert completion is not None  # else it was refused
        window.succeeded(started, completion.usage.output_tokens)
        used = completion.usage.input_tokens + completion.usage.output_tokens
        window.spent(max(0, used - estimated_tokens(request)))
        return completion

    def _set_aside(self, server: Server, fault: Fault) -> None:
        """Send nothing to a server for DOWN_SECONDS after a fault as in an outage, if another server is up."""
        others_up = any(not other.down for other in self._servers if other is not server)
        if fault.kind.is_outage and others_up:
            server.down_until = server.window.now() + DOWN_SECONDS
            fault.elsewhere = True

    async def _take_refusal(self, server: Server, refusal: Refused) -> None:
        """Raise EndpointError where a refusal is no failure of a row, Fault where the request is to be asked again."""
        self._health.alive()
        if refusal.status == 404 and len(self._servers) > 1:
            fault = Fault(FaultKind.SERVER, f"{server.border.base_url}: {refusal}")
            self._set_aside(server, fault)
            if fault.elsewhere:
                log.debug("another server is asked: %s", fault)
                raise fault
        never = not self._health.worked and refusal.unknown_model
        whose = "run" if never else await self._refusals.whose(refusal.reason != "rejected")
        if whose == "again":
            raise Fault(FaultKind.HELD, str(refusal))
        if whose == "run":
            raise EndpointError(await self._why_refused(server, refusal))

    async def _why_refused(self, server: Server, refusal: Refused) -> str:
        border, model = server.border, self._config.model
        if refusal.status == 403:
            return border.key_refused(str(refusal))
        if not refusal.unknown_model and refusal.status != 404:
            return f"{border.base_url} rejects the request ({refusal}); check the llm-config"
        names = await self._models(server)
        if not refusal.unknown_model and not names:
            return border.wrong_address(str(refusal))
        nearest = difflib.get_close_matches(model, names, n=len(names) or 1, cutoff=0)
        more = f" and {len(names) - MODELS_SHOWN} more" if len(names) > MODELS_SHOWN else ""
        has = f"it has {', '.join(nearest[:MODELS_SHOWN])}{more}; " if names else ""
        return f"{border.base_url} knows no model {model!r} ({refusal}); {has}check model and base_url"

    async def _models(self, server: Server) -> Sequence[str]:
        """Ask a server for the names of its models; return none where it does not say."""
        import httpx2
        import openai

        try:
            async with asyncio.timeout(MODELS_SECONDS):
                response = await server.client.get(
                    "/models", cast_to=httpx2.Response, options={"headers": {**server.headers}}
                )
            return names_of_models(response.content)
        except (openai.OpenAIError, httpx2.HTTPError, OSError):  # it is only asked in order to help
            return []

    async def _post(self, server: Server, request: Request) -> Completion:
        try:
            async with asyncio.timeout(self._config.timeout):
                body = await self._posted(server, request)
        except EndpointError:
            raise
        except Exception as exc:
            result = server.border.sort(exc)
            if result is exc:
                raise
            raise result from exc
        completion, is_estimated = read_completion(body, estimated_tokens(request), server.border)
        if is_estimated and not self._has_estimated:
            self._has_estimated = True
            log.warning("%s does not say what it uses: tokens and cost are estimates", server.border.base_url)
        return completion

    async def _posted(self, server: Server, request: Request) -> bytes:
        """Send a request, follow redirects that stay on the host, and return the body of the 200.

        Raises EndpointError where the redirects do not end.
        """
        import httpx2
        import openai

        from utils.llm.client import redirected, request_body

        path = "/chat/completions"
        for _ in range(MOST_REDIRECTS + 1):
            try:
                response = await server.client.post(
                    path,
                    cast_to=httpx2.Response,
                    body=request_body(request, self._config),
                    options={"headers": {"X-Stage": request.kind, **server.headers}},
                )
                return response.content
            except openai.APIStatusError as exc:
                location = exc.response.headers.get("location") if exc.status_code in (307, 308) else None
                target = redirected(location, str(exc.request.url)) if location else None
                if target is None:
                    raise
                path = target
        raise EndpointError(f"{server.border.base_url} redirects without end; check base_url")


class _Attempts:
    """How often one request may still be asked.

    Back-pressure, an outage, and a server that is down where another one is up are no faults of the request and cost
    it nothing. A fault as in an outage counts if requests that were sent after the last such fault were answered.
    """

    def __init__(self, max_retries: int, health: Health, refusals: Refusals) -> None:
        self._max_retries = max_retries
        self._health = health
        self._refusals = refusals
        self.in_vain = 0  # how often it was sent without an answer
        self._faults = 0
        self._thoughts = 0  # replies of thoughts alone
        self._suspected: int | None = None  # how many the endpoint had been sent at its last outage fault
        self._is_to_come = False

    def failed(self, fault: Fault) -> None:
        """Take note of a fault."""
        self._to_come(True)
        if fault.kind is FaultKind.HELD:
            return
        self.in_vain += 1
        self._thoughts += fault.kind is FaultKind.EMPTY
        if fault.kind.is_outage and not fault.elsewhere:
            self._faults += self._suspected is not None and self._health.last_success > self._suspected
            self._suspected = self._health.posts
        elif not (fault.kind.throttles or fault.elsewhere):
            self._faults += 1

    def end(self) -> None:
        """Take note that the request is through."""
        self._to_come(False)

    def _to_come(self, is_so: bool) -> None:
        self._refusals.asked_again(is_so - self._is_to_come)
        self._is_to_come = is_so

    @property
    def used_up(self) -> bool:
        return self._faults > self._max_retries or self._thoughts >= MOST_TRIES_OF_THOUGHTS

    def wait(self, state: "RetryCallState") -> float:
        """Return the seconds until it is asked again; 0 for another server or in an outage (`_attempt` waits)."""
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, Fault) or fault.elsewhere or (self._health.down and not fault.kind.throttles):
            return 0.0
        exponent = min(max(0, self.in_vain - 1), 20)
        backoff = min(LONGEST_WAIT, FIRST_WAIT * 2**exponent) * random.uniform(0.5, 1.5)
        return backoff if fault.wait is None else fault.wait + random.uniform(0, 0.1 * fault.wait)
