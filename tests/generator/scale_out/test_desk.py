"""The desk: who does what, who has fallen silent, and what goes on when nothing moves."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator.scale_out.desk import TRIES, Desk, SharedLedger
from generator.scale_out.workers import taken
from utils.config import LLMConfig
from utils.errors import BudgetReached, EndpointError
from utils.ledger import Ledger, StageUse
from utils.schema import Completion, Message, Request, Sampling, Usage

SILENCE = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(clock) -> Desk:
    return Desk(Ledger(), SILENCE, clock)


def spent(calls: int) -> Ledger:
    ledger = Ledger()
    ledger.stages["evolve"] = StageUse(calls, 1, 0, Usage(10, 5, 0), Decimal(calls))
    ledger.retries = 2
    return ledger


def test_a_partition_is_done_once_however_often_it_is_given_out(desk):
    first = desk.begin(7, "a")
    assert first
    desk.finish(7, 10, 3, Ledger())
    assert desk.begin(7, "b") is None
    desk.finish(7, 10, 3, Ledger())  # a worker that was thought dead
    state = desk.state()
    assert (state.rows, state.failed, desk.finished()) == (10, 3, {7})


def test_only_the_latest_attempt_may_finish(desk):
    """Its files are of one making, where a worker that was taken for dead comes back."""
    first, other, second = desk.begin(7, "a"), desk.begin(8, "a"), desk.begin(7, "b")
    assert len({first, other, second}) == 3
    assert not desk.may_finish(7, first)
    assert desk.may_finish(7, second)
    assert desk.may_finish(8, other)


def test_a_partition_that_takes_its_workers_down_is_looked_at_by_itself(desk):
    assert all(desk.begin(7, str(n)) for n in range(TRIES))
    assert desk.begin(7, "z") is None
    assert desk.begin(8, "z")
    assert desk.state().suspects == {7: f"took its worker down {TRIES} times"}
    desk.doubt(8, "failed with KeyError", Ledger())
    assert desk.begin(8, "z") is None
    assert list(desk.state().suspects) == [7, 8]
    assert desk.state().doubted == 1


def test_a_worker_that_falls_silent_with_work_in_hand_is_named_once(desk, clock):
    desk.enter("a", "actor a")
    desk.enter("b", "actor b")
    desk.begin(1, "a")
    desk.alive("b", False)
    clock.now += SILENCE - 1
    assert desk.state().silent == ()
    desk.alive("a", True)
    clock.now += SILENCE + 1
    assert desk.state().silent == ("actor a",)  # b has nothing in hand: it may be silent
    assert desk.state().silent == ()
    assert desk.workers() == ["actor b"]


def test_it_knows_for_how_long_nobody_has_had_work(desk, clock):
    clock.now += 500
    assert desk.state().idle is None  # no worker has come yet
    desk.enter("a", "actor a")
    clock.now += 50
    assert desk.state().idle == 50
    desk.begin(1, "a")
    clock.now += 10
    desk.alive("a", True)
    clock.now += 10
    desk.alive("a", False)  # alive, but with nothing in hand
    clock.now += 10
    assert desk.state().idle == 20
    desk.finish(1, 10, 0, Ledger())
    assert desk.state().idle == 0


def test_the_first_error_stops_the_run_and_is_told_to_the_workers(desk):
    assert desk.alive("a", True) is None
    desk.stop(EndpointError("dead"), Ledger())
    desk.stop(BudgetReached("later"), Ledger())
    assert str(desk.alive("a", True)) == "dead"
    assert desk.begin(3, "a") is None
    assert str(desk.state().error) == "dead"


def test_what_was_spent_is_told_once(desk):
    desk.alive("a", True, spent(2))
    desk.finish(1, 10, 0, spent(3))
    desk.doubt(2, "failed", spent(1))
    desk.stop(EndpointError("dead"), spent(1))
    told = desk.state().spent
    assert (told.calls, told.journaled, told.retries, told.cost) == (7, 4, 8, Decimal(7))
    assert desk.state().spent.calls == 0


def test_what_is_taken_out_of_a_ledger_is_told_once():
    ledger = spent(3)
    booked = taken(ledger)
    assert (booked.calls, booked.cost, booked.retries) == (3, Decimal(3), 2)
    assert (ledger.calls, ledger.retries, ledger.cost) == (0, 0, 0)


PRICED = LLMConfig(price_in="1", price_out="1", max_tokens=100)
REQUEST = Request("evolve", "m", (Message("user", "x" * 400),), Sampling(max_tokens=100))  # of 100 tokens
ANSWERED = Completion("fine", None, Usage(100, 100))
COST = Decimal(200) / 1_000_000


class Remote:
    """The desk as a worker reaches it: by calls that are answered later."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __getattr__(self, name: str) -> SimpleNamespace:
        async def call(*args):
            return getattr(self._desk, name)(*args)

        return SimpleNamespace(remote=lambda *args: asyncio.ensure_future(call(*args)))


async def calling(ledger: Ledger, calls: int, completion: Completion | None = ANSWERED) -> int:
    """So many calls of one worker, as far as the budget goes; returns how many were let through."""
    for number in range(calls):
        try:
            reserved = await ledger.admit(REQUEST, PRICED)
        except BudgetReached:
            return number
        await asyncio.sleep(0)
        ledger.settle(reserved, "evolve", completion, PRICED)
    return calls


@pytest.mark.parametrize("budget", [Ledger(max_calls=25), Ledger(max_cost=25 * COST)])
def test_workers_share_one_budget_to_the_last_call(budget, clock):
    async def working() -> list[int]:
        ledgers = [SharedLedger(Remote(desk)) for _ in range(3)]
        let_through = await asyncio.gather(*(calling(ledger, 20) for ledger in ledgers))
        assert [taken(ledger).calls for ledger in ledgers] == let_through
        return let_through

    desk = Desk(budget, SILENCE, clock)
    let_through = asyncio.run(working())
    assert sum(let_through) == 25
    assert all(let_through)
    with pytest.raises(BudgetReached, match="raise it to go on"):
        desk.reserve("evolve", 100, 100, PRICED)


def test_what_a_worker_that_died_had_under_way_stays_set_aside(clock):
    async def working() -> None:
        await SharedLedger(Remote(desk)).admit(REQUEST, PRICED)  # and is heard of no more
        assert await calling(SharedLedger(Remote(desk)), 20) == 9

    desk = Desk(Ledger(max_calls=10), SILENCE, clock)
    asyncio.run(working())


def test_what_came_to_nothing_is_given_back_and_waste_is_paid_for(clock):
    async def working() -> None:
        ledger = SharedLedger(Remote(desk))
        assert await calling(ledger, 20, None) == 20
        ledger.wasted("evolve", ANSWERED.usage, PRICED)
        await asyncio.sleep(0)
        assert await calling(ledger, 20) == 1

    desk = Desk(Ledger(max_cost=2 * COST), SILENCE, clock)
    asyncio.run(working())
