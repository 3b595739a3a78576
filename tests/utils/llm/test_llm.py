"""The real SDK against a server that misbehaves: what each kind of reply leads to, and how often it is asked."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.command import TIMEOUT
from tests.fakes import (
    CUT,
    EMPTY_BODY,
    EMPTY_CHOICES,
    HANG,
    MALFORMED,
    RESET,
    Act,
    MisbehavingServer,
    answered,
    dead_url,
    refused,
    replied,
    throttled,
)
from utils.config import RunConfig
from utils.errors import BudgetReached, EndpointError, JournalError
from utils.llm import JournaledLLM, ReplayEndpoint, check_keys, close_llms, open_llms
from utils.llm.endpoint import OpenAIEndpoint
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.llm.limits import Gate, Window
from utils.llm_config import LLMConfig
from utils.schema import Completion, Message, Request

T = TypeVar("T")
KEY = "sk-known-0123456789abcdef"
HELLO = (Message("user", "Say hello."),)


@pytest.fixture(autouse=True)
def known_key(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)


def settle(work: Coroutine[Any, Any, T]) -> T:
    """Run it; a test that hangs fails."""

    async def bounded() -> T:
        async with asyncio.timeout(TIMEOUT):
            return await work

    return asyncio.run(bounded())


class Clock:
    """Time that only sleeping moves. Sleeping returns at once, and oversleeps, so that every pause is over."""

    def __init__(self) -> None:
        self.time = 100.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds + 1
        await asyncio.sleep(0)


@dataclass
class Seam:
    """A JournaledLLM on the real SDK, with a clock of its own."""

    llm: JournaledLLM
    ledger: Ledger
    journal: Journal
    clock: Clock
    gate: Gate
    window: Window


@asynccontextmanager
async def seam(
    url: str, journal: Journal | None = None, ledger: Ledger | None = None, run_seed: int = 42, **config: Any
) -> AsyncIterator[Seam]:
    clock, gate, ledger = Clock(), Gate(4), ledger or Ledger()
    journal = Journal(None) if journal is None else journal  # an empty one has length 0
    llm_config = LLMConfig(**{"model": "m", "base_url": url, "api_key_env": "TEST_KEY"} | config)
    window = Window(4, now=clock.now)
    endpoint = OpenAIEndpoint(llm_config, gate, [window], ledger, sleep=clock.sleep)
    llm = JournaledLLM(endpoint, llm_config, journal, ledger, run_seed)
    try:
        yield Seam(llm, ledger, journal, clock, gate, window)
    finally:
        await llm.drain(0)
        await llm.close()


@dataclass
class Told:
    """What came of one question: a completion or an error."""

    result: Completion | Exception
    requests: int
    bodies: list[dict[str, Any]]
    headers: list[dict[str, str]]
    waits: list[float]
    ledger: Ledger
    journaled: int


def ask(*script: Act, then: Act | None = None, kind: Any = "evolve", draw: int = 0, **config: Any) -> Told:
    """Put one question to a server that follows `script`, and then does `then` for ever."""

    async def asking(server: MisbehavingServer) -> Told:
        async with seam(server.url, **config) as on:
            try:
                result: Completion | Exception = await on.llm.complete(kind, HELLO, draw)
            except Exception as exc:
                result = exc
            bodies, headers = [r.body for r in server.received], [r.headers for r in server.received]
            assert (on.gate.in_flight, on.ledger.in_flight) == (0, 0)
            return Told(result, len(bodies), bodies, headers, on.clock.waits, on.ledger, len(on.journal))

    with MisbehavingServer(script, otherwise=then) as server:
        return settle(asking(server))


# --- Asked again -----------------------------------------------------------------------------------

NESTED = Act(body=b'{"choices": ' + b"[" * 100_000)
PASSING = {
    "408": refused(408),
    "409": refused(409),
    "425": refused(425),
    "500": refused(500),
    "502 in HTML": Act(502, b"<html><body>Bad Gateway</body></html>"),
    "503": refused(503),
    "reset": RESET,
    "reset in mid-reply": CUT,
    "malformed": MALFORMED,
    "nested without end": NESTED,
    "HTML": Act(body=b"<html>maintenance</html>"),
    "null": replied(None),
    "an error under 200": replied({"error": {"message": "overloaded", "code": 502}}),
    "empty body": EMPTY_BODY,
    "empty choices": EMPTY_CHOICES,
    "empty text": answered(""),
    "blank text": answered(" \n"),
    "null text": answered(None),
    "nothing but thoughts": answered("<think>hm</think>"),
    "nothing but reasoning_content": answered("", reasoning_content="hm"),
    "broken off": answered("half of it", "insufficient_system_resource"),
    "gateway error": answered("half of it", "error"),
}


@pytest.mark.parametrize("act", PASSING.values(), ids=PASSING)
def test_a_passing_fault_is_cured_by_asking_again(act):
    told = ask(act, answered("at last"))
    assert told.result.text == "at last"
    assert told.result.failure is None
    assert (told.requests, len(told.waits), told.journaled) == (2, 1, 1)
    assert (told.ledger.calls, told.ledger.retries) == (1, 1)


@pytest.mark.parametrize("name", ["empty body", "empty text", "empty choices", "broken off", "gateway error"])
def test_when_retries_are_used_up_the_row_is_unavailable_and_nothing_is_journaled(name):
    told = ask(then=PASSING[name], max_retries=2)
    assert told.result == Completion("", "unavailable")
    assert (told.requests, told.journaled) == (3, 0)
    assert (told.ledger.calls, told.ledger.retries, told.ledger.kinds["evolve"].unavailable) == (0, 2, 1)


def test_no_retries_means_one_request():
    assert ask(then=EMPTY_BODY, max_retries=0).requests == 1


def test_a_hung_request_is_cut_at_the_time_out_and_asked_again():
    told = ask(HANG, then=answered("at last"), timeout=0.5, max_retries=100)
    assert told.result.text == "at last"
    assert told.requests >= 2


def test_a_slow_trickle_does_not_outwit_the_total_time_out():
    """The SDK's own time-out counts from byte to byte; the total must hold for a reply that comes late."""
    told = ask(answered("too late").after(1000), timeout=0.05, max_retries=0)
    assert told.result.failure == "unavailable"


