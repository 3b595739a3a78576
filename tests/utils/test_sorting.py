"""What replies and errors mean, without a server."""

import json

import httpx2
import openai
import pytest

from utils.config import LLMConfig
from utils.errors import EndpointError
from utils.schema import Completion, Usage
from utils.sorting import Fault, read_completion, sort_error

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
# What each error that a request of the SDK can end with means: the status that it stands for, and what comes of it.
MEANING: dict[str, tuple[int | None, type]] = {
    "APIConnectionError": (None, Fault),
    "APITimeoutError": (None, Fault),
    "APIResponseValidationError": (200, Fault),
    "APIStatusError": (418, EndpointError),
    "AuthenticationError": (401, EndpointError),
    "BadRequestError": (400, EndpointError),
    "ConflictError": (409, Fault),
    "InternalServerError": (500, Fault),
    "NotFoundError": (404, EndpointError),
    "OAuthError": (401, EndpointError),
    "PermissionDeniedError": (403, EndpointError),
    "RateLimitError": (429, Fault),
    "UnprocessableEntityError": (422, EndpointError),
}


def below(cls: type) -> set[type]:
    return set(cls.__subclasses__()).union(*(below(child) for child in cls.__subclasses__()))


def built(cls: type[openai.APIError], status: int | None) -> openai.APIError:
    if status is None:
        return cls(request=REQUEST)
    response = httpx2.Response(status, request=REQUEST)
    if cls is openai.OAuthError:
        return cls(response=response, body=None)
    return cls(message="said", response=response, body=None)


@pytest.mark.parametrize("cls", sorted(below(openai.APIError), key=lambda cls: cls.__name__))
def test_every_error_of_the_sdk_has_a_meaning(cls):
    assert cls.__name__ in MEANING, f"the SDK has a new error, {cls.__name__}: say in sorting.py what it means"
    status, meaning = MEANING[cls.__name__]
    assert type(sort_error(built(cls, status), LLMConfig(), "key")) is meaning


def test_an_error_of_the_program_shows_as_it_is():
    bug = KeyError("field")
    assert sort_error(bug, LLMConfig(), "key") is bug


@pytest.mark.parametrize("cause", [httpx2.ConnectTimeout("refused"), httpx2.ConnectError("refused")])
def test_a_connection_that_fails_is_told_from_an_answer_that_does_not_come(cause):
    error = openai.APITimeoutError(REQUEST)
    error.__cause__ = cause
    assert sort_error(error, LLMConfig(), "key").connection is isinstance(cause, httpx2.ConnectTimeout)
    error.__cause__ = httpx2.ReadTimeout("slow")
    fault = sort_error(error, LLMConfig(timeout=7), "key")
    assert (fault.connection, str(fault)) == (False, "no answer within 7 s")


@pytest.mark.parametrize(("status", "throttled"), [(429, True), (503, False)])
def test_only_429_is_back_pressure(status, throttled):
    response = httpx2.Response(status, headers={"retry-after": "4"}, request=REQUEST)
    fault = sort_error(openai.APIStatusError("said", response=response, body=None), LLMConfig(), "key")
    assert (fault.throttled, fault.wait, fault.connection) == (throttled, 4, False)


def completion(usage: object) -> Completion:
    reply = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}], "usage": usage}
    return read_completion(json.dumps(reply).encode())


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (None, Usage()),
        ({"prompt_tokens": 9, "completion_tokens": 4}, Usage(9, 4)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5}}, Usage(9, 0, 5)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3}, Usage(9, 0, 6)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(9)),
        ({"prompt_tokens": 9.0, "completion_tokens": None}, Usage(9)),
        ({"prompt_tokens": "many", "completion_tokens": -3, "prompt_tokens_details": [1]}, Usage()),
        ({"prompt_tokens": float("inf"), "completion_tokens": float("nan")}, Usage()),
        ({"prompt_tokens": 10**30}, Usage()),
        ([1, 2], Usage()),
    ],
)
def test_odd_accounts_never_cost_an_answer(reported, usage):
    assert completion(reported) == Completion("fine", None, usage)


def test_half_a_surrogate_pair_becomes_a_question_mark():
    body = b'{"choices": [{"message": {"content": "a \\ud83d b"}}]}'
    assert read_completion(body).text == "a ? b"


def test_a_refusal_is_a_text_for_the_rules_to_judge():
    body = b'{"choices": [{"message": {"content": null, "refusal": "I cannot."}, "finish_reason": "stop"}]}'
    assert read_completion(body).text == "I cannot."
