"""Batches through the real SDK, against a scripted provider: what comes of each request, how often it is sent."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.batch_server import BatchServer, JobScript, Line, expired_line, output_line, refused_line
from tests.command import TIMEOUT
from tests.fakes import CUT, Act, answered, refused, throttled
from utils.errors import BudgetReached, EndpointError, Waiting
from utils.llm import JournaledLLM
from utils.llm.batch import BatchEndpoint, Rounds
from utils.llm.batch.provider import ApiOutlet
from utils.llm.batch.records import Records
from utils.llm.batch.rounds import QUIET_TURNS
from utils.llm.endpoint import OpenAIEndpoint
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.llm.limits import Gate, Window
from utils.llm_config import LLMConfig
from utils.schema import Completion, Message

PROMPTS = [f"prompt {number}" for number in range(6)]
HELLO = (Message("user", "hello"),)
KEY = "sk-known-0123456789abcdef"


@pytest.fixture(autouse=True)
def known_key(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)


def text_of(line: Line) -> str:
    return line["body"]["messages"][-1]["content"]


def fine(line: Line) -> Line:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    message = {"role": "assistant", "content": f"re: {text_of(line)}"}
    return output_line(line, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})


def all_fine(lines: Iterable[Line]) -> Iterable[Line]:
    return map(fine, lines)


def nothing(lines: Iterable[Line]) -> Iterable[Line]:
    return ()


def job(*states: str, **files: Any) -> JobScript:
    return JobScript(states or ("completed",), **{"output": all_fine} | files)


@pytest.fixture
def provider():
    with BatchServer() as server:
        server.otherwise = job()
        server.live = lambda _: answered("live")
        yield server


async def done(_: JournaledLLM) -> None:
    """Ask for nothing more."""


@dataclass
class Run:
    """One run of the program, so to say: an LLM that asks through batches, over a journal that outlives it."""

    provider: BatchServer
    journal: Journal = field(default_factory=lambda: Journal(None))
    ledger: Ledger = field(default_factory=Ledger)
    falls_back: bool = True
    cancels: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    clock: float = field(default_factory=time.time)
    gathers: bool = True

    def __post_init__(self) -> None:
        self.config = LLMConfig(base_url=self.provider.url, model="m", api_key_env="TEST_KEY", **self.extra)
        self.records = Records(self.journal)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock += seconds
        await asyncio.sleep(0)

    def open(self) -> JournaledLLM:
        self.rounds = rounds = Rounds(self.ledger, self.gathers, self.cancels, self.shown.append)
        live = OpenAIEndpoint(self.config, Gate(10), [Window(10)], self.ledger)
        outlet = rounds.outlet("here", lambda: ApiOutlet(
            self.config, "here", rounds, self.records, self.ledger, sleep=self.sleep, now=lambda: self.clock
        ))  # fmt: skip
        endpoint = BatchEndpoint(live, outlet, rounds, self.records, self.config, self.falls_back)
        return JournaledLLM(endpoint, self.config, self.journal, self.ledger)

    def ask(self, prompts: Sequence[str] = PROMPTS, then: Callable[[JournaledLLM], Awaitable[None]] = done) -> Any:
        """Ask for all prompts at once; return the completions, or the error that ends the run."""

        async def asking() -> Any:
            llm = self.open()
            try:
                asked = (llm.complete("respond", (Message("user", prompt),)) for prompt in prompts)
                results = await asyncio.gather(*asked, then(llm), return_exceptions=True)
                errors = [result for result in results if isinstance(result, Exception)]
                return errors[0] if errors else results[:-1]
            finally:
                await llm.drain()
                await llm.close()

        async def bounded() -> Any:
            async with asyncio.timeout(TIMEOUT):
                return await asking()

        return asyncio.run(bounded())


def texts(results: list[Completion]) -> list[str]:
    return [result.text for result in results]


FINE = [f"re: {prompt}" for prompt in PROMPTS]


# --- Rounds ----------------------------------------------------------------------------------------


def test_what_is_asked_together_is_one_batch_with_the_key_and_kind_in_its_lines(provider):
    run = Run(provider)
    assert texts(run.ask()) == FINE
    (sent,) = provider.jobs.values()
    assert [text_of(line) for line in sent.lines] == PROMPTS
    keys = run.journal.query("SELECT key FROM completion")
    assert {line["custom_id"] for line in sent.lines} == {f"respond-{key.hex()}" for (key,) in keys}
    assert (run.ledger.calls, run.ledger.usage.input_tokens, run.ledger.in_flight) == (6, 600, 0)
    assert run.records.unread() == []
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_row_that_goes_on_slowly_still_comes_into_the_round(provider):
    async def slow(llm: JournaledLLM) -> None:
        for _ in range(QUIET_TURNS // 4):
            await asyncio.sleep(0)
        await llm.complete("evolve", (Message("user", "slow"),))

    Run(provider).ask(then=slow)
    assert [len(sent.lines) for sent in provider.jobs.values()] == [7]


def test_the_next_question_of_a_row_is_the_next_round(provider):
    async def twice(llm: JournaledLLM) -> None:
        first = await llm.complete("evolve", (Message("user", "one"),))
        await llm.complete("evolve", (Message("user", first.text),))

    Run(provider).ask(then=twice)
    assert [len(sent.lines) for sent in provider.jobs.values()] == [7, 1]


def test_two_llms_that_ask_for_the_very_same_pay_once(provider):
    run = Run(provider)

    async def also(llm: JournaledLLM) -> None:
        twin = JournaledLLM(llm._endpoint, run.config, run.journal, run.ledger)
        assert (await twin.complete("respond", (Message("user", PROMPTS[0]),))).text == FINE[0]

    assert texts(run.ask(then=also)) == FINE
    assert max(provider.asked.values()) == 1


def test_live_until_it_is_gathered(provider):
    run = Run(provider, gathers=False)
    assert texts(run.ask()) == ["live"] * 6
    assert provider.jobs == {}


# --- Limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limits", "sizes"), [
    ({"batch_requests": 4}, [4, 2]), ({"batch_mb": 0.0005}, [2, 2, 2]), ({"batch_mb": 0.0001}, [1] * 6),
])  # fmt: skip
def test_limits_split_a_round_into_batches_that_run_at_once(provider, limits, sizes):
    assert texts(Run(provider, extra=limits).ask()) == FINE
    assert sorted((len(sent.lines) for sent in provider.jobs.values()), reverse=True) == sizes


ENQUEUED = (
    "token_limit_exceeded",
    "Enqueued token limit reached for m in organization o. Limit: 90,000 enqueued tokens.",
)


def test_a_batch_that_is_too_large_for_the_queue_is_sent_in_halves_one_after_the_other(provider):
    provider.script = [job("validating", "failed", errors=[ENQUEUED])]
    run = Run(provider)
    assert texts(run.ask()) == FINE
    assert [len(sent.lines) for sent in provider.jobs.values()] == [6, 3, 3]
    order = [call for call in provider.calls if call in ("POST batch", "GET file")]
    assert order == ["POST batch", "POST batch", "GET file", "POST batch", "GET file"]
    assert (run.records.unread(), run.ledger.in_flight) == ([], 0)


def test_a_batch_that_finds_no_room_beside_others_waits_for_one_of_them_unsplit(provider):
    states = ["in_progress"]
    provider.script = [JobScript(states, all_fine), job("failed", errors=[ENQUEUED])]

    def the_first_ends_some_polls_after_the_second(call: str) -> None:
        first, second = provider.jobs.get("batch_1"), provider.jobs.get("batch_2")
        if second and second.polls and "completed" not in states:
            states.extend(["in_progress"] * (first.polls + 3) + ["completed"])

    provider.after = the_first_ends_some_polls_after_the_second
    assert texts(Run(provider, extra={"batch_requests": 3}).ask()) == FINE
    assert [len(sent.lines) for sent in provider.jobs.values()] == [3, 3, 3]


def test_no_room_at_creation(provider):
    acts = iter([refused(429, "Enqueued token limit reached", "token_limit_exceeded")])
    provider.before = lambda call: next(acts, None) if call == "POST batch" else None
    assert texts(Run(provider).ask()) == FINE
    assert [len(sent.lines) for sent in provider.jobs.values()] == [3, 3]


def test_one_request_for_which_there_is_never_room_is_left_out_in_the_end(provider):
    provider.otherwise = job("failed", errors=[ENQUEUED])
    run = Run(provider)
    assert texts(run.ask(PROMPTS[:1])) == ["live"]
    assert max(run.pauses) == 120


# --- Faults of the API -----------------------------------------------------------------------------


NO_REPLY = [refused(500, "oops"), throttled("3"), CUT]
NO_OBJECT = [Act(body=b"no json"), Act(body=b"{}")]  # in the place of a file they would be its content
FAULTS = [(call, act) for call in ("POST file", "POST batch", "GET batch") for act in NO_REPLY + NO_OBJECT]
FAULTS += [("GET file", act) for act in NO_REPLY]


@pytest.mark.parametrize(("call", "act"), FAULTS)
def test_a_fault_is_asked_again_and_nothing_is_sent_twice(provider, call, act):
    acts = iter([act, act])
    provider.before = lambda called: next(acts, None) if called == call else None
    run = Run(provider)
    assert texts(run.ask()) == FINE
    assert max(provider.asked.values()) == 1
    assert run.pauses[:1] == ([3] if act.status == 429 else [10])


@pytest.mark.parametrize("call", ["POST file", "POST batch"])
def test_what_came_through_though_the_reply_got_lost_is_found_again(provider, call):
    acts = iter([CUT])
    provider.after = lambda called: next(acts, None) if called == call else None
    assert texts(Run(provider).ask()) == FINE
    assert Counter(provider.calls)["POST file"] == 1
    assert max(provider.asked.values()) == 1


def test_a_provider_that_stays_down_ends_the_run_which_goes_on_later(provider):
    run = Run(provider)
    provider.before = lambda call: refused(502, "bad gateway") if call == "GET batch" else None
    error = run.ask()
    assert isinstance(error, EndpointError)
    assert "run the same command again when the server is up" in str(error)
    assert sum(run.pauses) <= 600
    assert [batch.state for batch in run.records.unread()] == ["sent"]
    provider.before = lambda call: None
    assert texts(Run(provider, run.journal).ask()) == FINE
    assert max(provider.asked.values()) == 1


@pytest.mark.parametrize(("act", "words"), [
    (refused(401, "bad key"), "refuses the key of TEST_KEY"),
    (refused(404, "no such route"), "takes no batch (HTTP 404: no such route); check that it has a batch API"),
    (refused(400, "model m cannot be batched"), "or run with --batch-api off"),
])  # fmt: skip
def test_a_provider_without_batches(provider, act, words):
    provider.before = lambda call: act if call == "POST file" else None
    error = Run(provider).ask()
    assert isinstance(error, EndpointError)
    assert words in str(error)
    assert KEY not in str(error)


def test_polls_are_made_with_growing_pauses_and_shown(provider):
    provider.script = [job(*["in_progress"] * 12, "completed")]
    run = Run(provider)
    assert texts(run.ask()) == FINE
    assert run.pauses[:3] == [10, 15, 22.5]
    assert run.pauses == sorted(run.pauses)
    assert run.pauses[-1] == 120
    assert run.shown[0] == "round 1: 3 of 6 requests, 0 min"


def test_a_batch_that_never_ends_is_cancelled_after_its_time(provider):
    provider.script = [job(*["in_progress"] * 5000)]
    run = Run(provider)
    assert texts(run.ask()) == FINE  # cancelled, it has all it could finish
    assert "POST cancel" in provider.calls
    assert 26 * 3600 < sum(run.pauses) < 27 * 3600


def test_a_batch_that_cannot_even_be_cancelled_is_given_up(provider):
    provider.script = [job(*["cancelling"] * 5000)]
    provider.before = lambda call: refused(400, "cannot be cancelled") if call == "POST cancel" else None
    run = Run(provider)
    assert texts(run.ask()) == FINE
    assert [len(sent.lines) for sent in provider.jobs.values()] == [6, 6]


# --- What a batch leaves out -----------------------------------------------------------------------


def half(lines: list[Line]) -> Iterable[Line]:
    return map(fine, lines[::2])


def lines_of_all_sorts(lines: list[Line]) -> Iterable[Line | bytes]:
    foreign = [fine(lines[0]) | {"custom_id": name} for name in ("x", 7, "respond-" + "0" * 32, None)]
    yield from (b"no json\n", b"\n", b"[]\n", b'"text"\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n")
    yield from [*map(fine, reversed(lines)), *map(fine, lines), *foreign]
    yield b'{"custom_id": "cut'


def wrong_shapes(lines: list[Line]) -> Iterable[Line]:
    bodies = [None, [], {}, {"choices": []}, {"choices": [{"message": None}]}, "text"]
    return [output_line(line, body) for line, body in zip(lines, bodies, strict=True)]


LEFT_OUT = {
    "expired": job("expired", output=half, errors_file=lambda lines: map(expired_line, lines[1::2])),
    "cancelled by somebody": job("cancelled", output=half),
    "partial": job(output=half),
    "failed lines": job(output=half, errors_file=lambda ls: [refused_line(x, "oops", status=500) for x in ls[1::2]]),
    "an error file only": job(
        output=nothing, errors_file=lambda lines: [refused_line(line, "oops", status=500) for line in lines]
    ),
    "no file at all": job(output=nothing),
    "failed without a word": job("failed", output=nothing),
    "wrong shapes": job(output=wrong_shapes),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_asked_for_in_the_next_round(provider, name):
    provider.script = [LEFT_OUT[name]]
    run = Run(provider)
    assert texts(run.ask()) == FINE
    _, second = (Counter(map(text_of, sent.lines)) for sent in provider.jobs.values())
    assert len(second) == (3 if LEFT_OUT[name].output is half else 6)
    assert "POST chat" not in provider.calls
    assert (run.ledger.calls, run.ledger.in_flight, run.records.unread()) == (6, 0, [])


def test_lines_shuffled_doubled_foreign_and_torn(provider, caplog):
    provider.script = [job(output=lines_of_all_sorts)]
    run = Run(provider)
    assert texts(run.ask()) == FINE
    assert run.ledger.calls == 6
    assert len(provider.jobs) == 1
    assert "holds 16 lines that answer nothing that was asked" in caplog.text


@pytest.mark.parametrize(("falls_back", "text", "failure"), [(True, "live", None), (False, "", "unavailable")])
def test_after_three_times_again_it_is_asked_live_or_unavailable(provider, falls_back, text, failure):
    provider.otherwise = job("expired", output=nothing)
    run = Run(provider, falls_back=falls_back)
    results = run.ask(PROMPTS[:2])
    assert [(result.text, result.failure) for result in results] == [(text, failure)] * 2
    assert [len(sent.lines) for sent in provider.jobs.values()] == [2] * 4
    assert provider.calls.count("POST chat") == (2 if falls_back else 0)


def test_a_file_or_batch_that_is_gone(provider, caplog):
    gone = ["GET file", "GET batch"]
    provider.before = lambda call: refused(404, "No such object") if gone[:1] == [call] and gone.pop(0) else None
    run = Run(provider)
    assert texts(run.ask()) == FINE
    assert len(provider.jobs) == 3
    assert run.records.unread() == []


def test_a_refused_request_is_its_rows_failure(provider):
    def output(lines: list[Line]) -> Iterable[Line]:
        yield refused_line(lines[0], "flagged as harmful content", "content_filter")
        yield refused_line(lines[1], "this model's maximum context length is 10 tokens")
        yield refused_line(lines[2], "strange request")
        yield from map(fine, lines[3:])

    provider.script = [job(output=output)]
    results = Run(provider).ask()
    assert [result.failure for result in results] == ["content_filter", "too_long", "rejected", None, None, None]
    assert results[2].said == "strange request"
    assert len(provider.jobs) == 1


def test_a_batch_of_nothing_but_rejections_is_the_runs_failure(provider):
    provider.script = [job(output=lambda lines: [refused_line(line, "no model m") for line in lines])]
    error = Run(provider).ask()
    assert isinstance(error, EndpointError)
    assert "rejects every request (HTTP 400: no model m); check the llm-config" in str(error)


def test_a_batch_that_fails_as_a_whole_is_the_runs_failure(provider):
    provider.script = [job("failed", errors=[("invalid_model", "The model m cannot be batched")])]
    run = Run(provider)
    error = run.ask()
    assert isinstance(error, EndpointError)
    assert "fails batch batch_1 (invalid_model: The model m cannot be batched); check the llm-config" in str(error)
    assert run.records.unread() == []


# --- A run that was killed -------------------------------------------------------------------------


def test_a_file_without_a_batch_is_deleted_if_it_is_not_wanted_any_more(provider):
    run = Run(provider)
    provider.before = lambda call: refused(401, "expired") if call == "POST batch" else None
    assert isinstance(run.ask(), EndpointError)
    provider.before = lambda call: None
    assert texts(Run(provider, run.journal).ask(PROMPTS[:4])) == FINE[:4]
    assert [name for name, _ in provider.files.values() if name.startswith("auto-evol")] != []
    assert provider.calls.count("DELETE file") == 1
    assert [len(sent.lines) for sent in provider.jobs.values()] == [4]


def test_what_was_not_asked_for_this_time_is_read_when_it_is(provider):
    run = Run(provider)
    provider.before = lambda call: refused(401, "expired") if call == "GET batch" else None
    assert isinstance(run.ask(), EndpointError)
    provider.before = lambda call: None
    assert texts(Run(provider, run.journal).ask(PROMPTS[:2])) == FINE[:2]

    async def another(llm: JournaledLLM) -> None:
        await llm.complete("respond", (Message("user", (await llm.complete("respond", HELLO)).text),))

    assert texts(Run(provider, run.journal).ask(PROMPTS[1:3], another)) == FINE[1:3]
    assert texts(Run(provider, run.journal).ask()) == FINE
    assert max(provider.asked.values()) == 1
    assert run.records.unread() == []


def test_cancelling_reads_what_was_finished_and_ends(provider):
    run = Run(provider)
    provider.script = [job("in_progress", "in_progress", output=half)]
    provider.before = lambda call: refused(401, "expired") if call == "GET batch" else None
    assert isinstance(run.ask(), EndpointError)
    provider.before = lambda call: None
    ended = Run(provider, run.journal, cancels=True).ask()
    assert isinstance(ended, Waiting)
    assert str(ended) == "batches cancelled: 1, answers read from them: 3"
    assert (len(run.journal), len(provider.jobs), run.records.unread()) == (3, 1, [])


# --- Money -----------------------------------------------------------------------------------------

PRICES = {"price_in": Decimal(1), "price_out": Decimal(10), "max_tokens": 1000}


def test_a_batch_costs_half(provider):
    run = Run(provider, extra=PRICES)
    run.ask()
    assert run.ledger.cost == 6 * (100 * Decimal("0.5") + 10 * Decimal(5)) / 1_000_000
    dear = Run(provider, extra=PRICES | {"price_batch": Decimal("0.75")})
    dear.ask()
    assert dear.ledger.cost == run.ledger.cost * Decimal("1.5")


def test_what_a_round_may_cost_at_most_is_set_aside_when_it_is_sent(provider):
    each = 1000 * Decimal(5) / 1_000_000  # max_tokens at half the price, beside which a prompt is little
    run = Run(provider, extra=PRICES, ledger=Ledger(max_cost=each * 3, by_the_limit=True))
    assert texts(run.ask()) == FINE  # each turned out to be cheap
    assert [len(sent.lines) for sent in provider.jobs.values()] == [2, 2, 2]


def test_an_exhausted_budget_ends_the_run(provider):
    run = Run(provider, ledger=Ledger(max_calls=4))
    assert isinstance(run.ask(), BudgetReached)
    assert (run.ledger.calls, len(run.journal)) == (4, 4)


def test_replies_of_no_use_are_booked_and_only_once(provider):
    def broken_off(lines: list[Line]) -> Iterable[Line]:
        for line in map(fine, lines):
            line["response"]["body"]["choices"][0]["finish_reason"] = "error"
            yield from (line, line)

    provider.script = [job(output=broken_off)]
    run = Run(provider, extra=PRICES)
    assert texts(run.ask()) == FINE
    assert (run.ledger.paid, run.ledger.usage.output_tokens) == (12, 120)
