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
from utils.replies import split_thoughts
from utils.schema import Completion, Usage

if TYPE_CHECKING:
    import openai


class Fault(Exception):
    """A fault that asking again may cure.

    `wait` is what the server asked for, in seconds; `usage` what it has charged for a reply of no use.
    """

    def __init__(
        self,
        cause: str,
        wait: float | None = None,
        throttled: bool = False,
        connection: bool = False,
        usage: Usage = Usage(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(cause)
        self.wait = wait
        self.throttled = throttled
        self.connection = connection
        self.usage = usage
        self.elsewhere = False  # set where another server of the endpoint can take the request at once


def read_completion(body: bytes) -> Completion:
    """The completion in the body of a 200. Raises Fault for one that is empty or malformed."""
    try:
        choice = (reply := json.loads(body))["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        content = message.get("content") or message.get("refusal") or ""
        text = split_thoughts(content)[0].strip().encode("utf-8", "replace").decode()
        usage = _usage(reply.get("usage"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise Fault("the server answered 200 without a usable completion") from exc
    if reason in ("length", "content_filter"):
        return Completion(text, reason, usage)
    if reason in BROKEN_OFF:
        raise Fault(f"the server broke the answer off ({reason})", usage=usage)
    if not text:
        raise Fault("the server answered 200 with an empty text", usage=usage)
    return Completion(text, None, usage)


def _usage(reported: Any) -> Usage:
    """Tokens as far as they can be read: accounts that are odd must not cost an answer."""
    details = _field(reported, "prompt_tokens_details")
    cached = _tokens(reported, "prompt_cache_hit_tokens") or _tokens(details, "cached_tokens")
    return Usage(_tokens(reported, "prompt_tokens"), _tokens(reported, "completion_tokens"), cached)


def _field(container: Any, name: str) -> Any:
    return container.get(name) if isinstance(container, dict) else None


def _tokens(container: Any, name: str) -> int:
    value = _field(container, name)
    return int(value) if isinstance(value, int | float) and 0 <= value <= MOST_TOKENS else 0


MOST_TOKENS = 2**53
BROKEN_OFF = {"error", "abort", "insufficient_system_resource"}  # finish reasons of gateways, vLLM, DeepSeek
QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"}
FILTER_CODES = {"content_filter", "content_policy_violation", "data_inspection_failed"}
TOO_LONG_CODES = {"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"}
LONGEST_ASKED = 86_400.0  # seconds; a server that asks for more is not taken at its word
RETRYABLE_STATUS = {408, 409, 425, 429}


def sort_error(exc: Exception, config: LLMConfig, key: str) -> Exception | Completion:
    """What an error of the SDK means: an EndpointError, a Fault, or a Completion whose row has failed.

    An error that is none of the SDK's or the network's comes back as it is: it is a bug, and must show.
    """
    import httpx2
    import openai

    if isinstance(exc, openai.APIStatusError):
        return _sort_status(exc, config, key)
    cause = exc.__cause__ or exc
    # The aiohttp transport reports a refused or reset connection as a time-out of connecting.
    timed_out = isinstance(exc, TimeoutError | openai.APITimeoutError) and not isinstance(cause, httpx2.ConnectTimeout)
    if timed_out:
        return Fault(f"no answer within {config.timeout:g} s")
    if isinstance(exc, openai.APIConnectionError | OSError):
        return Fault(_redact(str(cause) or type(cause).__name__, key), connection=True)
    if isinstance(exc, openai.OpenAIError | ValueError):
        return Fault(_redact(f"the server's reply cannot be read: {exc}", key))
    return exc


def _sort_status(exc: "openai.APIStatusError", config: LLMConfig, key: str) -> Exception | Completion:
    status, codes = exc.status_code, {str(exc.code), str(exc.type)}
    said = _said(exc, key)
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


def _said(exc: "openai.APIStatusError", key: str) -> str:
    """The server's own words, on one line of bounded length; cut last, as half a key would be no key to `_redact`."""
    return _redact(str(_field(exc.body, "message") or exc.body or exc.message), key)[:300]


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
        value = max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
    return value if value < LONGEST_ASKED else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < LONGEST_ASKED else None