def test_a_first_success_is_no_retry():
    assert ask(answered()).ledger.retries == 0


def test_back_off_doubles_with_jitter():
    waits = ask(then=EMPTY_BODY, max_retries=5).waits
    assert all(0.25 * 2**n <= wait <= 0.75 * 2**n for n, wait in enumerate(waits))
    assert len(waits) == 5


# --- Retry-After, and back-pressure ----------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry-After": "3"}, 3),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, 9),
        ({"llm_provider-retry-after": "7"}, 7),
    ],
)
def test_the_wait_that_the_server_asks_for_is_kept(status, header, seconds):
    told = ask(refused(status).saying(header), answered("at last"))
    assert told.result.text == "at last"
    assert seconds <= told.waits[0] <= 1.1 * seconds


def test_retry_after_as_a_date():
    told = ask(throttled(retry_after=formatdate(time.time() + 30, usegmt=True)), answered())
    assert 28 <= told.waits[0] <= 33


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e9", "Fri, 01 Jan 2100 00:00:00 GMT", "Fri, 99 Foo"])
def test_a_retry_after_that_cannot_be_meant_gives_way_to_the_back_off(value):
    assert ask(throttled(retry_after=value), answered()).waits[0] <= 0.75


def test_throttling_uses_up_no_attempts():
    told = ask(*[throttled()] * 10, answered("at last"), max_retries=0)
    assert (told.result.text, told.requests, told.ledger.retries) == ("at last", 11, 10)


def test_throttling_between_faults_does_not_lend_attempts():
    told = ask(throttled(), EMPTY_BODY, throttled(), EMPTY_BODY, throttled(), then=EMPTY_BODY, max_retries=2)
    assert (told.result.failure, told.requests) == ("unavailable", 6)


def test_throttling_without_end_stops_the_run():
    told = ask(then=throttled(retry_after="100"))
    assert isinstance(told.result, EndpointError)
    assert "429" in str(told.result)
    assert told.requests == 37  # the first, and an hour of waits that were kept


# --- Rows that fail, with the name of it -----------------------------------------------------------

CUT_OFF = {
    "length": (answered("half of", "length"), "half of", "length"),
    "length without text": (answered("", "length"), "", "length"),
    "length in mid-thought": (answered("<think>so much to", "length"), "", "length"),
    "null text at the length": (answered(None, "length"), "", "length"),
    "filter": (answered("half of", "content_filter"), "half of", "content_filter"),
    "filter without text": (answered(None, "content_filter"), "", "content_filter"),
    "prompt too long": (refused(400, "too many tokens", "context_length_exceeded"), "", "too_long"),
    "too long, vLLM": (refused(400, "This model's maximum context length is 4096 tokens."), "", "too_long"),
    "too long, llama.cpp": (refused(400, "exceeds", type="exceed_context_size_error"), "", "too_long"),
    "too large": (refused(413), "", "too_long"),
    "prompt filtered": (refused(400, "filtered", "content_filter"), "", "content_filter"),
}


@pytest.mark.parametrize(("act", "text", "failure"), CUT_OFF.values(), ids=CUT_OFF)
def test_what_is_cut_or_filtered_is_a_failed_row_and_journaled(act, text, failure):
    told = ask(act)
    assert (told.result.text, told.result.failure) == (text, failure)
    assert (told.requests, told.journaled) == (1, 1)


# --- The end of the run ----------------------------------------------------------------------------

OPENAI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
FATAL = {
    "quota": (refused(429, OPENAI_QUOTA, "insufficient_quota"), "quota"),
    "quota by type": (refused(429, OPENAI_QUOTA, type="insufficient_quota"), "quota"),
    "a limit of billing": (refused(429, "Billing hard limit", "billing_hard_limit_reached"), "quota"),
    "the quota of a day": (refused(429, "Rate limit reached: free-models-per-day"), "quota of the day"),
    "a wait of hours": (throttled("7200"), "asks to wait until"),
    "a wait of hours in words": (refused(429, "Please try again in 2h3m."), "asks to wait until"),
    "balance": (refused(402, "Insufficient Balance"), "balance"),
    "bad key": (refused(401, "Incorrect API key provided", "invalid_api_key"), "TEST_KEY"),
    "key without rights": (refused(403, "Not allowed"), "TEST_KEY"),
    "unknown model": (refused(404, "The model does not exist", "model_not_found"), "'m'"),
    "no such page": (Act(404, b"404 page not found"), "base_url"),
    "bad parameters": (refused(400, "Unsupported value: 'temperature'", "unsupported_value"), "temperature"),
    "error as a text": (Act(400, b'{"error": "unknown field"}'), "unknown field"),
    "unknown field": (Act(422, b'{"detail": [{"msg": "extra fields\\nnot permitted"}]}'), "extra fields"),
}


@pytest.mark.parametrize(("act", "words"), FATAL.values(), ids=FATAL)
def test_what_no_retry_can_cure_stops_the_run_at_once_with_one_line(act, words):
    told = ask(act)
    assert isinstance(told.result, EndpointError)
    assert words in str(told.result)
    assert "\n" not in str(told.result)
    assert (told.requests, told.waits, told.journaled, told.ledger.calls) == (1, [], 0, 0)


def test_a_dead_server_is_noticed_long_before_the_attempts_are_used_up():
    async def asking(url: str) -> int:
        async with seam(url, max_retries=100) as on:
            with pytest.raises(EndpointError, match=r"cannot reach http://127.*check base_url"):
                await on.llm.complete("evolve", HELLO)
            return len(on.clock.waits)

    with dead_url() as url:
        assert settle(asking(url)) <= 4


# --- Reasoning is no answer ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        answered("The answer.", reasoning_content="SECRET thoughts"),
        answered("The answer.", reasoning="SECRET thoughts"),
        answered("<think>SECRET thoughts</think>\n\nThe answer."),
        answered("SECRET thoughts</think>The answer."),
    ],
)
def test_reasoning_never_reaches_the_text(act):
    assert ask(act).result.text == "The answer."


# --- What is sent ----------------------------------------------------------------------------------


def test_fields_that_are_not_set_are_not_sent():
    told = ask(temperature="none")
    assert told.bodies == [{"model": "m", "messages": [{"role": "user", "content": "Say hello."}]}]


