"""What a server's reply means: a completion, a fault that asking again may cure, or the end of the run.

Errors of the SDK are sorted here, once:
    EndpointError            the run stops at once: bad key, unknown model, bad parameters, quota exhausted
    Fault                    asked again: 408, 409, 425, 429, 5xx, connection, time-out, empty or malformed body
    Completion.failure       the row fails: cut at the length limit, content filter
"""

import json
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from utils.config import DEEPSEEK_KEY, LLMConfig
from utils.errors import EndpointError
from utils.replies import strip_reasoning
from utils.schema import Completion, Usage

if TYPE_CHECKING:
    import openai


class Fault(Exception):
    """A fault that asking again may cure. `wait` is what the server asked for, in seconds."""

    def __init__(self, cause: str, wait: float | None = None, throttled: bool = False, connection: bool = False):
        super().__init__(cause)
        self.wait = wait
        self.throttled = throttled
        self.connection = connection


def read_completion(body: bytes) -> Completion:
    """The completion in the body of a 200. Raises Fault for one that is empty or malformed."""
    try:
        choice = (reply := json.loads(body))["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        content = message.get("content") or message.get("refusal") or ""
        text = strip_reasoning(content).strip().encode("utf-8", "replace").decode()
        usage = _usage(reply.get("usage") or {})
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise Fault("the server answered 200 without a usable completion") from exc
    if reason in ("length", "content_filter"):
        return Completion(text, reason, usage)
    if not text:
        raise Fault("the server answered 200 with an empty text")
    return Completion(text, None, usage)


def _usage(reported: dict[str, Any]) -> Usage:
    details = reported.get("prompt_tokens_details") or {}
    cached = reported.get("prompt_cache_hit_tokens") or details.get("cached_tokens") or 0
    return Usage(int(reported.get("prompt_tokens") or 0), int(reported.get("completion_tokens") or 0), int(cached))


QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"}
FILTER_CODES = {"content_filter", "content_policy_violation", "data_inspection_failed"}
TOO_LONG_CODES = {"context_length_exceeded", "string_above_max_length"}
RETRYABLE_STATUS = {408, 409, 425, 429}


def sort_error(exc: Exception, config: LLMConfig, key: str) -> Exception | Completion:
    """What an error of the SDK means: an EndpointError, a Fault, or a Completion whose row has failed.

    An error that is none of the SDK's or the network's comes back as it is: it is a bug, and must show.
    """
    import openai

    if isinstance(exc, openai.APIStatusError):
        return _sort_status(exc, config, key)
    if isinstance(exc, TimeoutError | openai.APITimeoutError):
        return Fault(f"no answer within {config.timeout:g} s")
    if isinstance(exc, openai.APIConnectionError | OSError):
        cause = exc.__cause__ or exc
        return Fault(_redact(str(cause) or type(cause).__name__, key), connection=True)
    if isinstance(exc, openai.OpenAIError | ValueError):
        return Fault(_redact(f"the server's reply cannot be read: {exc}", key))
    return exc


def _sort_status(exc: "openai.APIStatusError", config: LLMConfig, key: str) -> Exception | Completion:
    status, codes = exc.status_code, {str(exc.code), str(exc.type)}
    said = _redact(_said(exc), key)
    if status == 402 or codes & QUOTA_CODES:
        return EndpointError(f"quota or balance exhausted at {config.base_url} ({said}); top up, then run again")
    if status in RETRYABLE_STATUS or status >= 500:
        return Fault(f"HTTP {status}: {said}", retry_after(exc.response.headers), throttled=status == 429)
    if codes & FILTER_CODES or "content_filter" in said:
        return Completion("", "content_filter")
    if codes & TOO_LONG_CODES or status == 413 or "maximum context length" in said:
        return Completion("", "length")
    if status in (401, 403):
        name = config.api_key_env or DEEPSEEK_KEY
        return EndpointError(f"{config.base_url} refuses the key of {name} (HTTP {status}: {said}); check the key")
    if status == 404:
        return EndpointError(
            f"{config.base_url} knows no model {config.model!r} (HTTP 404: {said}); check model and base_url"
        )
    return EndpointError(f"{config.base_url} rejects the request (HTTP {status}: {said}); check the llm-config")


def _said(exc: "openai.APIStatusError") -> str:
    """The server's own words, on one line of bounded length."""
    body = exc.body if isinstance(exc.body, dict) else {}
    return " ".join(str(body.get("message") or exc.message).split())[:300]


def _redact(text: str, key: str) -> str:
    return " ".join((text.replace(key, "***") if len(key) > 4 else text).split())


def retry_after(headers: Any) -> float | None:
    """Seconds that the server asks to wait, from any of the headers in use; None where it does not say."""
    if (milliseconds := headers.get("retry-after-ms")) and (value := _number(milliseconds)) is not None:
        return value / 1000
    asked = headers.get("retry-after") or headers.get("llm_provider-retry-after")
    if not asked:
        return None
    if (value := _number(asked)) is not None:
        return value
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 86_400 else None
