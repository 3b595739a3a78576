"""What is one for the whole cluster: the journal, the budget to the last call, and which groups are not begun again."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

import ray

from generator.scale_out.coordinator import TRIES, Calls, Coordinator, SharedLedger, asked, taken
from utils.errors import AutoEvolError, BudgetReached, EndpointError, JournalError
from utils.llm.journal import Journal, request_key
from utils.llm.ledger import CallUse, Ledger
from utils.llm_config import LLMConfig
from utils.schema import AnsweredBy, Completion, Message, Request, Sampling, Usage

PRICED = LLMConfig(price_in="1", price_out="1", max_tokens=100)
REQUEST = Request("evolve", "m", (Message("user", "x" * 400),), Sampling(max_tokens=100))  # of 100 tokens
KEY = request_key(REQUEST)
ANSWERED = Completion("fine", None, Usage(100, 100))
COST = Decimal(200) / 1_000_000


def coordinator(budget: Ledger | None = None) -> Coordinator:
    opened = Coordinator()
    opened.open(lambda: Journal(None), {"A_KEY": "secret"}, budget or Ledger())
    return opened


class Remote:
    """The coordinator as a worker reaches it: its calls are answered later. Counts how often it is called."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.calls = 0

        async def handle(calls):
            self.calls += 1
            await asyncio.sleep(0)
            return coordinator.handle(calls)

        self.handle = SimpleNamespace(remote=lambda calls: asyncio.ensure_future(handle(calls)))


def spent(calls: int) -> Ledger:
    ledger = Ledger()
    ledger.kinds["evolve"] = CallUse(calls, journaled=1, usage=Usage(10, 5, 0), cost=Decimal(calls))
    ledger.answered_by["m"][AnsweredBy("m-2026")] = calls
    ledger.retries = 2
    return ledger


def test_a_worker_reads_and_writes_the_one_journal():
    async def working() -> None:
        one, other = (Calls(Remote(office)) for _ in range(2))
        assert await one.get(REQUEST, KEY) is None
        await one.put(REQUEST, ANSWERED, KEY)
        assert await other.get(REQUEST, KEY) == ANSWERED

    office = coordinator()
    asyncio.run(working())


def test_calls_of_a_moment_travel_together_in_their_order_and_each_has_its_own_answer():
    async def working() -> None:
        calls = Calls(remote)
        await calls("begin", "first")
        several = [calls("begin", "x") for _ in range(TRIES + 1)]
        assert await asyncio.gather(*several) == [True] * TRIES + [False]
        assert remote.calls <= 3

    remote = Remote(coordinator())
    asyncio.run(working())


def test_who_no_longer_waits_holds_nobody_up():
    async def working() -> None:
        calls = Calls(Remote(coordinator()))
        first, second = calls("begin", "x"), calls("begin", "y")
        first.cancel()
        assert await second

    asyncio.run(working())


def test_a_coordinator_that_is_gone_is_one_line():
    async def gone(_):
        raise ray.exceptions.RayError("the actor died")

    async def working() -> None:
        calls = Calls(SimpleNamespace(handle=SimpleNamespace(remote=gone)))
        with pytest.raises(EndpointError, match="the coordinator is gone"):
            await calls("begin", "x")

    asyncio.run(working())


def test_once_the_run_stops_nothing_more_is_asked_for_and_what_comes_home_is_kept():
    office = coordinator()
    office.stop(EndpointError("dead"), spent(1))
    office.stop(BudgetReached("later"), spent(1))
    with pytest.raises(EndpointError, match="dead"):
        office.get(REQUEST, KEY)
    assert not office.begin("x")
    office.call("journal", "put", REQUEST, ANSWERED, KEY)
    news, error = office.news()
    assert (str(error), news.spent.calls) == ("dead", 2)


def test_a_group_that_does_not_end_is_begun_so_often_and_then_named_once():
    office = coordinator()
    assert [office.begin("bad") for _ in range(TRIES + 1)] == [True] * TRIES + [False]
    assert office.begin("good")
    office.end("good", 10, 3, Ledger(), None)
    office.fail("KeyError: x", spent(1))
    assert office.take_begun() == ({"bad"}, "KeyError: x")
    assert office.take_begun()[0] == set()
    assert office.begin("bad")


