"""What a server's reply means when it is no completion. Errors of the SDK are sorted here, once:

EndpointError     the run stops at once: bad key, quota, a redirect to another host
Refused           this request is refused; whether the row fails or the run stops is told by `health.py`
Fault             asked again: 408, 409, 425, 429, 5xx, connection, time-out, empty or malformed body
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from utils.errors import EndpointError
from utils.llm.wordings import (
    DAILY,
    FILTER_CODES,
    FILTERED,
    KEY_CODES,
    LONGEST_ASKED,
    QUOTA_CODES,
    QUOTA_FOR_GOOD_CODES,
    TOO_LONG,
    TOO_LONG_CODES,
    UNKNOWN_MODEL,
    UNKNOWN_MODEL_CODES,
    asked_wait,
    clock,
    length_of_time,
    means_for_good,
    refuses_key,
)
from utils.llm_config import DEEPSEEK_KEY, LLMConfig
from utils.schema import Usage

if TYPE_CHECKING:
    import openai

LONGEST_WAIT_KEPT = 900.0  # seconds; a server that asks for more ends the run
TLS_ALERT = re.compile(r"\\+x15\\+x03")  # the first bytes of a TLS server's reply to plain HTTP, in an error's words
RETRYABLE_STATUS = {408, 409, 425, 429}
NEVER_OF_ONE_REQUEST = {405, 407, 410, 411, 426, 505}  # the address is wrong, whatever the request holds


class FaultKind(StrEnum):
    """Why there was no answer, as far as it matters for what is done next."""

    THROTTLED = "throttled"  # 429: waited for
    QUOTA = "quota"  # a 429 that speaks of a quota: waited for, for some minutes
    SERVER = "server"  # 5xx
    CONNECTION = "connection"  # refused, reset, no DNS, TLS
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"  # 200 with something else than a completion, or no HTTP at all
    NOTHING = "nothing"  # 200 with an empty body or an empty text
    BROKEN_OFF = "broken_off"  # a text that the server itself calls broken off
    EMPTY = "empty"  # thoughts without an answer
    HELD = "held"  # not asked at all, as the endpoint is down

    @property
    def throttles(self) -> bool:
        """Whether this is back-pressure, which is no fault of the request."""
        return self in (FaultKind.THROTTLED, FaultKind.QUOTA)

    @property
    def is_outage(self) -> bool:
        """Whether the server may be down for everyone."""
        return self in (FaultKind.SERVER, FaultKind.CONNECTION)


class Fault(Exception):
    """A fault that asking again may cure.

    `wait` is what the server asked for, in seconds; `usage` what it has charged for a reply of no use, and `reasoning`
    the thoughts in that reply, if there are any.
    """

    def __init__(
        self,
        kind: FaultKind,
        cause: str,
        wait: float | None = None,
        usage: Usage = Usage(),  # noqa: B008 - frozen
        reasoning: str | None = None,
    ) -> None:
        super().__init__(cause)
        self.kind = kind
        self.wait = wait
        self.usage = usage
        self.reasoning = reasoning
        self.elsewhere = False  # set where another server of the endpoint can take the request at once


class Refused(Exception):
    """A request that the server refuses: `said` are its words, `status` is 0 where the reply had none."""

    def __init__(
        self,
        reason: Literal["rejected", "content_filter", "too_long"],
        status: int,
        said: str,
        unknown_model: bool = False,
    ) -> None:
        super().__init__(f"HTTP {status}: {said}" if status else said)
        self.reason = reason
        self.status = status
        self.said = said
        self.unknown_model = unknown_model


@dataclass(frozen=True, slots=True)
class Reply:
    """What is looked at in a reply that is no completion. `codes` are its own names for the error, in lower case."""

    status: int
    said: str
    codes: frozenset[str] = frozenset()
    headers: Mapping[str, str] | None = None

    @property
    def wait(self) -> float | None:
        """Seconds that the server asks to wait, in a header or in words."""
        asked = retry_after(self.headers or {})
        return asked_wait(self.said) if asked is None else asked


class Border:
    """Sorts the errors of one server into exceptions whose messages name its address and never hold the key."""

    def __init__(self, config: LLMConfig, base_url: str, key: str) -> None:
        self._config = config
        self._key = key
        self.base_url = base_url

    def sort(self, exc: Exception) -> Exception:
        """Return the EndpointError, Refused or Fault that an error of the SDK or the network, or a ValueError, means.

        Any other error is a bug, and is returned as it is, so that it shows.
        """
        import httpx2
        import openai

        from utils.llm.client import ReplyTooLarge

        if isinstance(exc, openai.APIStatusError):
            return self.sort_reply(self._reply(exc))
        cause = exc.__cause__ or exc
        if isinstance(cause, ReplyTooLarge):
            return Refused("rejected", 0, str(cause))
        # The aiohttp transport reports a refused or reset connection as a time-out of connecting.
        timed_out = isinstance(exc, TimeoutError | openai.APITimeoutError)
        if timed_out and not isinstance(cause, httpx2.ConnectTimeout):
            return Fault(FaultKind.TIMEOUT, f"no answer from {self.base_url} within {self._config.timeout:g} s")
        words = self.redacted(str(cause) or type(cause).__name__)
        if isinstance(cause, httpx2.RemoteProtocolError | httpx2.DecodingError):
            hint = "; the port speaks TLS: write https://" if TLS_ALERT.search(words) else ""
            return Fault(FaultKind.UNREADABLE, f"{self.base_url} answers in no HTTP that can be read: {words}{hint}")
        if isinstance(exc, openai.APIConnectionError | OSError):
            return Fault(FaultKind.CONNECTION, f"{self.base_url}: {words}")
        if isinstance(exc, openai.OpenAIError | ValueError):
            return Fault(FaultKind.UNREADABLE, self.redacted(f"the reply of {self.base_url} cannot be read: {exc}"))
        return exc

    def sort_reply(self, reply: Reply) -> Exception:
        """Return the EndpointError, Refused or Fault for a reply other than 200, or for an error in a body of 200."""
        status, codes, said = reply.status, reply.codes, reply.said
        if status in (301, 302, 303, 307, 308):
            return EndpointError(f"{self.base_url} redirects to {said or 'nowhere'}; give that address as base_url")
        if status == 402 or (status == 429 and _exhausted(reply, self.base_url)):
            return EndpointError(f"quota or balance exhausted at {self.base_url} ({said}); top up, then run again")
        if status == 401 or codes & KEY_CODES or (status == 400 and refuses_key(said) and len(said) < 200):
            return EndpointError(self.key_refused(f"HTTP {status}: {said}"))
        if status == 429:
            return self._throttled(reply)
        too_long = status == 413 or codes & TOO_LONG_CODES or TOO_LONG.search(said)
        if status in RETRYABLE_STATUS or (status >= 500 and not (status in (500, 501) and too_long)):
            wait = reply.wait and min(reply.wait, LONGEST_WAIT_KEPT)
            return Fault(FaultKind.SERVER, f"{self.base_url}: HTTP {status}: {said}", wait)
        if status in NEVER_OF_ONE_REQUEST:
            return EndpointError(self.wrong_address(f"HTTP {status}: {said}"))
        # A server that names the error knows better than a table of words: `too_long` may speak of `safety`.
        if codes & TOO_LONG_CODES or (too_long and not codes & FILTER_CODES):
            return Refused("too_long", status, said)
        if codes & FILTER_CODES or FILTERED.search(said):
            return Refused("content_filter", status, said)
        unknown = bool(codes & UNKNOWN_MODEL_CODES or UNKNOWN_MODEL.search(said))
        return Refused("rejected", status, said, unknown)

    def _throttled(self, reply: Reply) -> Exception:
        words, wait = f"{self.base_url}: HTTP 429: {reply.said}", reply.wait
        if wait is not None and wait > LONGEST_WAIT_KEPT:
            return EndpointError(f"{words}; it asks to wait until {clock(wait)}: run the same command again then")
        if DAILY.search(reply.said):
            until = f"at {clock(wait)}" if wait else "when its day is over"
            return EndpointError(f"{words}; the quota of the day is used up: run the same command again {until}")
        quota = reply.codes & QUOTA_CODES
        return Fault(FaultKind.QUOTA if quota else FaultKind.THROTTLED, words, wait)

    def key_refused(self, said: str) -> str:
        name = self._config.api_key_env or DEEPSEEK_KEY
        return f"{self.base_url} refuses the key of {name} ({said}); check the key"

    def wrong_address(self, said: str) -> str:
        return f"{self.base_url} has nothing to answer there ({said}); check base_url, which usually ends in /v1"

    def _reply(self, exc: "openai.APIStatusError") -> Reply:
        error = exc.body if isinstance(exc.body, dict) else {}
        response = exc.response
        if 300 <= exc.status_code < 400:
            return Reply(exc.status_code, self.redacted(response.headers.get("location", "")))
        words = error_words(exc.body) or exc.message
        return Reply(exc.status_code, self.redacted(words), error_codes(error), response.headers)

    def redacted(self, text: str) -> str:
        """Return the server's words on one line of at most 300 characters, without the key (if it has more than 4).

        The key is taken out before the line is cut, as half a key would not be found. Characters that a terminal would
        act on are written as escapes.
        """
        hidden = text.replace(self._key, "***") if len(self._key) > 4 else text
        shown = "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in hidden)
        return " ".join(shown.split())[:300]


def _exhausted(reply: Reply, base_url: str) -> bool:
    if reply.codes & QUOTA_FOR_GOOD_CODES:
        return True
    return bool(reply.codes & QUOTA_CODES) and ("openai.com" in base_url or means_for_good(reply.said))


def error_words(error: Any) -> str:
    """Return the words of an error in JSON: its message, wherever servers put it, else all of it; "" for none."""
    if isinstance(error, dict):
        named = (error.get(name) for name in ("message", "error", "detail", "msg", "error_msg", "error_message"))
        found = next((words for value in named if (words := error_words(value))), "")
        raw = error.get("metadata", {}).get("raw") if isinstance(error.get("metadata"), dict) else None
        return (
            f"{found} ({raw})" if isinstance(raw, str) and raw not in found else found or (str(error) if error else "")
        )
    return str(error) if error else ""


def error_codes(error: Mapping[str, Any]) -> frozenset[str]:
    """Collect a server's names for an error, in lower case: code, type, status, reason, and those of inner errors."""
    inner = error.get("error"), error.get("innererror"), error.get("inner_error")
    within = frozenset().union(*(error_codes(value) for value in inner if isinstance(value, dict)))
    names = (error.get(name) for name in ("code", "type", "status", "error_type", "reason"))
    return within | {str(name).lower() for name in names if isinstance(name, str | int)}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, from any of the headers in use; None where it does not say."""
    if (milliseconds := headers.get("retry-after-ms")) and (value := _number(milliseconds)) is not None:
        return value / 1000
    asked = headers.get("retry-after") or headers.get("llm_provider-retry-after")
    if not asked:
        return _until(headers.get("x-ratelimit-reset", ""))
    if (value := _number(asked)) is not None:
        return value
    if (value := length_of_time(asked)) is not None:
        return value
    try:
        value = max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
    return value if value < LONGEST_ASKED else None


def _until(text: str) -> float | None:
    """Return the seconds until a moment in (milli)seconds since 1970; None if it is past, too far or unreadable."""
    try:
        moment = float(text)
    except ValueError:
        return None
    wait = (moment / 1000 if moment > 1e11 else moment) - time.time()
    return wait if 0 <= wait < LONGEST_ASKED else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < LONGEST_ASKED else None
