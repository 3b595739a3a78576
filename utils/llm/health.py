"""How an endpoint is doing, over all that is asked of it: when requests wait together, and when a run must stop.

Health      faults: an outage and back-pressure are waited out, for a time; a dead address ends the run at once
Refusals    requests that the server refuses: the row's failure once anything has worked, else the run's
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

from utils.errors import EndpointError
from utils.llm.faults import Fault, FaultKind
from utils.llm.wordings import clock

log = logging.getLogger(__name__)

DOWN_AFTER = 3  # faults in a row, of 5xx or of the connection, with no answer between them
FIRST_PAUSE, LONGEST_PAUSE = 0.35, 30.0  # seconds between probes of an endpoint that is down
DEAD_AFTER_SECONDS, STRANGE_AFTER_SECONDS = 1.0, 2.5  # an address that has never worked is given no longer
FEW = 3  # requests: if no more are left, it may be they that the server cannot take
PATIENCE_WITH_FEW = 90.0  # seconds
PATIENCE_UNDER_429 = 600.0  # seconds of nothing but 429, beside the waits that the server asked for
PATIENCE_WITH_QUOTA = 240.0  # the same where it speaks of a quota
MOST_ASKED_WAITING = 3600.0  # seconds of waits, all as asked for, without one answer
SICK_AFTER_FAULTS, SICK_AFTER_SECONDS = 20, 120.0  # faults of other kinds without one success between
MOST_REFUSALS = 20  # in a row
SHORT_WAIT = 10.0  # seconds; of shorter ones only the first is announced


class Health:
    """The state of one endpoint, over all its addresses.

    `outage_seconds` is how long it may be down before the run stops; `worked` whether it has ever answered.
    """

    def __init__(self, outage_seconds: float, worked: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._outage_seconds = outage_seconds
        self.worked = worked
        self.posts = 0  # requests sent so far, which numbers them
        self.last_success = 0  # the highest number of a request that was answered
        self._in_a_row = 0  # outage faults
        self._since: dict[FaultKind | Literal["outage"], float] = {}
        self._count: dict[FaultKind, int] = {}
        self._probes = 0
        self._waited = 0.0  # seconds that the server asked for since its last answer
        self._waits_until = 0.0

    @property
    def down(self) -> bool:
        """Whether every reply is a 5xx, or there is none at all; then one request probes and the others wait."""
        return self._in_a_row >= DOWN_AFTER

    @property
    def pause(self) -> float:
        """Seconds before the next probe."""
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._probes, 20))

    def post(self) -> int:
        """Count a request that is sent, and return its number, from 1 on."""
        self.posts += 1
        return self.posts

    def success(self, number: int = 0) -> None:
        """Take note of a usable reply to the request of this number."""
        self.alive()
        self.worked = True
        self.last_success = max(self.last_success, number)
        self._since.clear()
        self._count.clear()
        self._waited = 0.0

    def alive(self) -> None:
        """Take note that the endpoint answers, if only to refuse: an outage is over."""
        if self.down and (self.worked or self._probes):
            log.info("the endpoint answers again after %.0f s", self._now() - self._since["outage"])
        self._in_a_row = self._probes = 0
        self._since.pop("outage", None)

    def fault(self, fault: Fault, left: int, probing: bool = False) -> None:
        """Take note of a fault (of a probe if `probing`), while `left` requests are under way or wait.

        Raises EndpointError when there is no hope.
        """
        if fault.kind.is_outage:
            self._probes += probing  # what was in flight when it went down fails, too, and tells nothing new
            self._outage(fault, left)
            return
        if fault.kind is not FaultKind.TIMEOUT:
            self.alive()
        self._count[fault.kind] = self._count.get(fault.kind, 0) + 1
        lasted = self._now() - self._since.setdefault(fault.kind, self._now())
        if fault.kind.throttles:
            self._throttled(fault, lasted)
        elif fault.kind is FaultKind.UNREADABLE and not self.worked:
            if self._count[fault.kind] >= DOWN_AFTER and lasted >= STRANGE_AFTER_SECONDS:
                raise EndpointError(f"{fault}; check base_url: it usually ends in /v1")
        elif sum(self._count.values()) >= SICK_AFTER_FAULTS and lasted >= SICK_AFTER_SECONDS:
            raise EndpointError(f"nothing but faults for {lasted:.0f} s ({fault}); check the server, then run again")

    def gives_up(self, left: int) -> bool:
        """Tell whether an outage has lasted so long that the last requests (`left`, a few) seem to be its cause."""
        lasted = self._now() - self._since.get("outage", self._now())
        patience = min(PATIENCE_WITH_FEW, self._outage_seconds)
        return self.down and self._are_few(left) and lasted >= patience

    def _are_few(self, left: int) -> bool:
        return self.worked and left <= FEW

    def _outage(self, fault: Fault, left: int) -> None:
        self._in_a_row += 1
        lasted = self._now() - self._since.setdefault("outage", self._now())
        if self._in_a_row < DOWN_AFTER:
            return
        if not self.worked and fault.kind is FaultKind.CONNECTION:
            if lasted >= DEAD_AFTER_SECONDS:
                raise EndpointError(f"cannot reach {fault}; check base_url and that the server runs")
        elif lasted >= self._outage_seconds and not self._are_few(left):
            raise EndpointError(
                f"down for {lasted / 60:.0f} minutes ({fault}); run the same command again when the server is up"
            )
        elif self._in_a_row == DOWN_AFTER:
            minutes = self._outage_seconds / 60
            log.warning("requests wait while one probes, for %g minutes at most, as this came: %s", minutes, fault)

    def _throttled(self, fault: Fault, lasted: float) -> None:
        if fault.wait is not None:
            self._announce(fault, fault.wait)
            if self._waited > MOST_ASKED_WAITING:
                raise EndpointError(f"nothing but 429 for {lasted / 60:.0f} minutes ({fault}); run again later")
            return
        patience = PATIENCE_WITH_QUOTA if fault.kind is FaultKind.QUOTA else PATIENCE_UNDER_429
        if lasted - self._waited >= patience:
            raise EndpointError(f"nothing but 429 for {lasted:.0f} s ({fault}); {_remedy(fault.kind)}")

    def _announce(self, fault: Fault, wait: float) -> None:
        """Log a wait of `wait` seconds, once for all requests that are told of it, and add it up."""
        until = self._now() + wait
        prolonged = until - max(self._waits_until, self._now())
        if prolonged <= 0:
            return
        if prolonged > 1 and (wait >= SHORT_WAIT or not self._waited):
            log.warning("waiting until %s as the server asks: %s", clock(wait), fault)
        self._waited += prolonged
        self._waits_until = until


def _remedy(kind: FaultKind) -> str:
    return "top up, then run again" if kind is FaultKind.QUOTA else "lower --batch-size or set rpm"


Whose = Literal["row", "run", "again"]


class Refusals:
    """Decides whose failure a refused request is: its row's once the endpoint has answered anything, else the run's.

    A refusal that comes before the first success waits for the others in flight.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._in_a_row = 0
        self._posted = 0  # requests that are with the server
        self._to_come = 0  # requests that will be asked again after a fault
        self._waiting: list[asyncio.Future[Whose]] = []

    def posted(self) -> None:
        self._posted += 1

    def answered(self, usable: bool) -> None:
        """Take note that the server is through with a request; `usable` if it has answered with a completion."""
        self._posted -= 1
        if usable:
            self._in_a_row = 0
        self._decide()

    def asked_again(self, change: int) -> None:
        """Add `change` (1, 0 or -1) to the number of requests that will be asked again after a fault."""
        self._to_come += change

    async def whose(self, surely_a_row: bool) -> Whose:
        """Return whose failure the latest refusal is: `row`, `run`, or `again` where only asking again can tell.

        `surely_a_row` says that the server's reason for it lies in the request itself.
        """
        self._in_a_row += 1
        if self._in_a_row > MOST_REFUSALS:
            return "run"
        if surely_a_row or self._health.worked:
            return "row"
        future: asyncio.Future[Whose] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._decide()
        return await future

    def _decide(self) -> None:
        if not self._health.worked and self._posted:
            return
        decision: Whose = "row" if self._health.worked else "again" if self._to_come else "run"
        for future in self._waiting:
            if not future.done():
                future.set_result(decision)
        self._waiting.clear()
