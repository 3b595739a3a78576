"""Reading the body of a 200: a completion, or what it is instead.

text, reasoning     as a string or in parts, under any of the names in use; thoughts within the text are taken out
finish reason       one table of all that mean cut, filtered, done, broken off
usage               as reported, estimated where it is missing
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from utils.llm.faults import Border, Fault, FaultKind, Reply, error_codes, error_words
from utils.llm.ledger import text_tokens
from utils.llm.replies import split_thoughts
from utils.schema import AnsweredBy, Completion, Usage

MOST_TOKENS = 2**53
SHOWN = 100  # characters of a body that is no completion

# Finish reasons of OpenAI, vLLM, SGLang, TGI, Gemini, Anthropic, Cohere, Mistral, Bedrock, DashScope, Zhipu and the
# gateways between, without the prefix of an enumeration (FinishReason.MAX_TOKENS, FINISH_REASON_SAFETY).
FINISH_WORDS: dict[Literal["done", "length", "content_filter"], str] = {
    "done": """stop eos eos_token stop_sequence stop_token stop_word stop_words stop_str end_turn end_of_turn end
        end_token finished finish complete completed done normal success model_stop""",
    "length": """length max_tokens max_token max_output_tokens max_new_tokens max_completion_tokens max_length max_len
        model_length model_context_window_exceeded context_window_exceeded context_length_exceeded context_length
        context_limit length_limit token_limit token_limit_reached max_tokens_reached limit incomplete length_capped""",
    "content_filter": """content_filter content_filtered content_filtering contentfilter content_moderation
        content_policy filter filtered safety image_safety sensitive recitation image_recitation prohibited_content
        image_prohibited_content blocklist spii refusal moderation guardrail_intervened guardrail guardrails
        error_toxic toxic risk blocked model_armor language jailbreak policy_violation""",
}
FINISH = {word: ended for ended, words in FINISH_WORDS.items() for word in words.split()}
_PREFIX = re.compile(r".*\.|^(?:finish|stop|completion)_?reason_")
# An error in a body of 200 that says its kind in a word instead of a number.
STATUS_OF_WORD = {
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "too_many_requests": 429, "resource_exhausted": 429,
    "insufficient_quota": 429, "overloaded_error": 529, "overloaded": 529, "server_error": 500, "api_error": 500,
    "internal_error": 500, "internal_server_error": 500, "service_unavailable": 503, "timeout": 504,
    "invalid_api_key": 401, "authentication_error": 401, "unauthorized": 401, "permission_denied": 403,
    "permission_error": 403, "model_not_found": 404, "not_found_error": 404, "not_found": 404,
    "invalid_request_error": 400, "invalid_argument": 400, "bad_request": 400, "badrequesterror": 400,
    "context_length_exceeded": 400, "content_filter": 400, "data_inspection_failed": 400,
}  # fmt: skip


def read_completion(body: bytes, prompt_tokens: int, border: Border) -> tuple[Completion, bool]:
    """Read the completion in the body of a 200; return it, and whether its usage had to be estimated.

    `prompt_tokens` is the estimated size of the prompt. Raises Fault, Refused or EndpointError where there is no
    completion to use; what was charged for it is in `Fault.usage`.
    """
    reply = _parsed(body, border)
    choice, message = _choice(reply)
    if message is None:
        if error := (reply.get("error") or (choice or {}).get("error")):
            raise _error_within(error, border)
        kind = FaultKind.NOTHING if isinstance(reply.get("choices"), list) else FaultKind.UNREADABLE
        raise Fault(kind, _no_completion(body, border), usage=_usage(reply.get("usage")))
    text, reasoning = _texts(message, choice)
    usage, estimated = _complete(_usage(reply.get("usage")), prompt_tokens, text, reasoning)
    if (error := choice.get("error")) and not isinstance(error, bool):
        raise _with_usage(_error_within(error, border), usage)
    answered_by = AnsweredBy(_name(reply.get("model")), _name(reply.get("system_fingerprint")))
    failure = _failure(choice.get("finish_reason"), text, usage, border)
    if failure is None and not text:
        raise _empty(reply, reasoning, usage, border)
    return Completion(text, failure, usage, reasoning or None, answered_by), estimated


def _parsed(body: bytes, border: Border) -> dict[str, Any]:
    if not body.strip():
        raise Fault(FaultKind.NOTHING, f"{border.base_url} answers 200 with an empty body")
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Fault(FaultKind.UNREADABLE, _no_completion(body, border)) from exc
    if not isinstance(reply, dict):
        raise Fault(FaultKind.UNREADABLE, _no_completion(body, border))
    return reply


def _choice(reply: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    return choice, message if isinstance(message, dict) else None


def _no_completion(body: bytes, border: Border) -> str:
    begins = border.redacted(body[: SHOWN * 4].decode("utf-8", "replace"))[:SHOWN]
    return f"{border.base_url} answers 200 without a completion ({begins})"


def _error_within(error: Any, border: Border) -> Exception:
    """Return what an error in a body of 200 means: the same as a reply of the status that its code names."""
    said = border.redacted(error_words(error))
    codes = error_codes(error) if isinstance(error, dict) else frozenset()
    numbers = (int(code) for code in codes if code.isascii() and code.isdecimal() and 400 <= int(code) < 600)
    words = (STATUS_OF_WORD[code] for code in sorted(codes) if code in STATUS_OF_WORD)
    status = next(numbers, None) or next(words, None)
    if status is None:
        return Fault(FaultKind.UNREADABLE, f"{border.base_url} answers 200 with an error ({said})")
    return border.sort_reply(Reply(status, said, codes))


def _with_usage(error: Exception, usage: Usage) -> Exception:
    if isinstance(error, Fault):
        error.usage = usage
    return error


# --- Texts ---------------------------------------------------------------------------------------


def _texts(message: dict[str, Any], choice: dict[str, Any]) -> tuple[str, str]:
    """Return the answer and the thoughts of a message, wherever one of today's servers puts them."""
    content = message.get("content") or message.get("refusal") or ""
    parts = content if isinstance(content, list) else [content]
    spoken = "".join(_joined(part) for part in parts if not _is_thought(part))
    text, thoughts = split_thoughts(spoken)
    names = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
    beside = next((found for name in names if (found := _joined(message.get(name)))), "")
    beside = beside or "".join(_joined(part) for part in parts if _is_thought(part))
    return _clean(text), _clean("\n\n".join(filter(None, (beside.strip(), thoughts))))


