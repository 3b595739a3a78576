"""Calls of a batch API, made again for as long as an outage may last: batches take hours, and so may their provider."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from utils.errors import EndpointError
from utils.llm.faults import Border, Fault
from utils.llm_config import LLMConfig

log = logging.getLogger(__name__)
R = TypeVar("R")

GROWTH, LONGEST = 1.5, 12  # each pause against the one before, and at most against the first
MOST_TRIES = 60  # of one call in a row
# What providers say when their queue has no room for a batch: OpenAI, Azure, litellm, gateways.
NO_ROOM = re.compile(r"enqueued|token_limit_exceeded|batch (?:queue|rate|token)|queue (?:is )?(?:full|limit)", re.I)


class NoRoom(Exception):
    """A batch that the provider does not take as long as others are under way, or because it is too large."""


class Patience:
    """Makes calls at `border`, with growing pauses; `sleep` makes these."""

    def __init__(self, config: LLMConfig, border: Border, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._config = config
        self._border = border
        self._sleep = sleep

    async def pause(self, tries: int) -> None:
        """Wait, the longer the more `tries` there were."""
        await self._sleep(self._length(tries))

    async def call(self, work: Callable[[], Awaitable[R]], takes_room: bool = False) -> R:
        """Do `work`, again while it fails for a fault.

        Raises Refused, EndpointError when there is no hope, and NoRoom if it is work that `takes_room`.
        """
        waited = 0.0
        for tries in range(MOST_TRIES):
            try:
                return await work()
            except EndpointError:
                raise
            except Exception as exc:
                error = self._border.sort(exc)
                if takes_room and NO_ROOM.search(str(error)):
                    raise NoRoom(str(error)) from exc
                if error is exc:
                    raise
                if not isinstance(error, Fault):
                    raise error from exc
                fault = error
            log.info("again in a moment: %s", fault)
            length = self._length(tries) if fault.wait is None else fault.wait
            waited += length
            if waited > max(self._config.outage_minutes * 60, fault.wait or 0):
                break
            await self._sleep(length)
        raise EndpointError(f"{fault}; batches go on there: run the same command again when the server is up")

    def _length(self, tries: int) -> float:
        return self._config.batch_poll * float(min(GROWTH ** min(tries, 20), LONGEST))
