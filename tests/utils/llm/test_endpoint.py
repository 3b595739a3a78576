"""Many requests at once, through the real SDK, against servers as they are today: what comes of each of them."""

import asyncio
import gzip
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes import (
    RESET,
    Act,
    MisbehavingServer,
    Received,
    answered,
    dead_url,
    on_the_wire,
    refused,
    replied,
    throttled,
)
from utils.errors import EndpointError
from utils.llm import JournaledLLM
from utils.llm.endpoint import OpenAIEndpoint
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.llm.limits import Gate, Window
from utils.llm_config import LLMConfig
from utils.schema import AnsweredBy, Completion, Message

KEY = "sk-known-0123456789abcdef"
PROMPTS = [f"prompt {number}" for number in range(12)]
POISON = "prompt 5"
UP = answered("fine")
LOADING = refused(503, "Loading model", type="unavailable_error")


@pytest.fixture(autouse=True)
def known_key(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds + 1  # oversleeping: every pause is over
        await asyncio.sleep(0)


@dataclass
class Came:
    """What came of all prompts: completions, or the error that stops the run, in their order."""

    results: list[Any]
    ledger: Ledger
    seconds: float

    @property
    def failures(self) -> list[Any]:
        return [r.failure if isinstance(r, Completion) else type(r).__name__ for r in self.results]

    @property
    def error(self) -> str:
        return next(str(r) for r in self.results if isinstance(r, EndpointError))


def ask(
    urls: str | Sequence[str],
    prompts: Sequence[str] = PROMPTS,
    at_once: int = 4,
    journal: Journal | None = None,
    worked: bool = False,
    **config: Any,
) -> Came:
    async def asking() -> Came:
        addresses = [urls] if isinstance(urls, str) else urls
        settings = {"model": "m", "base_url": ",".join(addresses), "api_key_env": "TEST_KEY"} | config
        clock, ledger, llm_config = Clock(), Ledger(), LLMConfig(**settings)
        windows = [Window(at_once, now=clock.now) for _ in addresses]
        endpoint = OpenAIEndpoint(llm_config, Gate(at_once), windows, ledger, worked, sleep=clock.sleep)
        llm = JournaledLLM(endpoint, llm_config, Journal(None) if journal is None else journal, ledger)
        asked = [asyncio.ensure_future(llm.complete("respond", (Message("user", text),))) for text in prompts]
        try:
            async with asyncio.timeout(30):
                await asyncio.wait(asked, return_when=asyncio.FIRST_EXCEPTION)
                for task in asked:  # the first error ends a run
                    task.cancel()
                results = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await llm.drain(0)
            await llm.close()
        return Came(results, ledger, clock.time - 100)

    return asyncio.run(asking())


def text_of(request: Received) -> str:
    return request.body["messages"][-1]["content"]


def but(act: Act, text: str = POISON) -> Callable[[Received], Act]:
    """A server that does `act` for one prompt, and answers all others."""
    return lambda request: act if text_of(request) == text else UP


# --- A refusal of one row ------------------------------------------------------------------------

REFUSALS = {
    "DeepSeek": (refused(400, "Content Exists Risk", type="invalid_request_error"), "content_filter"),
    "moderation": (refused(403, "requires moderation. Your input was flagged"), "content_filter"),
    "a page of a firewall": (Act(403, b"<html>Attention Required! | Cloudflare</html>"), "rejected"),
    "not found": (refused(404, "no endpoint takes this"), "rejected"),
    "not acceptable": (refused(406, "no"), "rejected"),
    "too large": (refused(413, "Request too large for model m"), "too_long"),
    "no such field": (Act(422, b'{"detail": "no"}'), "rejected"),
    "for legal reasons": (refused(451, "no"), "rejected"),
    "too long": (refused(400, "prompt is too long: 200251 tokens > 199999 maximum"), "too_long"),
    "under 200": (replied({"error": {"message": "no", "code": 400}}), "rejected"),
}


@pytest.mark.parametrize(("act", "reason"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("at_once", [4, 12])
def test_a_refusal_is_the_failure_of_its_row_and_of_no_other(act, reason, at_once):
    journal = Journal(None)
    with MisbehavingServer(but(act)) as server:
        came = ask(server.url, at_once=at_once, journal=journal)
        sent = len(server.received)
        again = ask(server.url, at_once=at_once, journal=journal)
        assert [failure for failure in came.failures if failure] == [reason]
        assert came.results[5].said
        assert (again.results, len(server.received)) == (came.results, sent)
        changed = ask(server.url, journal=journal, worked=True, max_tokens_field="max_completion_tokens")
        assert changed.failures == came.failures
        assert len(server.received) == sent + 1  # another llm-config: what was refused is asked once more


def test_a_refusal_that_comes_first_waits_for_the_others():
    def late_but(request: Received) -> Act:
        return refused(400, "no") if text_of(request) == PROMPTS[0] else UP.after(0.05)

    with MisbehavingServer(late_but) as server:
        assert ask(server.url).failures == ["rejected"] + [None] * 11


def test_what_refuses_everything_stops_the_run_when_those_in_flight_are_back():
    with MisbehavingServer(otherwise=refused(400, "Unsupported value: 'temperature'")) as server:
        came = ask(server.url)
        assert "rejects the request (HTTP 400: Unsupported value: 'temperature')" in came.error
        assert len(server.received) == 4


def test_answers_in_the_journal_count_as_success():
    with MisbehavingServer(otherwise=refused(400, "no")) as server:
        assert ask(server.url, worked=True).failures == ["rejected"] * 12


def test_more_than_twenty_refusals_in_a_row_stop_the_run():
    with MisbehavingServer(otherwise=refused(400, "no")) as server:
        came = ask(server.url, [f"prompt {n}" for n in range(40)], worked=True)
        assert "rejects the request" in came.error


def test_an_unknown_model_is_told_with_those_that_there_are():
    models = ("embedder-7", "mock-large-2", "mock-mini-2", *(f"x{n}" for n in range(10)))
    gone = refused(404, "The model `mock-large` does not exist", "model_not_found")
    with MisbehavingServer(otherwise=gone, models=models) as server:
        came = ask(server.url, model="mock-large")
    assert "knows no model 'mock-large'" in came.error
    assert "it has mock-large-2, mock-mini-2, " in came.error
    assert "and 7 more" in came.error


@pytest.mark.parametrize("said", [b"404 page not found", b'{"error": "Unexpected endpoint"}'])
def test_an_address_where_nothing_is_names_the_usual_cause(said):
    with MisbehavingServer(otherwise=Act(404, said)) as server:
        assert "usually ends in /v1" in ask(server.url).error


@pytest.mark.parametrize("body", [b"<html>hello</html>", b'{"error": "Unexpected endpoint or method. (POST /x)"}'])
def test_a_200_that_is_no_completion_is_quoted_and_names_the_usual_cause(body):
    with MisbehavingServer(otherwise=Act(200, body)) as server:
        came = ask(server.url)
    assert "usually ends in /v1" in came.error
    assert "hello" in came.error or "Unexpected endpoint" in came.error
    assert came.seconds < 10


def test_a_reply_of_no_end_fails_its_row():
    bomb = Act(200, gzip.compress(b" " * (65 << 20))).saying({"Content-Encoding": "gzip"})
    with MisbehavingServer(but(bomb)) as server:
        came = ask(server.url)
    assert [failure for failure in came.failures if failure] == ["rejected"]
    assert "64 MiB" in came.results[5].said


def test_a_compressed_reply_is_read():
    act = Act(200, gzip.compress(UP.body)).saying({"Content-Encoding": "gzip"})
    with MisbehavingServer(otherwise=act) as server:
        assert ask(server.url).failures == [None] * 12
        assert server.received[0].headers["accept-encoding"] == "gzip"


# --- Waiting together ----------------------------------------------------------------------------


@pytest.mark.parametrize("act", [LOADING, Act(502, b"<html>Bad Gateway</html>")])
@pytest.mark.parametrize("before", [0, 5])
def test_an_outage_costs_no_row_a_try(act, before, caplog):
    faults = iter(range(before + 20))

    def sick(_: Received) -> Act:
        return act if next(faults, -1) >= before else UP

    with MisbehavingServer(sick) as server:
        came = ask(server.url, max_retries=0)
    assert came.failures == [None] * 12
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert f"HTTP {act.status}" in lines[0]
    assert came.seconds > 60  # twenty faults: probes pause for longer and longer


def test_a_server_that_worked_and_then_resets_connections_is_waited_for():
    acts = [UP] * 3 + [RESET] * 12
    with MisbehavingServer(acts, otherwise=UP) as server:
        assert ask(server.url, max_retries=0).failures == [None] * 12


def test_an_outage_without_end_stops_the_run_after_the_minutes_given():
    with MisbehavingServer(otherwise=LOADING) as server:
        came = ask(server.url, outage_minutes=3)
    assert "down for " in came.error
    assert "Loading model" in came.error
    assert came.seconds >= 180


@pytest.mark.parametrize("at_once", [1, 4])
def test_one_request_that_the_server_cannot_take_is_no_outage(at_once):
    with MisbehavingServer(but(refused(500, "crash"))) as server:
        came = ask(server.url, at_once=at_once, max_retries=2)
    assert came.failures == [None] * 5 + ["unavailable"] + [None] * 6


def test_a_dead_endpoint_is_told_soon_and_in_one_line(caplog):
    with dead_url() as url:
        came = ask(url, [f"prompt {n}" for n in range(64)], at_once=64)
    assert f"cannot reach {url}" in came.error
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


GARBAGE = {
    "chunk": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "status line": b"\x00\x01garbage " + KEY.encode() + b"\r\n\r\n",
    "header": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n{}",
    "compression": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    "unknown compression": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nnope",
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_malformed_http_is_a_fault_as_any_other(content, caplog):
    with MisbehavingServer(but(on_the_wire(content))) as server:
        came = ask(server.url, max_retries=1)
        tries = [request for request in server.received if text_of(request) == POISON]
    assert came.failures == [None] * 5 + ["unavailable"] + [None] * 6
    assert len(tries) == 2
    assert KEY not in caplog.text


def test_tls_on_a_plain_address_is_told():
    alert = on_the_wire(b"\x15\x03\x03\x00\x02\x02\x46")
    with MisbehavingServer(otherwise=alert) as server:
        assert "speaks TLS" in ask(server.url).error


# --- 429 has kinds -------------------------------------------------------------------------------

QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For details, see: "
    "https://help.example.com/error-code#token-limit"
)
BUSY = {
    "flex": refused(429, "Flex capacity is not available right now.", "resource_unavailable"),
    "a limit called quota": refused(429, QUOTA, "insufficient_quota", "insufficient_quota"),
    "under 200": replied({"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "busy"}}}),
}


@pytest.mark.parametrize("act", BUSY.values(), ids=BUSY)
def test_a_passing_limit_loses_no_row_and_no_try(act):
    with MisbehavingServer([act] * 5, otherwise=UP) as server:
        assert ask(server.url, max_retries=0, service_tier="flex").failures == [None] * 12
        assert {request.body["service_tier"] for request in server.received} == {"flex"}


def test_a_quota_that_stays_exhausted_ends_the_run_after_minutes():
    with MisbehavingServer(otherwise=BUSY["a limit called quota"]) as server:
        came = ask(server.url)
    assert "top up" in came.error
    assert came.seconds >= 240


def test_a_wait_that_is_asked_for_is_announced_in_one_line(caplog):
    with MisbehavingServer([throttled("60")], otherwise=UP) as server:
        assert ask(server.url, at_once=1).failures == [None] * 12
    lines = [record.getMessage() for record in caplog.records if "waiting until" in record.getMessage()]
    assert len(lines) == 1
    assert "Rate limit reached" in lines[0]


# --- Thoughts alone, broken off, which model, what it costs ---------------------------------------


def test_thoughts_alone_are_asked_for_twice_and_then_journaled():
    journal = Journal(None)
    thoughts = answered(None, reasoning="so it is 42")
    with MisbehavingServer(but(thoughts)) as server:
        came = ask(server.url, journal=journal)
        assert [text_of(request) for request in server.received].count(POISON) == 2
        assert (came.failures[5], came.results[5].reasoning) == ("empty", "so it is 42")
        sent = len(server.received)
        assert ask(server.url, journal=journal).failures == came.failures
        assert len(server.received) == sent


def test_a_text_that_was_broken_off_is_never_an_answer():
    with MisbehavingServer(but(answered("half of it", "network_error"))) as server:
        came = ask(server.url, max_retries=1)
    assert (came.failures[5], came.results[5].text) == ("unavailable", "")


def named(model: str, fingerprint: str) -> Act:
    reply = json.loads(UP.body) | {"model": model, "system_fingerprint": fingerprint}
    return replied(reply)


def test_which_model_answered_is_counted_and_a_change_is_told_once(caplog):
    acts = [named("m-1", "fp_a")] * 5
    with MisbehavingServer(acts, otherwise=named("m-2", "fp_b")) as server:
        came = ask(server.url, at_once=1)
    assert came.ledger.answered_by["m"] == {AnsweredBy("m-1", "fp_a"): 5, AnsweredBy("m-2", "fp_b"): 7}
    changes = [record.getMessage() for record in caplog.records if "m-2" in record.getMessage()]
    assert len(changes) == 1
    assert "m-1 (fp_a)" in changes[0]


def test_usage_that_is_missing_is_estimated_and_told_once(caplog):
    silent = replied({"choices": [{"message": {"content": "x" * 400}, "finish_reason": "stop"}]})
    with MisbehavingServer(otherwise=silent) as server:
        came = ask(server.url, price_in="1", price_out="1000000")
    assert came.ledger.usage.output_tokens == 12 * 100
    assert came.ledger.cost >= 1200
    assert [record.getMessage().count("estimates") for record in caplog.records] == [1]


# --- Where requests go ---------------------------------------------------------------------------


@pytest.mark.parametrize("act", [LOADING, refused(404, "no such model"), RESET])
def test_of_several_servers_one_that_gives_no_answer_is_set_aside(act):
    with MisbehavingServer(otherwise=act) as sick, MisbehavingServer(otherwise=UP) as well:
        assert ask([sick.url, well.url], max_retries=0).failures == [None] * 12
        assert len(sick.received) < 12


def test_an_error_names_the_server_it_comes_from():
    with ExitStack() as stack:
        one, other = (stack.enter_context(MisbehavingServer(otherwise=refused(401, "no"))) for _ in range(2))
        came = ask([one.url, other.url])
        assert one.url in came.error or other.url in came.error
        assert "," not in came.error.partition(" refuses")[0]


def test_a_query_stays_a_query_and_azure_takes_its_key_in_a_header_of_its_own():
    with MisbehavingServer(otherwise=UP) as server:
        base = server.url.removesuffix("/v1") + "/openai/deployments/NAME"
        ask(base + "/chat/completions?api-version=2026-01-01", PROMPTS[:1])
        request = server.received[0]
    assert request.path == "/openai/deployments/NAME/chat/completions?api-version=2026-01-01"
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers


def test_what_stands_behind_the_endpoint_s_address_is_cut_off():
    with MisbehavingServer(otherwise=UP) as server:
        ask(server.url + "/chat/completions/", PROMPTS[:1])
        assert server.received[0].path == "/v1/chat/completions"


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_host_is_followed(status):
    def moved(request: Received) -> Act:
        return Act(status).saying({"Location": "/v2/chat/completions"}) if request.path.startswith("/v1") else UP

    with MisbehavingServer(moved) as server:
        assert ask(server.url).failures == [None] * 12


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_prompt_follows_a_redirect_to_another_host(status):
    with MisbehavingServer(otherwise=UP) as other:
        target = {"Location": f"{other.url}/chat/completions"}
        with MisbehavingServer(otherwise=Act(status).saying(target)) as server:
            came = ask(server.url)
        assert f"redirects to {other.url}" in came.error
        assert other.received == []


def test_a_redirect_in_a_circle_ends():
    with MisbehavingServer(otherwise=Act(307).saying({"Location": "/v1/chat/completions"})) as server:
        assert "redirects without end" in ask(server.url, PROMPTS[:1]).error


def test_what_the_environment_says_of_openai_goes_to_no_other_host(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: secret\nAuthorization: Bearer secret")
    with MisbehavingServer(otherwise=UP) as server:
        ask(server.url, PROMPTS[:1])
        headers = server.received[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert [value for value in headers.values() if "secret" in value] == []


def test_further_fields_are_sent_and_belong_to_the_key_but_the_tier_does_not():
    journal = Journal(None)
    thinking = {"thinking": {"type": "disabled"}}
    with MisbehavingServer(otherwise=UP) as server:
        ask(server.url, PROMPTS[:1], journal=journal)
        ask(server.url, PROMPTS[:1], journal=journal, extra=thinking)
        ask(server.url, PROMPTS[:1], journal=journal, extra=thinking, service_tier="flex")
        bodies = [request.body for request in server.received]
    assert [body.get("thinking") for body in bodies] == [None, {"type": "disabled"}]