def _is_thought(part: Any) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and kind.startswith(("thinking", "reasoning", "thought", "redacted_thinking"))


def _joined(value: Any) -> str:
    """Return the text of a string, of a part, or of a list of parts; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_joined(part) for part in value)
    if isinstance(value, dict):
        return next((found for name in ("text", "thinking", "content", "reasoning", "summary")
                     if (found := _joined(value.get(name)))), "")  # fmt: skip
    return ""


def _clean(text: str) -> str:
    """Take off blanks around a text, and replace lone surrogates, which JSON can spell but no file can hold."""
    return text.strip().encode("utf-8", "replace").decode()


def _name(value: Any) -> str:
    """Return a model's name on one line of at most 200 characters; of a path on the server, only the last part."""
    text = "".join(c for c in value if c.isprintable())[:200] if isinstance(value, str) else ""
    return re.split(r"[/\\]", text)[-1] if re.match(r"[/\\~]|[A-Za-z]:\\", text) else text


# --- How it ended --------------------------------------------------------------------------------


def _failure(reason: Any, text: str, usage: Usage, border: Border) -> Literal["length", "content_filter"] | None:
    """Return why a text was cut, or None if it ended by itself. Raises Fault for any other or an unknown reason."""
    name = _PREFIX.sub("", reason.strip().lower().replace("-", "_")) if isinstance(reason, str) else reason
    ended = FINISH.get(name) if isinstance(name, str) and name else "done" if not name else None
    if ended is None:
        cause = f"{border.base_url} broke the answer off (finish_reason {border.redacted(str(reason))})"
        raise Fault(FaultKind.BROKEN_OFF, cause, usage=usage)
    return None if ended == "done" else ended


def _empty(reply: dict[str, Any], reasoning: str, usage: Usage, border: Border) -> Fault:
    details = _field(reply.get("usage"), "completion_tokens_details")
    if reasoning or _tokens(details, "reasoning_tokens"):
        words = f"{border.base_url} answers with thoughts and without a text"
        return Fault(FaultKind.EMPTY, words, usage=usage, reasoning=reasoning or None)
    return Fault(FaultKind.NOTHING, f"{border.base_url} answers 200 with an empty text", usage=usage)


# --- What it cost --------------------------------------------------------------------------------


def _usage(reported: Any) -> Usage:
    """Read the token counts of a reply; one that is missing or odd is 0, as it must not cost an answer."""
    prompt, completion = _tokens(reported, "prompt_tokens"), _tokens(reported, "completion_tokens")
    details = _field(reported, "prompt_tokens_details")
    cached = _tokens(reported, "prompt_cache_hit_tokens") or _tokens(details, "cached_tokens")
    return Usage(prompt, completion, min(cached, prompt))


def _complete(usage: Usage, prompt_tokens: int, *texts: str) -> tuple[Usage, bool]:
    """Return `usage` with estimates in the place of counts of 0, so that a budget holds, and whether there are any."""
    written = sum(map(text_tokens, texts))
    prompt, completion = usage.input_tokens or prompt_tokens, usage.output_tokens or written
    return Usage(prompt, completion, usage.cached_tokens), (prompt, completion) != (
        usage.input_tokens, usage.output_tokens,
    )  # fmt: skip


def _field(container: Any, name: str) -> Any:
    return container.get(name) if isinstance(container, dict) else None


def _tokens(container: Any, name: str) -> int:
    value = _field(container, name)
    return int(value) if isinstance(value, int | float) and 0 <= value <= MOST_TOKENS else 0


def names_of_models(body: bytes) -> Sequence[str]:
    """Read the names in a reply to GET /models, in their order; none where it cannot be read."""
    try:
        listed = json.loads(body)
        entries = listed if isinstance(listed, list) else listed.get("data") or listed.get("models")
        return [name for entry in entries if (name := _name(entry.get("id") or entry.get("name")))]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []
