"""What the body of a 200 says, and what errors mean, without a server."""

import json
from typing import Any

import httpx2
import openai
import pytest

from utils.errors import EndpointError
from utils.llm.faults import Border, Fault, FaultKind, Refused, error_codes, error_words
from utils.llm.reply import names_of_models, read_completion
from utils.llm_config import LLMConfig
from utils.schema import AnsweredBy, Completion, Usage

URL = "http://127.0.0.1:9/v1"
BORDER = Border(LLMConfig(timeout=7), URL, "sk-known-0123456789")
REQUEST = httpx2.Request("POST", f"{URL}/chat/completions")
PROMPT_TOKENS = 40
NINE_FOUR = {"prompt_tokens": 9, "completion_tokens": 4}

# What each error that a request of the SDK can end with means: the status that it stands for, and what comes of it.
MEANING: dict[str, tuple[int | None, type]] = {
    "APIConnectionError": (None, Fault),
    "APITimeoutError": (None, Fault),
    "APIResponseValidationError": (200, Fault),
    "APIStatusError": (418, Refused),
    "AuthenticationError": (401, EndpointError),
    "BadRequestError": (400, Refused),
    "ConflictError": (409, Fault),
    "InternalServerError": (500, Fault),
    "NotFoundError": (404, Refused),
    "OAuthError": (401, EndpointError),
    "PermissionDeniedError": (403, Refused),
    "RateLimitError": (429, Fault),
    "UnprocessableEntityError": (422, Refused),
}


def below(cls: type) -> set[type]:
    return set(cls.__subclasses__()).union(*(below(child) for child in cls.__subclasses__()))


def built(cls: type[openai.APIError], status: int | None) -> openai.APIError:
    if status is None:
        return cls(request=REQUEST)
    response = httpx2.Response(status, request=REQUEST)
    if cls is openai.OAuthError:
        return cls(response=response, body=None)
    if cls is openai.APIResponseValidationError:
        return cls(response=response, body=None)
    return cls(message="said", response=response, body=None)


@pytest.mark.parametrize("cls", sorted(below(openai.APIError), key=lambda cls: cls.__name__))
def test_every_error_of_the_sdk_has_a_meaning(cls):
    assert cls.__name__ in MEANING, f"the SDK has a new error, {cls.__name__}: say in faults.py what it means"
    status, meaning = MEANING[cls.__name__]
    assert type(BORDER.sort(built(cls, status))) is meaning


def test_an_error_of_the_program_shows_as_it_is():
    bug = KeyError("field")
    assert BORDER.sort(bug) is bug


@pytest.mark.parametrize("cause", [httpx2.ConnectTimeout("refused"), httpx2.ConnectError("refused")])
def test_a_connection_that_fails_is_told_from_an_answer_that_does_not_come(cause):
    error = openai.APITimeoutError(REQUEST)
    error.__cause__ = cause
    connection = isinstance(cause, httpx2.ConnectTimeout)
    assert BORDER.sort(error).kind is (FaultKind.CONNECTION if connection else FaultKind.TIMEOUT)
    error.__cause__ = httpx2.ReadTimeout("slow")
    fault = BORDER.sort(error)
    assert (fault.kind, str(fault)) == (FaultKind.TIMEOUT, f"no answer from {URL} within 7 s")


@pytest.mark.parametrize(("status", "kind"), [(429, FaultKind.THROTTLED), (503, FaultKind.SERVER)])
def test_only_429_is_back_pressure(status, kind):
    response = httpx2.Response(status, headers={"retry-after": "4"}, request=REQUEST)
    fault = BORDER.sort(openai.APIStatusError("said", response=response, body=None))
    assert (fault.kind, fault.wait) == (kind, 4)


# --- Bodies --------------------------------------------------------------------------------------


def body(content: Any = "fine", finish: Any = "stop", usage: Any = None, choice: Any = None, **more: Any) -> bytes:
    message = {"content": content} | more.pop("message", {})
    usage = {"prompt_tokens": 9, "completion_tokens": 4} if usage is None else usage
    reply = {"choices": [{"message": message, "finish_reason": finish} | (choice or {})], "usage": usage}
    return json.dumps(reply | more).encode()


def read(content: bytes) -> Completion:
    return read_completion(content, PROMPT_TOKENS, BORDER)[0]


def kind_of(content: bytes) -> FaultKind:
    with pytest.raises(Fault) as raised:
        read(content)
    return raised.value.kind


@pytest.mark.parametrize(
    ("message", "thoughts"),
    [
        ({"reasoning_content": "why"}, "why"),
        ({"reasoning": "why"}, "why"),
        ({"reasoning": [{"type": "text", "text": "w"}, {"text": "hy"}]}, "why"),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "why"}], "reasoning": None}, "why"),
        ({"reasoning": {"content": "why"}}, "why"),
        ({"thinking": "why", "reasoning_content": ""}, "why"),
        ({"reasoning_content": 17}, None),
        ({}, None),
    ],
)
def test_reasoning_is_kept_wherever_the_server_puts_it(message, thoughts):
    assert (read(body(message=message)).text, read(body(message=message)).reasoning) == ("fine", thoughts)


def test_content_in_parts_is_joined_and_thoughts_among_them_are_not():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "SECRET"}]},
        {"type": "text", "text": "fi"},
        "ne",
        {"type": "image_url", "image_url": {"url": "x"}},
    ]
    completion = read(body(parts))
    assert (completion.text, completion.reasoning) == ("fine", "SECRET")


def test_thoughts_within_the_text_come_out_of_it():
    completion = read(body("<think>SECRET</think>\n\nfine"))
    assert completion.text == "fine"
    assert "SECRET" in completion.reasoning


@pytest.mark.parametrize(
    ("model", "name"),
    [("gpt-x", "gpt-x"), ("org/name", "org/name"), ("/srv/models/m.gguf", "m.gguf"), ("C:\\m\\n.gguf", "n.gguf"),
     (7, ""), ("a\x1b[31mb", "a[31mb")],
)  # fmt: skip
def test_which_model_answered_is_kept_without_the_server_s_folders(model, name):
    assert read(body(model=model, system_fingerprint="fp")).answered_by == AnsweredBy(name, "fp")


@pytest.mark.parametrize(
    ("finish", "failure"),
    [
        *((word, None) for word in ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "STOP", None, "")),
        *((word, None) for word in ("FinishReason.STOP", "COMPLETE", "FINISH_REASON_STOP")),
        *((word, "length") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "Length")),
        *((word, "length") for word in ("model_context_window_exceeded", "FinishReason.MAX_TOKENS", "max-tokens")),
        *((word, "content_filter") for word in ("content_filter", "SAFETY", "sensitive", "RECITATION", "SPII")),
        *((word, "content_filter") for word in ("PROHIBITED_CONTENT", "FINISH_REASON_SAFETY", "refusal")),
    ],
)
def test_finish_reasons_of_all_kinds(finish, failure):
    assert read(body(finish=finish)).failure == failure