def test_a_group_counts_once_however_often_it_ends_and_is_told_once():
    office = coordinator()
    for _ in range(2):
        office.begin("x")
        office.end("x", 10, 3, spent(2), [(1, ["unavailable", {}])])
    news, error = office.news()
    assert (news.rows, news.failed, news.spent.calls, news.unfinished) == (10, 3, 4, {"x": [(1, ["unavailable", {}])]})
    assert error is None
    news, _ = office.news()
    assert (news.rows, news.spent.calls, news.unfinished) == (0, 0, {})


def test_keys_and_whether_there_is_a_budget_are_told_to_a_worker():
    office = coordinator()
    assert office.enter("worker") == ({"A_KEY": "secret"}, False)
    assert office.workers() == ["worker"]
    assert coordinator(Ledger(max_calls=0)).enter("worker") == ({"A_KEY": "secret"}, True)
    assert coordinator(Ledger(max_cost=Decimal(1))).enter("worker") == ({"A_KEY": "secret"}, True)


def test_what_is_taken_out_of_a_ledger_is_told_once():
    ledger = spent(3)
    booked = taken(ledger)
    assert (booked.calls, booked.cost, booked.retries) == (3, Decimal(3), 2)
    assert booked.answered_by == {"m": {AnsweredBy("m-2026"): 3}}
    assert (ledger.calls, ledger.retries, ledger.cost, ledger.answered_by) == (0, 0, 0, {})


async def calling(
    ledger: Ledger, calls: int, completion: Completion | None = ANSWERED, config: LLMConfig = PRICED
) -> int:
    """So many calls of one worker, as far as the budget goes; returns how many were let through."""
    for number in range(calls):
        try:
            reserved = await ledger.admit(REQUEST, config)
        except BudgetReached:
            return number
        await asyncio.sleep(0)
        ledger.settle(reserved, REQUEST, completion, PRICED)
    return calls


@pytest.mark.parametrize("budget", [Ledger(max_calls=25), Ledger(max_cost=25 * COST)])
def test_workers_share_one_budget_to_the_last_call(budget):
    async def working() -> list[int]:
        ledgers = [SharedLedger(Calls(Remote(office))) for _ in range(3)]
        let_through = await asyncio.gather(*(calling(ledger, 20) for ledger in ledgers))
        assert [taken(ledger).calls for ledger in ledgers] == let_through
        return let_through

    office = coordinator(budget)
    let_through = asyncio.run(working())
    assert sum(let_through) == 25
    assert all(let_through)
    with pytest.raises(BudgetReached, match="raise it to go on"):
        office.call("budget", "reserve", "evolve", 100, 100, PRICED)


def test_what_a_worker_that_died_had_under_way_stays_set_aside_and_is_not_waited_for_for_ever():
    async def working() -> None:
        await SharedLedger(Calls(Remote(office))).admit(REQUEST, PRICED)  # and is heard of no more
        impatient = PRICED.model_copy(update={"timeout": 0.2})
        assert await calling(SharedLedger(Calls(Remote(office))), 20, config=impatient) == 9

    office = coordinator(Ledger(max_calls=10))
    asyncio.run(working())


def test_what_came_to_nothing_is_given_back_and_waste_is_paid_for():
    async def working() -> None:
        ledger = SharedLedger(Calls(Remote(office)))
        assert await calling(ledger, 20, None) == 20
        ledger.wasted(REQUEST, ANSWERED.usage, PRICED)
        assert await calling(ledger, 20) == 1

    office = coordinator(Ledger(max_cost=2 * COST))
    asyncio.run(working())


class Wrapped(ray.exceptions.RayError, JournalError):
    """As Ray raises what an actor has raised: of both kinds, with a traceback for its text."""

    def __init__(self, cause: AutoEvolError) -> None:
        super().__init__("Traceback ...")
        self.cause = cause


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (Wrapped(JournalError("torn")), JournalError, "torn"),
        (ray.exceptions.RayError("ValueError: lost"), EndpointError, "does not answer (ValueError: lost)"),
    ],
)
def test_the_driver_is_told_what_the_coordinator_raised(raised: Exception, kind: type, words: str):
    async def answer() -> None:
        raise raised

    asking: Callable = asked
    with pytest.raises(kind) as caught:
        asyncio.run(asking(answer()))
    assert words in str(caught.value)
