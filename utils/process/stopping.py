"""Signals that end a run: the first in good order, a second at once, whatever the program is busy with.

The first one cancels the task of the run, raises Interrupted between two items of a long computation (`heed`), and
KeyboardInterrupt where no task is running. A thread waits for the second one, as a signal handler of Python cannot run
before a call into C has ended. Nothing is torn by that: files appear as a whole, the journal commits each answer.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from contextvars import ContextVar
from types import FrameType
from typing import Any, Self, TypeVar

from utils.errors import Interrupted

T = TypeVar("T")
STOPPING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
ONCE = {signal.SIGHUP}  # closing a terminal sends this signal twice to some programs

_current: ContextVar["Stop | None"] = ContextVar("stop", default=None)


class Stop:
    """Handles the signals of this process while it is entered as a context manager. Use it in the main thread."""

    def __init__(self) -> None:
        self.began = False
        """Has the run begun, so that there may be answers to go on with?"""
        self._asked: set[int] = set()
        self._heard = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Future[Any] | None = None

    def __enter__(self) -> Self:
        reading, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        threading.Thread(target=_end_at_second, args=(reading,), daemon=True).start()
        self._former_pipe = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        heard = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]  # as by nohup
        self._former = {number: signal.signal(number, self._on_signal) for number in heard}
        self._token = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_pipe)
        os.close(self._pipe)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        _end_if_second(number, self._asked)
        if self._loop is None:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if not self._heard and self._task:
            self._heard = True
            self._task.cancel()

    def heed(self) -> None:
        """Raise Interrupted if a signal has come that has not stopped anything yet."""
        if self._asked and not self._heard:
            self._heard = True
            raise Interrupted("interrupted")

    async def stoppable(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` as the task that a signal cancels; return its result. Raises Interrupted if it was cancelled."""
        self.began = True
        task = asyncio.ensure_future(work)
        self._task, self._loop = task, asyncio.get_running_loop()
        try:
            return await task
        except asyncio.CancelledError as exc:
            raise Interrupted("interrupted") from exc
        finally:
            self._loop = None


def heed_signals() -> None:
    """Raise Interrupted in the middle of a long computation if a signal has come meanwhile."""
    if stop := _current.get():
        stop.heed()


def _end_at_second(reading: int) -> None:
    """Read the signal numbers that Python writes to the pipe until it is closed; end the process at a second one."""
    seen: set[int] = set()
    while numbers := os.read(reading, 64):
        for number in filter(STOPPING.__contains__, numbers):
            _end_if_second(number, seen)
    os.close(reading)


def _end_if_second(number: int, seen: set[int]) -> None:
    """End the process if `seen` holds a signal already (a repeated hang-up does not count); else add this one to it."""
    if seen and seen | {number} != ONCE:
        os._exit(Interrupted.exit_code)
    seen.add(number)
