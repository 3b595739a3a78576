"""The ledger: decimals to the last digit, and budgets that hold however many calls are under way."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from utils.errors import BudgetReached, EndpointError
from utils.llm import JournaledLLM
from utils.llm.journal import Journal
from utils.llm.journaled import Booked
from utils.llm.ledger import Ledger, estimated_tokens
from utils.llm_config import LLMConfig
from utils.schema import CallKind, Completion, Message, Request, Sampling, Usage

PRICED = LLMConfig(price_in="0.27", price_out="1.10", price_cached="0.07", max_tokens=100)
REQUEST = Request("evolve", "m", (Message("user", "x" * 400),), Sampling(max_tokens=100))
TYPICAL = Completion("fine", None, Usage(100, 100))  # as the ledger expects it: 400 letters, and max_tokens
TYPICAL_COST = Decimal("0.000137")  # (100 * 0.27 + 100 * 1.10) / 1,000,000


class Watched:
    """An endpoint that answers, fails or raises as `fate` says, in an order of its own, and watches the budget."""

    def __init__(self, ledger: Ledger, fate: str = "answered", seed: int = 1) -> None:
        self.sent = self.most_in_flight = 0
        self._ledger, self._fate, self._random = ledger, fate, Random(seed)

    async def send(self, request: Request) -> Completion:
        self.sent += 1
        self.most_in_flight = max(self.most_in_flight, self._ledger.in_flight)
        for _ in range(self._random.randrange(1, 20)):
            await asyncio.sleep(0)
        fate = self._random.choice(["answered", self._fate])
        if fate == "raises":
            raise EndpointError("bad key")
        return Completion("", "unavailable") if fate == "unavailable" else TYPICAL

    def stop(self, why: Exception) -> None:
        """All is sent at once."""

    async def close(self) -> None:
        """Nothing is open."""


def complete_many(ledger: Ledger, fate: str = "answered", count: int = 60, waves: int = 3) -> tuple[Watched, list]:
    """`waves` times `count` calls at once, each prompt of 400 letters."""

    async def asking() -> list:
        llm, results = JournaledLLM(Booked(endpoint, PRICED, ledger), PRICED, Journal(None), ledger), []
        for wave in range(waves):
            prompts = [(Message("user", f"{wave * count + number:0400}"),) for number in range(count)]
            asked = (llm.complete("evolve", prompt) for prompt in prompts)
            results += await asyncio.gather(*asked, return_exceptions=True)
        return results

    endpoint = Watched(ledger, fate)
    return endpoint, asyncio.run(asking())


# --- Budgets ---------------------------------------------------------------------------------------


def reserved(ledger: Ledger, request: Request = REQUEST) -> Decimal:
    return asyncio.run(ledger.admit(request, PRICED))


def pay(ledger: Ledger, completion: Completion, config: LLMConfig = PRICED, kind: CallKind = "evolve") -> None:
    """One call, from its reservation to what came of it."""
    request = replace(REQUEST, kind=kind)
    ledger.settle(reserved(ledger, request), request, completion, config)


@pytest.mark.parametrize("fate", ["answered", "raises"])
@pytest.mark.parametrize("max_calls", [0, 1, 17, 60, 100])
def test_calls_never_exceed_max_calls_and_use_it_up(max_calls, fate):
    ledger = Ledger(max_calls)
    endpoint, results = complete_many(ledger, fate)
    assert ledger.calls == sum(result == TYPICAL for result in results) <= max_calls
    assert endpoint.most_in_flight <= max_calls
    assert ledger.in_flight == 0
    if fate == "answered":
        assert (ledger.calls, endpoint.sent) == (max_calls, max_calls)
        assert sum(isinstance(result, BudgetReached) for result in results) == 180 - max_calls


def test_what_failed_gives_its_place_in_the_budget_back():
    ledger = Ledger(max_calls=1)
    complete_many(ledger, "raises", count=1, waves=20)
    assert ledger.calls == 1


@pytest.mark.parametrize("fate", ["answered", "raises"])
def test_cost_never_exceeds_max_cost_when_usage_is_as_estimated(fate):
    ledger = Ledger(max_cost=TYPICAL_COST * 17)
    endpoint, results = complete_many(ledger, fate)
    assert ledger.cost <= TYPICAL_COST * 17
    assert endpoint.most_in_flight <= 17
    if fate == "answered":
        assert ledger.cost == TYPICAL_COST * 17
        assert (ledger.calls, endpoint.sent) == (17, 17)
        assert sum(isinstance(result, BudgetReached) for result in results) == 180 - 17


def test_a_budget_one_digit_short_lets_one_call_less_through():
    ledger = Ledger(max_cost=TYPICAL_COST * 17 - Decimal("1e-12"))
    complete_many(ledger)
    assert ledger.calls == 16


UNBOUND = replace(REQUEST, sampling=Sampling())
PROMPT_COST = Decimal("0.000027")


def test_where_nothing_bounds_replies_requests_go_out_few_at_a_time():
    ledger = Ledger(max_cost=Decimal(1))
    limits = ("evolve", 100, None)
    assert [ledger.reserve(*limits, PRICED) for _ in range(3)] == [PROMPT_COST, PROMPT_COST, None]
    ledger.settle(PROMPT_COST, UNBOUND, TYPICAL, PRICED)
    assert [ledger.reserve(*limits, PRICED) for _ in range(3)] == [PROMPT_COST, PROMPT_COST, None]
    assert Ledger(max_calls=9).reserve(*limits, PRICED) == 0  # where no money is counted, nothing has to be known


def test_what_is_in_flight_counts_with_the_longest_reply_so_far():
    long = Completion("fine", None, Usage(100, 1000))
    ledger = Ledger(max_cost=3 * PRICED.cost(100, 1000) + Decimal("0.0001"))
    pay_unbound = [asyncio.run(ledger.admit(UNBOUND, PRICED)) for _ in range(2)]
    ledger.settle(pay_unbound[0], UNBOUND, long, PRICED)
    assert ledger.reserve("evolve", 100, None, PRICED) == PROMPT_COST  # 1 paid, 2 in flight: no more fits
    assert ledger.reserve("evolve", 100, None, PRICED) is None
    for prompt in (pay_unbound[1], PROMPT_COST):
        ledger.settle(prompt, UNBOUND, long, PRICED)
    with pytest.raises(BudgetReached, match=r"3 calls made, 0\.0034 spent"):
        ledger.reserve("evolve", 100, None, PRICED)
    assert ledger.cost <= ledger.max_cost


@pytest.mark.parametrize("at_once", [1, 10, 64])
@pytest.mark.parametrize("sizes", ["even", "skewed"])
def test_a_budget_is_overrun_by_a_tenth_at_most_whatever_is_in_flight(at_once, sizes):
    """Replies whose sizes nobody knows before, of a log-normal spread, against a budget of some 200 of them."""

    class Skewed(Watched):
        async def send(self, request: Request) -> Completion:
            await super().send(request)
            tokens = int(300 * (self._random.lognormvariate(0, 0.8) if sizes == "skewed" else 1))
            return Completion("fine", None, Usage(100, tokens))

    unbound = LLMConfig(price_in="0.27", price_out="1.10")
    ledger = Ledger(max_cost=200 * unbound.cost(100, 400))
    endpoint = Skewed(ledger)

    async def asking() -> list:
        llm = JournaledLLM(Booked(endpoint, unbound, ledger), unbound, Journal(None), ledger)
        gate = asyncio.Semaphore(at_once)

        async def ask(number: int) -> Completion:
            async with gate:
                return await llm.complete("respond", (Message("user", f"{number:0400}"),))

        return await asyncio.gather(*(ask(number) for number in range(400)), return_exceptions=True)

    results = asyncio.run(asking())
    assert any(isinstance(result, BudgetReached) for result in results)
    assert ledger.calls >= 50
    assert ledger.cost <= ledger.max_cost * Decimal("1.1")
    assert ledger.cost >= ledger.max_cost * Decimal("0.8")


def test_replies_of_no_use_count_as_calls_of_the_budget():
    ledger = Ledger(max_calls=3)
    ledger.wasted(REQUEST, TYPICAL.usage, PRICED)
    pay(ledger, TYPICAL)
    pay(ledger, TYPICAL)
    with pytest.raises(BudgetReached, match="3 calls made"):
        reserved(ledger)


@pytest.mark.parametrize("ledger", [Ledger(max_calls=0), Ledger(max_cost=Decimal(0))])
def test_a_budget_that_is_used_up_says_what_to_do(ledger):
    with pytest.raises(BudgetReached, match=r"--max-c\w+ 0 is used up.*; raise it to go on"):
        reserved(ledger)
    assert ledger.in_flight == 0


def test_what_is_left_of_a_budget_speaks_of_the_whole():
    last = Ledger(max_calls=6, max_cost=6 * TYPICAL_COST)
    for _ in range(2):
        for _ in range(3):
            pay(last, TYPICAL)
        last = last.remaining()
    assert (last.calls, last.max_calls, last.max_cost) == (0, 0, 0)
    with pytest.raises(BudgetReached, match="--max-calls 6 is used up"):
        reserved(last)
    last.max_calls = None
    with pytest.raises(BudgetReached, match=rf"--max-cost {6 * TYPICAL_COST} is used up: 6 calls made, 0\.0008 spent"):
        reserved(last)


# --- Accounts --------------------------------------------------------------------------------------


def test_costs_are_decimals_to_the_last_digit():
    ledger, config = Ledger(), LLMConfig(price_in="0.1", price_out="0.2")
    for _ in range(3):
        pay(ledger, Completion("fine", None, Usage(1_000_000, 1)), config)
    assert ledger.cost == Decimal("0.3000006")
    assert (ledger.calls, ledger.usage) == (3, Usage(3_000_000, 3))


def test_cached_input_is_priced_apart():
    ledger = Ledger()
    pay(ledger, Completion("fine", None, Usage(1_000_000, 0, 400_000)))
    assert ledger.cost == Decimal("0.6") * Decimal("0.27") + Decimal("0.4") * Decimal("0.07")


def test_without_prices_nothing_costs():
    ledger = Ledger()
    pay(ledger, TYPICAL, LLMConfig())
    assert (ledger.cost, ledger.calls) == (0, 1)


def test_accounts_are_kept_by_stage():
    ledger = Ledger()
    pay(ledger, TYPICAL)
    pay(ledger, TYPICAL, kind="judge")
    ledger.gave_up("evolve")
    evolve = ledger.kinds["evolve"]
    assert (evolve.calls, evolve.unavailable, evolve.cost, ledger.kinds["judge"].calls) == (1, 1, TYPICAL_COST, 1)
    assert (ledger.calls, ledger.cost) == (2, 2 * TYPICAL_COST)


def test_a_reply_of_no_use_costs_but_is_no_call():
    ledger = Ledger()
    ledger.wasted(REQUEST, TYPICAL.usage, PRICED)
    assert (ledger.calls, ledger.cost, ledger.usage) == (0, TYPICAL_COST, TYPICAL.usage)


def test_the_prompts_of_all_paid_replies_correct_the_estimate_of_the_next():
    ledger = Ledger()
    ledger.wasted(REQUEST, Usage(150, 0), PRICED)
    pay(ledger, Completion("fine", None, Usage(150, 100)))
    assert ledger.kinds["evolve"].prompt_tokens(100) == 150


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("word " * 100, 100, 150),
        ("한국어 문장입니다. " * 100, 500, 900),
        ("😀" * 100, 50, 300),
        ("é" * 90, 20, 60),
    ],
)
def test_the_size_of_a_prompt_is_about_right(text, least, most):
    assert least <= estimated_tokens(Request("evolve", "m", (Message("user", text),), Sampling())) <= most