@pytest.mark.parametrize("finish", ["error", "network_error", "abort", "tool_calls", "unheard_of", 7, ["stop"]])
def test_an_unknown_finish_reason_is_a_text_broken_off(finish):
    assert kind_of(body(finish=finish)) is FaultKind.BROKEN_OFF


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", FaultKind.NOTHING),
        (b" \n", FaultKind.NOTHING),
        (b"<html>hello</html>", FaultKind.UNREADABLE),
        (b"[1, 2]", FaultKind.UNREADABLE),
        (b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}', FaultKind.UNREADABLE),
        (body(""), FaultKind.NOTHING),
        (body(None), FaultKind.NOTHING),
        (b'{"choices": []}', FaultKind.NOTHING),
        (body(None, message={"reasoning": "hm"}), FaultKind.EMPTY),
        (body("<think>hm</think>"), FaultKind.EMPTY),
        (
            body("", usage={"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 9}}),
            FaultKind.EMPTY,
        ),
        (b'{"error": {"message": "busy", "code": 429}}', FaultKind.THROTTLED),
        (b'{"error": {"message": "busy", "code": "502"}}', FaultKind.SERVER),
        (b'{"error": {"message": "busy", "type": "overloaded_error"}}', FaultKind.SERVER),
        (body("half", choice={"error": {"message": "upstream", "code": 502}}, finish="error"), FaultKind.SERVER),
    ],
)
def test_what_is_no_completion_is_a_fault_of_its_kind(content, kind):
    assert kind_of(content) is kind


def test_what_is_no_completion_is_quoted():
    with pytest.raises(Fault, match=r"<html>\*\*\* what") as raised:
        read(b"<html>sk-known-0123456789\nwhat" + b"x" * 1000)
    assert len(str(raised.value)) < 200


def test_a_refusal_within_200_is_one():
    with pytest.raises(Refused) as raised:
        read(b'{"error": {"message": "flagged by moderation", "code": 403}}')
    assert (raised.value.reason, raised.value.said) == ("content_filter", "flagged by moderation")


def test_what_a_body_of_no_use_has_cost_is_known():
    with pytest.raises(Fault) as raised:
        read(b'{"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 2}}')
    assert raised.value.usage == Usage(50, 2)


@pytest.mark.parametrize(
    ("reported", "usage", "estimated"),
    [
        (NINE_FOUR, Usage(9, 4), False),
        (
            {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}},
            Usage(9, 4, 5),
            False,
        ),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 6}, Usage(9, 4, 6), False),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 60}, Usage(9, 4, 9), False),
        ({"prompt_tokens": 9.0, "completion_tokens": None}, Usage(9, 1), True),
        (
            {"prompt_tokens": "many", "completion_tokens": -3, "prompt_tokens_details": [1]},
            Usage(PROMPT_TOKENS, 1),
            True,
        ),
        ({"prompt_tokens": 10**30, "completion_tokens": 4}, Usage(PROMPT_TOKENS, 4), True),
        ([1, 2], Usage(PROMPT_TOKENS, 1), True),
        ({}, Usage(PROMPT_TOKENS, 1), True),
    ],
)
def test_odd_accounts_cost_no_answer_and_what_is_missing_is_estimated(reported, usage, estimated):
    completion, is_estimated = read_completion(body(usage=reported), PROMPT_TOKENS, BORDER)
    assert (completion.usage, is_estimated) == (usage, estimated)


def test_half_a_surrogate_pair_becomes_a_question_mark():
    assert read(b'{"choices": [{"message": {"content": "a \\ud83d b"}}]}').text == "a ? b"


def test_a_refusal_in_words_is_a_text_for_the_rules_to_judge():
    content = b'{"choices": [{"message": {"content": null, "refusal": "I cannot."}, "finish_reason": "stop"}]}'
    assert read(content).text == "I cannot."


def test_words_and_names_of_errors_are_found_wherever_they_stand():
    assert error_words({"error": {"detail": [{"msg": "no"}]}}) == "[{'msg': 'no'}]"
    assert error_words({"message": "Provider returned error", "metadata": {"raw": "slow down"}}).endswith("(slow down)")
    assert error_codes({"code": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}) == {
        "400",
        "responsibleaipolicyviolation",
    }


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}]}', ["a", "b"]),
        (b'[{"id": "a"}]', ["a"]),
        (b'{"models": [{"name": "a"}]}', ["a"]),
        (b"<html>", []),
        (b'{"data": [1]}', []),
        (b"null", []),
    ],
)
def test_lists_of_models(content, names):
    assert names_of_models(content) == names