def test_fields_that_are_set_are_sent():
    told = ask(temperature=0.5, top_p=0.9, max_tokens=99, max_tokens_field="max_completion_tokens", seed=5, draw=3)
    sent = {name: value for name, value in told.bodies[0].items() if name not in ("model", "messages")}
    assert sent == {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 99, "seed": 8}


def test_stages_bring_their_own_sampling():
    assert ask(kind="evolve").bodies[0]["temperature"] == 0
    analyze = ask(kind="analyze", max_tokens=9).bodies[0]
    assert (analyze["temperature"], analyze["top_p"], analyze["max_tokens"]) == (0.6, 0.95, 9)


def test_headers_name_the_stage_and_the_sdk_counts_no_retries():
    told = ask(refused(500), answered(), kind="judge")
    assert [headers["x-stage"] for headers in told.headers] == ["judge", "judge"]
    assert [headers["x-stainless-retry-count"] for headers in told.headers] == ["0", "0"]
    assert told.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_server_of_this_machine_needs_no_key(monkeypatch):
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    assert ask(api_key_env=None).result.text == "fine"


# --- Keys ------------------------------------------------------------------------------------------

LOUD = {
    "bad key": refused(401, f"Incorrect API key provided: {KEY}"),
    "bad parameters": refused(400, f"{KEY} is no parameter"),
    "at the end of a long text": refused(400, "x" * (298 - len(KEY) // 2) + KEY),
    "plain text": Act(403, f"who is {KEY}?".encode()),
    "fault": refused(500, f"trouble with {KEY}"),
    "throttled": throttled(retry_after=KEY),
}


@pytest.mark.parametrize("act", LOUD.values(), ids=LOUD)
def test_the_key_is_in_no_error_no_log_and_no_journal(act, tmp_path, caplog):
    async def asking(url: str) -> str:
        journal = Journal(tmp_path / "journal.sqlite")
        async with seam(url, journal, max_retries=1) as on:
            results = await asyncio.gather(on.llm.complete("evolve", HELLO), return_exceptions=True)
            await asyncio.gather(on.llm.complete("evolve", (Message("user", "Another."),)), return_exceptions=True)
            on.journal.export(tmp_path / "export.jsonl")
            return f"{results} {on.ledger}"

    caplog.set_level(logging.DEBUG)
    with MisbehavingServer([act]) as server:
        said = settle(asking(server.url))
        assert all(KEY in request.headers["authorization"] for request in server.received)
    said += caplog.text + "".join(path.read_bytes().decode("latin-1") for path in tmp_path.iterdir())
    assert KEY[:12] not in said


@pytest.mark.parametrize("key", ["“sk-known-0123”", "sk-known\u200b0123", "sk-known\n0123"])
def test_a_key_that_no_header_can_carry_is_told_before_anything_is_sent(monkeypatch, key):
    monkeypatch.setenv("TEST_KEY", key)
    llm = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "TEST_KEY"}
    with pytest.raises(EndpointError, match="TEST_KEY") as told:
        check_keys(RunConfig(data_path="x", evol_llm_config=llm))
    assert "known" not in str(told.value)


# --- The journal before the endpoint ---------------------------------------------------------------


def complete_all(url: str, prompts: list[str], **options: Any) -> tuple[list[Any], Ledger]:
    async def asking() -> tuple[list[Any], Ledger]:
        async with seam(url, **options) as on:
            asked = (on.llm.complete("respond", (Message("user", prompt),)) for prompt in prompts)
            return await asyncio.gather(*asked, return_exceptions=True), on.ledger

    return settle(asking())


def test_a_second_run_makes_no_calls(tmp_path):
    prompts = [f"prompt {number}" for number in range(10)]
    with MisbehavingServer(lambda request: answered("re: " + request.body["messages"][0]["content"])) as server:
        first, _ = complete_all(server.url, prompts, journal=Journal(tmp_path / "journal"))
        second, ledger = complete_all(server.url, prompts, journal=Journal(tmp_path / "journal"))
        assert first == second
        assert [completion.text for completion in first] == [f"re: {prompt}" for prompt in prompts]
        assert (len(server.received), ledger.calls, ledger.journaled) == (10, 0, 10)


def test_what_was_unavailable_is_asked_by_the_next_run():
    journal = Journal(None)
    with MisbehavingServer([EMPTY_BODY]) as server:
        assert complete_all(server.url, ["a"], journal=journal, max_retries=0)[0][0].failure == "unavailable"
        assert complete_all(server.url, ["a"], journal=journal, max_retries=0)[0][0].text == "fine"


def test_identical_questions_under_way_are_asked_once():
    with MisbehavingServer(otherwise=answered().after(0.01)) as server:
        completions, ledger = complete_all(server.url, ["same"] * 10 + ["other"])
        assert {completion.text for completion in completions} == {"fine"}
        assert (len(server.received), ledger.calls) == (2, 2)


class RecordingEndpoint:
    """Keeps the requests, answers each with its draw."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Completion:
        self.requests.append(request)
        return Completion(request.draw)

    def stop(self, why: Exception) -> None:
        """Nothing waits."""

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("temperature", "differ"), [(0, False), (None, False), (0.7, True), ("none", True)])
def test_another_run_seed_means_other_samples_unless_they_are_greedy(temperature, differ):
    async def asking() -> list[str]:
        config, journal, endpoint = LLMConfig(temperature=temperature), Journal(None), RecordingEndpoint()
        llms = [JournaledLLM(endpoint, config, journal, Ledger(), seed) for seed in (1, 2, 1)]
        return [(await llm.complete("evolve", HELLO)).text for llm in llms], len(endpoint.requests)

    texts, requests = settle(asking())
    assert texts[0] == texts[2]
    assert (texts[0] != texts[1], requests) == ((True, 2) if differ else (False, 1))


def test_a_completion_is_in_the_journal_before_anyone_sees_it():
    async def asking() -> None:
        journal = Journal(None)
        llm = JournaledLLM(RecordingEndpoint(), LLMConfig(), journal, Ledger())
        assert len(journal) == 0
        await llm.complete("evolve", HELLO)
        assert len(journal) == 1
        journal.close()
        with pytest.raises(JournalError):  # what cannot be recorded is not handed out either
            await llm.complete("evolve", (Message("user", "Another."),))

    settle(asking())


def test_a_replay_lacks_an_answer():
    llm = JournaledLLM(ReplayEndpoint(), LLMConfig(), Journal(None), Ledger())
    with pytest.raises(JournalError, match="no answer for a request of kind judge"):
        settle(llm.complete("judge", HELLO))


def test_the_budget_is_kept_to_the_call_and_continuing_repeats_nothing():
    prompts, journal = [f"prompt {number}" for number in range(20)], Journal(None)
    with MisbehavingServer(lambda _: answered().after(0.002)) as server:
        completions, ledger = complete_all(server.url, prompts, journal=journal, ledger=Ledger(max_calls=7))
        assert sum(isinstance(completion, BudgetReached) for completion in completions) == 13
        assert (len(server.received), ledger.calls) == (7, 7)
        _, ledger = complete_all(server.url, prompts, journal=journal, ledger=Ledger(max_calls=13))
        assert (len(server.received), ledger.calls, ledger.journaled) == (20, 13, 7)


def test_a_reply_of_no_use_is_paid_for_all_the_same():
    useless = answered("", usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})
    told = ask(useless, answered(usage={"prompt_tokens": 1_000_000}), price_in="0.5", price_out="1")
    assert (told.ledger.calls, round(told.ledger.cost, 2)) == (1, 1)


# --- Many at once, and stopping --------------------------------------------------------------------


def both(url: str, **config: Any) -> RunConfig:
    llm = {"model": "m", "base_url": url, "api_key_env": "TEST_KEY"}
    return RunConfig(data_path="x", evol_llm_config=llm, optim_llm_config=llm | {"model": "other"}, **config)


def test_requests_in_flight_never_exceed_the_number_given_over_both_llms():
    async def asking(url: str) -> None:
        llms = open_llms(both(url, batch_size=3), Journal(None), Ledger())[:2]
        prompts = [(Message("user", f"prompt {number}"),) for number in range(30)]
        await asyncio.gather(*(llm.complete("evolve", prompt) for prompt in prompts for llm in llms))
        await close_llms(*llms)

    with MisbehavingServer([answered().in_company_of(3)] * 3) as server:
        settle(asking(server.url))
        assert (len(server.received), server.most_in_flight) == (60, 3)


def test_throttling_narrows_the_window_and_success_widens_it():
    async def asking(url: str) -> tuple[float, float]:
        async with seam(url) as on:
            await on.llm.complete("evolve", HELLO)
            return on.window.size, on.window.rate_limited_seconds

    with MisbehavingServer([throttled("2")] * 6) as server:
        size, held_back = settle(asking(server.url))
    assert size == 2  # 4, 2, 1, 1 …, and one success
    assert held_back == pytest.approx(12)


def test_llms_at_one_server_share_its_window_unless_their_rates_differ():
    one, other, _ = open_llms(both("http://127.0.0.1:9/v1"), Journal(None), Ledger())
    assert window_of(one) is window_of(other)
    llm = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "TEST_KEY"}
    config = RunConfig(data_path="x", evol_llm_config=llm, optim_llm_config=llm | {"rpm": 60})
    one, other, _ = open_llms(config, Journal(None), Ledger())
    assert window_of(one) is not window_of(other)
    assert window_of(other)._requests is not None


def window_of(llm: JournaledLLM) -> Window:
    return llm._endpoint._servers[0].window


def test_several_servers_share_the_load_and_a_dead_one_costs_no_attempt():
    async def asking(*urls: str) -> tuple[list[Completion], int]:
        config = LLMConfig(model="m", base_url=",".join(urls), api_key_env="TEST_KEY", max_retries=0)
        ledger, windows = Ledger(), [Window(2) for _ in urls]
        endpoint = OpenAIEndpoint(config, Gate(6), windows, ledger)
        llm = JournaledLLM(endpoint, config, Journal(None), ledger)
        try:
            prompts = [(Message("user", f"prompt {number}"),) for number in range(30)]
            return await asyncio.gather(*(llm.complete("evolve", prompt) for prompt in prompts)), ledger.calls
        finally:
            await llm.close()

    with MisbehavingServer() as one, MisbehavingServer() as other, dead_url() as dead:
        completions, calls = settle(asking(one.url, dead, other.url))
        shares = len(one.received), len(other.received)
    assert all(completion.failure is None for completion in completions)
    assert calls == sum(shares) == 30
    assert min(shares) >= 10


async def _until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_cancelled_run_leaves_nothing_behind():
    async def asking(server: MisbehavingServer) -> None:
        async with seam(server.url) as on:
            prompts = [(Message("user", f"prompt {number}"),) for number in range(9)]
            asked = [asyncio.ensure_future(on.llm.complete("evolve", prompt)) for prompt in prompts]
            await _until(lambda: len(server.received) == 4)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            await on.llm.drain(0.01)
            assert all(task.cancelled() for task in asked)
            assert (on.gate.in_flight, on.ledger.in_flight, len(on.journal)) == (0, 0, 0)

    with MisbehavingServer(otherwise=HANG) as server:
        settle(asking(server))
        assert len(server.received) == 4


def test_a_call_under_way_comes_home_to_the_journal_when_the_run_stops():
    async def asking(server: MisbehavingServer) -> None:
        async with seam(server.url) as on:
            asked = asyncio.ensure_future(on.llm.complete("evolve", HELLO))
            await _until(lambda: server.received)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            assert len(on.journal) == 0
            await on.llm.drain(TIMEOUT)
            assert (len(on.journal), on.ledger.calls) == (1, 1)

    with MisbehavingServer([answered().after(0.02)]) as server:
        settle(asking(server))


def test_an_error_that_comes_after_the_run_has_stopped_makes_no_noise():
    complaints: list[Any] = []

    class LateEndpoint(RecordingEndpoint):
        async def send(self, request: Request) -> Completion:
            await asyncio.sleep(0.002)
            raise EndpointError("bad key")

    async def asking() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        llm = JournaledLLM(LateEndpoint(), LLMConfig(), Journal(None), Ledger())
        asked = asyncio.ensure_future(llm.complete("evolve", HELLO))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.sleep(0.01)
        gc.collect()

    settle(asking())
    gc.collect()
    assert complaints == []


def test_a_full_journal_stops_the_run(tmp_path: Path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal._db.execute("PRAGMA max_page_count = 3")
    with MisbehavingServer(otherwise=answered("x" * 20_000)) as server:
        results, _ = complete_all(server.url, ["a"], journal=journal)
    assert isinstance(results[0], JournalError)
    assert "full" in str(results[0])
