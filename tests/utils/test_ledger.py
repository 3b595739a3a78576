"""The ledger: decimals to the last digit, and budgets that hold however many calls are under way."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from utils.config import LLMConfig
from utils.errors import BudgetReached, EndpointError
from utils.journal import Journal
from utils.ledger import Ledger, estimated_tokens
from utils.llm import JournaledLLM
from utils.schema import Completion, Message, Request, Sampling, Stage, Usage

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

    async def close(self) -> None:
        """Nothing is open."""


def complete_many(ledger: Ledger, fate: str = "answered", count: int = 60, waves: int = 3) -> tuple[Watched, list]:
    """`waves` times `count` calls at once, each prompt of 400 letters."""

    async def asking() -> list:
        llm, results = JournaledLLM(endpoint, PRICED, Journal(None), ledger), []
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


def pay(ledger: Ledger, completion: Completion, config: LLMConfig = PRICED, stage: Stage = "evolve") -> None:
    """One call, from its reservation to what came of it."""
    ledger.settle(reserved(ledger, replace(REQUEST, stage=stage)), stage, completion, config)


@pytest.mark.parametrize("fate", ["answered", "unavailable", "raises"])
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


@pytest.mark.parametrize("fate", ["answered", "unavailable", "raises"])
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


def test_the_estimate_follows_what_the_stage_has_used():
    """Where answers are shorter than max_tokens allows, the budget is not held back for what never comes."""
    ledger, short = Ledger(max_cost=Decimal("0.001")), Completion("fine", None, Usage(100, 10))
    first = reserved(ledger)
    ledger.settle(first, "evolve", short, PRICED)
    second = reserved(ledger)
    assert (first, second) == (TYPICAL_COST, Decimal("0.000038"))


def test_without_max_tokens_a_thousand_are_expected():
    ledger = Ledger(max_cost=Decimal(1))
    request = Request("evolve", "m", REQUEST.messages, Sampling())
    assert reserved(ledger, request) == (100 * Decimal("0.27") + 1000 * Decimal("1.10")) / 1_000_000


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
    with pytest.raises(BudgetReached, match=rf"--max-cost {6 * TYPICAL_COST} is used up \(0\.0008 spent"):
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
    pay(ledger, TYPICAL, stage="judge")
    pay(ledger, Completion("", "unavailable"))
    evolve = ledger.stages["evolve"]
    assert (evolve.calls, evolve.unavailable, evolve.cost, ledger.stages["judge"].calls) == (1, 1, TYPICAL_COST, 1)
    assert (ledger.calls, ledger.cost) == (2, 2 * TYPICAL_COST)


def test_a_reply_of_no_use_costs_but_is_no_call():
    ledger = Ledger()
    ledger.wasted("evolve", TYPICAL.usage, PRICED)
    assert (ledger.calls, ledger.cost, ledger.usage) == (0, TYPICAL_COST, TYPICAL.usage)


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
