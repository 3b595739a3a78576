"""The wordings of providers: an example of each, and sentences that must not be taken for one."""

import pytest

from utils.llm.faults import Border, EndpointError, Fault, Refused, Reply, retry_after
from utils.llm.wordings import asked_wait, length_of_time
from utils.llm_config import LLMConfig

BORDER = Border(LLMConfig(), "http://127.0.0.1:9/v1", "sk-known-0123456789")

TOO_LONG = [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
    "The input (40021 tokens) is longer than the model's context length (32768 tokens).",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "Requested token count exceeds the model's maximum context length of 4096 tokens.",
    "Input length (9000 tokens) exceeds the maximum allowed length (4096 tokens).",
    "request (5031 tokens) exceeds the available context size (2048 tokens), try increasing it",
    "the request exceeds the available context size. try increasing the context size",
    "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
    "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1500 `inputs` tokens and 1000 `max_new_tokens`",
    "the input length exceeds the context length",
    "prompt too long; exceeded max context length by 100 tokens",
    "Trying to keep the first 4201 tokens when context the overflows. However, the model is loaded with context "
    "length of only 4096 tokens",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "prompt is too long: 200251 tokens > 199999 maximum",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input tokens exceed the configured limit of 272000 tokens.",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "Range of input length should be [1, 30720]",
    "Input is too long for requested model.",
    "Your request exceeded model token limit: 8192",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "context window exceeds limit",
    "Request body too large for gpt-x model. Max size: 8000 tokens.",
    "Prompt 超长",
]
FILTERED = [
    "Content Exists Risk",
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
    "Your request was rejected as a result of our safety system.",
    "Input data may contain inappropriate content.",
    "The request was rejected because it was considered high risk",
    "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
    'meta/x requires moderation on OpenInference. Your input was flagged for "violence".',
    "Output blocked by content filtering policy",
    "系统检测到输入或生成内容可能包含不安全或敏感内容",
    "litellm.BadRequestError: AzureException - content_filter",
]
NO_MODEL = [
    "The model `your-model` does not exist or you do not have access to it.",
    "Model Not Exist",
    "model 'x' not found, try pulling it first",
    "x/y is not a valid model ID",
    "Invalid model: mistral-x",
    "The model 'deepseek-reasoner' has been retired",
    "Unknown model: abc",
]
NEITHER = [
    "Unsupported value: 'temperature' does not support 0 with this model.",
    "max_tokens must be less than or equal to 8192",
    "Unrecognized request argument supplied: thinking",
    "Attention Required! | Cloudflare",
    "[{'msg': 'extra fields not permitted'}]",
]


def refused(said: str, status: int = 400, *codes: str) -> Refused:
    result = BORDER.sort_reply(Reply(status, said, frozenset(codes)))
    assert isinstance(result, Refused), result
    return result


@pytest.mark.parametrize("said", TOO_LONG)
def test_too_long_in_all_wordings(said):
    assert refused(said).reason == "too_long"


@pytest.mark.parametrize("said", FILTERED)
def test_filtered_in_all_wordings(said):
    assert refused(said).reason == "content_filter"


@pytest.mark.parametrize("said", NO_MODEL)
def test_unknown_models_in_all_wordings(said):
    told = refused(said, 404)
    assert (told.reason, told.unknown_model) == ("rejected", True)


@pytest.mark.parametrize("said", NEITHER)
def test_what_is_neither_is_merely_rejected(said):
    told = refused(said)
    assert (told.reason, told.unknown_model) == ("rejected", False)


@pytest.mark.parametrize("status", [400, 403, 404, 406, 413, 422, 451])
def test_refusals_of_every_status_are_for_health_to_judge(status):
    assert refused("no", status).reason == ("too_long" if status == 413 else "rejected")


@pytest.mark.parametrize(
    ("status", "said", "codes"),
    [
        (401, "no", ()),
        (402, "no", ()),
        (400, "API key not valid. Please pass a valid API key.", ()),
        (403, "no", ("invalid_api_key",)),
        (405, "no", ()),
        (429, "no", ("billing_hard_limit_reached",)),
        (429, "Rate limit reached on tokens per day (TPD). Please try again in 10m", ("rate_limit_exceeded",)),
        (429, "Quota exceeded for metric: GenerateRequestsPerDayPerProject", ()),
        (302, "http://elsewhere.example/login", ()),
    ],
)
def test_what_ends_the_run(status, said, codes):
    assert isinstance(BORDER.sort_reply(Reply(status, said, frozenset(codes))), EndpointError)


@pytest.mark.parametrize(
    "said",
    [
        "You exceeded your current quota, please check your plan and billing details. For details, see: "
        "https://help.example.com/error-code#token-limit",
        "You exceeded your current quota. Quota exceeded for metric: free_tier_requests per minute. Retry in 37.5s.",
        "Requests rate limit exceeded, please try again later.",
    ],
)
def test_a_passing_limit_is_waited_for_whatever_it_is_called(said):
    assert isinstance(BORDER.sort_reply(Reply(429, said, frozenset({"insufficient_quota"}))), Fault)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("37.5s", 37.5), ("6m0s", 360), ("1h2m3s", 3723), ("20 seconds", 20), ("250ms", 0.25), ("2 minutes", 120),
     ("soon", None), ("", None), ("12", None), ("3 apples", None)],
)  # fmt: skip
def test_lengths_of_time(text, seconds):
    assert length_of_time(text) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Rate limit reached. Please try again in 7m12.5s. Visit the console.", 432.5),
        ("Please retry in 37.5s.", 37.5),
        ("Limit reached, try again after 20 seconds", 20),
        ("Please wait for 2 minutes and 5 seconds before", 125),
        ("try again later", None),
        ("retry after some time", None),
    ],
)
def test_waits_in_words(said, seconds):
    assert asked_wait(said) == seconds


def test_a_wait_given_as_a_moment():
    import time

    assert retry_after({"x-ratelimit-reset": str(int((time.time() + 60) * 1000))}) == pytest.approx(60, abs=30)
    assert retry_after({"x-ratelimit-reset": "60"}) is None
    assert retry_after({"retry-after": "1m30s"}) == 90


def test_a_wait_that_nobody_can_mean_is_none():
    assert retry_after({"retry-after": "99999999999999h"}) is None
    assert asked_wait("Please try again in 99999999999999 hours.") is None
    fault = BORDER.sort_reply(Reply(503, "overloaded, try again in 100 hours"))
    assert isinstance(fault, Fault)
    assert fault.wait == 900
