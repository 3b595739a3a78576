"""How many requests are in flight at once.

`Gate` bounds them over all endpoints together. Each endpoint has a `Window` that adapts as TCP does: it grows by one
per window of successes and is halved on back-pressure (HTTP 429) or a blow-up of latency.
"""

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

AUTO_START = 8  # requests in flight of an endpoint of which nothing is known yet
BLOW_UP = 3.0  # mean latency above this multiple of the best mean seen means that the endpoint is overloaded

BURST_SECONDS = 1.0  # how much of a minute's rate may be used at once


class Rate:
    """A token bucket: at most `per_minute` units in any minute, in bursts of a second's worth."""

    def __init__(self, per_minute: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._capacity = max(1.0, per_minute / 60 * BURST_SECONDS)
        # A minute that begins with a full bucket must hold no more than any other one.
        self._per_second = (per_minute + 1 - self._capacity) / 60
        self._level = self._capacity
        self._filled = now()

    def wait(self) -> float:
        """Return the seconds until the next unit may be taken; 0 when it may be taken now."""
        now = self._now()
        self._level = min(self._capacity, self._level + (now - self._filled) * self._per_second)
        self._filled = now
        return max(0.0, (1.0 - self._level) / self._per_second)

    def take(self, units: float) -> None:
        """Take `units`, more than there are if need be: whoever comes next then waits until the debt is made up."""
        self._level -= units


class Window:
    """The requests that one endpoint can take at once, as far as is known.

    `ceiling` None lets it grow without bound (`--batch-size auto`).
    """

    def __init__(
        self,
        ceiling: int | None,
        rpm: float | None = None,
        tpm: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self._ceiling = ceiling
        self._requests = Rate(rpm, now) if rpm else None
        self._tokens = Rate(tpm, now) if tpm else None
        self.size = float(ceiling or AUTO_START)
        self.in_flight = 0
        self.rate_limited_seconds = 0.0
        self._growing_fast = ceiling is None  # slow start: doubling until the first congestion
        self._paused_until = 0.0
        self._last_cut = 0.0
        self._latencies: deque[float] = deque(maxlen=64)
        self._best_mean = float("inf")

    def wait(self) -> float | None:
        """Return the seconds until one more request may start; None when another one has to end first."""
        if self.in_flight >= max(1, int(self.size)):
            return None
        rates = (rate.wait() for rate in (self._requests, self._tokens) if rate)
        return max(self._paused_until - self.now(), 0.0, *rates)

    def start(self, tokens: int) -> None:
        self.in_flight += 1
        if self._requests:
            self._requests.take(1)
        if self._tokens:
            self._tokens.take(tokens)

    def finish(self) -> None:
        self.in_flight -= 1

    def spent(self, tokens: int) -> None:
        """Charge the tokens that a request used beyond what was estimated at its start."""
        if self._tokens:
            self._tokens.take(tokens)

    def succeeded(self, started: float, work: int) -> None:
        """Take note that a request begun at `started` was answered, with `work` tokens: long answers take longer."""
        self._grow()
        if self._ceiling is None:
            self._latencies.append((self.now() - started) / (50 + work))
            if len(self._latencies) == self._latencies.maxlen:
                self._watch_latency(started)

    def _grow(self) -> None:
        step = 1.0 if self._growing_fast else 1 / self.size
        if self.in_flight >= int(self.size) - 1:  # only a window that is used can show that it may grow
            self.size = min(self.size + step, self._ceiling or float("inf"))

    def _watch_latency(self, started: float) -> None:
        mean = sum(self._latencies) / len(self._latencies)
        self._best_mean = min(self._best_mean, mean)
        if mean > BLOW_UP * self._best_mean:
            self._cut(started)
            self._latencies.clear()

    def throttled(self, started: float, pause: float) -> float:
        """Take note of a 429 to a request begun at `started`: halve the window, and start nothing for `pause` seconds.

        Returns the seconds by which this prolongs the pause.
        """
        now = self.now()
        resume = max(self._paused_until, now + pause)
        prolonged = resume - max(self._paused_until, now)
        self.rate_limited_seconds += prolonged
        self._paused_until = resume
        self._cut(started)
        return prolonged

    def _cut(self, started: float) -> None:
        # One congestion event hits many requests at once; only those sent after the last cut tell something new.
        if started >= self._last_cut:
            self.size = max(1.0, self.size / 2)
            self._growing_fast = False
            self._last_cut = self.now()


class Gate:
    """Lets requests through: at most `ceiling` in flight over all windows (None: the windows alone decide).

    Of the requests that wait, the one with the lowest priority number goes first, then the oldest. Once it is closed
    nothing goes through any more.
    """

    def __init__(self, ceiling: int | None) -> None:
        self._ceiling = ceiling
        self._waiting: dict[Window, list[tuple[int, int, int, asyncio.Future[None]]]] = {}
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: Exception | None = None
        self._pauses: set[asyncio.Future[None]] = set()
        self.in_flight = 0

    def close(self, why: Exception) -> None:
        """Let nothing through any more: `why` (that of the first call) is raised for all who wait or come later."""
        self._closed = self._closed or why
        for heap in self._waiting.values():
            for *_, future in heap:
                if not future.done():
                    future.set_exception(self._closed)
        self._waiting.clear()
        for pause in self._pauses:
            pause.cancel()

    async def pause(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Sleep for `seconds`, at most until the gate is closed. Raises the exception that it was closed with."""
        self.check()
        pause = asyncio.ensure_future(sleep(seconds))
        self._pauses.add(pause)
        try:
            await asyncio.wait((pause,))
        finally:
            self._pauses.discard(pause)
            pause.cancel()
        self.check()

    def check(self) -> None:
        """Raise the exception that the gate was closed with, if it is closed."""
        if self._closed:
            raise self._closed

    @asynccontextmanager
    async def slot(self, window: Window, priority: int, tokens: int) -> AsyncIterator[None]:
        """Wait for a place in `window`, and hold it for as long as the context lasts.

        The lowest `priority` goes first; `tokens` is the prompt's estimated size. Raises what the gate was closed with.
        """
        self.check()
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting.setdefault(window, []), (priority, next(self._order), tokens, future))
        self._admit()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self._leave(window)
            raise
        try:
            yield
        finally:
            self._leave(window)

    def _leave(self, window: Window) -> None:
        window.finish()
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        """Let in all who may go now, and look again when a pause or a rate allows the next one."""
        while self._ceiling is None or self.in_flight < self._ceiling:
            soonest, chosen = float("inf"), None
            for window, heap in self._waiting.items():
                while heap and heap[0][3].done():  # cancelled while waiting
                    heapq.heappop(heap)
                if not heap or (wait := window.wait()) is None:
                    continue
                if wait > 0:
                    soonest = min(soonest, wait)
                elif chosen is None or heap[0] < self._waiting[chosen][0]:
                    chosen = window
            if chosen is None:
                self._look_again(soonest)
                return
            _, _, tokens, future = heapq.heappop(self._waiting[chosen])
            chosen.start(tokens)
            self.in_flight += 1
            future.set_result(None)

    def _look_again(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if seconds < float("inf"):
            self._timer = asyncio.get_running_loop().call_later(seconds, self._admit)
