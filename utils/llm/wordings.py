"""What servers say, in the many wordings of today's providers, and what it means.

Each table is of phrases that were met in a provider's documentation, code or issues. A new wording goes into its
table, and as an example into tests/utils/llm/test_wordings.py.
"""

import re
import time
from datetime import datetime


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


TOO_LONG_CODES = {
    *("context_length_exceeded", "string_above_max_length", "exceed_context_size_error", "request_too_large"),
    *("context_window_exceeded", "contextwindowexceedederror", "max_tokens_exceeded", "1261"),
}
TOO_LONG = _any(
    r"maximum (?:context|prompt|model|sequence|input) length",  # OpenAI, vLLM, DeepSeek, xAI, Mistral
    r"(?:longer|greater|larger|more) than (?:the )?(?:model'?s? |maximum |max |allowed |available )*context",  # SGLang
    r"longer than the (?:maximum|max) (?:model |input |context |sequence )*length",
    r"exceeds? (?:the )?(?:model'?s? |maximum |max |available |allowed |configured |input )*"
    r"(?:context|token limit|input length|number of tokens|limit of \d+ tokens)",  # llama.cpp, Gemini, Ollama, OpenAI
    r"input length \(\d+ tokens\) exceeds|exceeded (?:the )?(?:model|max(?:imum)?) (?:token|context)",  # SGLang, Kimi
    r"exceeds? the maximum (?:number of tokens|allowed length)",
    r"context (?:window|length|limit|size) (?:is |was |of [\w\s]{1,20}?)?(?:exceed|overflow)|context the overflows",
    r"exceed(?:s|ed)? (?:the )?context (?:window|length|limit|size)|context window exceeds",
    r"(?:prompt|input|message|request|conversation|text)s? (?:is|are|was) too (?:long|large)",  # Anthropic, Fireworks
    r"prompt too long|too many (?:input |prompt )?tokens|too large for model|request (?:body )?too large",  # Groq
    r"reached context length|greater than the context length|loaded with context length",  # LM Studio
    r"must have (?:less|fewer) than \d+ tokens|`?inputs`? tokens \+ `?max_new_tokens`? must be",  # TGI, Together
    r"range of input length should be|reduce the length of the (?:messages|prompt|input)",  # DashScope, Cerebras
    r"reduce your (?:message|prompt) size|prompt 超长|超过.{0,12}(?:最大|上下文).{0,6}长度|输入.{0,8}过长",  # Zhipu
    r"(?:컨텍스트|입력|프롬프트).{0,20}(?:초과|너무 깁니다|너무 길)",
)

FILTER_CODES = {
    *("content_filter", "content_policy_violation", "data_inspection_failed", "responsibleaipolicyviolation"),
    *("invalid_prompt", "moderation_blocked", "content_moderation", "prompt_blocked", "1301", "sensitive"),
    *("datainspectionfailed", "content_filter_error", "safety_check_failed"),
}
FILTERED = _any(
    r"content exists risk|content[ _-]?(?:filter|management polic|moderat|polic|safety)",  # DeepSeek, Azure, OpenAI
    r"(?:violat|against)\w* (?:\w+ ){0,3}(?:usage|content|safety|use) (?:polic|guideline)",  # OpenAI, xAI
    r"flagged (?:as|for|by)|safety[_ ](?:system|check|filter|polic|setting)|moderation",  # OpenRouter, xAI
    r"inappropriate content|considered high risk|(?:prohibited|harmful|unsafe|sensitive)[_ ]content",  # DashScope, Kimi
    r"responsible ai polic|guardrail|new_sensitive|input_sensitive|blocked by (?:\w+ ){0,2}(?:filter|polic)",  # MiniMax
    r"敏感|不安全|违规|유해|부적절|콘텐츠 (?:정책|필터)",
)

UNKNOWN_MODEL_CODES = {"model_not_found", "unknown_model", "deploymentnotfound", "model_not_exist"}
UNKNOWN_MODEL = _any(
    r"\bmodel\b:?\s*[`'\"]?[^\s`'\"]{0,120}[`'\"]?\s*(?:is |was )?"
    r"(?:not found|does not exist|doesn't exist|not exist|not available|not supported|invalid|unknown|not loaded)",
    r"(?:no such|unknown|invalid|unsupported|not a valid|non-?existent|cannot find|could not find) (?:the )?models?\b",
    r"deployment .{0,80}does not exist|not a valid model|model.{0,40}(?:retired|deprecated|decommissioned)",
)

KEY_CODES = {"invalid_api_key", "api_key_invalid", "invalid_authentication", "authentication_error", "unauthorized"}
KEY_REFUSED = _any(r"(?:api|access)[ _-]?key.{0,40}(?:not valid|invalid|incorrect|expired|missing|disabled|revoked)")
KEY_REFUSED_2 = _any(r"(?:invalid|incorrect|expired|missing|no) (?:api|access)[ _-]?key")

# Exhausted for good, in OpenAI's own words; others call a passing limit by the same code.
QUOTA_CODES = {"insufficient_quota", "exceeded_current_quota_error", "insufficient_balance", "quota_exceeded"}
QUOTA_FOR_GOOD_CODES = {"billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
QUOTA_FOR_GOOD = re.compile(
    r"you exceeded your current quota, please check your plan and billing details\.?"
    r"( for more information on this error, read the docs: https://platform\.openai\.com/\S*)?",
    re.IGNORECASE,
)
DAILY = _any(r"per[- _]?day|\bdaily\b|\((?:rpd|tpd)\)|PerDay|每[天日]|하루|일일")


def means_for_good(said: str) -> bool:
    """Tell whether an error message is OpenAI's own sentence about a used-up quota, and nothing else."""
    return QUOTA_FOR_GOOD.fullmatch(said.strip()) is not None


def refuses_key(said: str) -> bool:
    return bool(KEY_REFUSED.search(said) or KEY_REFUSED_2.search(said))


# --- Times ---------------------------------------------------------------------------------------

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|hours?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])", re.I)
_ASKED = re.compile(
    r"(?:try again|retry|wait|available|resets?)(?: again)? (?:in|after|for) "
    r"((?:\d[\d.]*\s*[a-z]+[,\s]*(?:and )?){1,4})",
    re.IGNORECASE,
)


LONGEST_ASKED = 86_400.0 * 8  # seconds; a server that asks to wait for longer is not taken at its word


def length_of_time(text: str) -> float | None:
    """Return the seconds of a length of time such as `37.5s` or `6m0s`; None for other texts, and for eternities."""
    parts = _LENGTH.findall(text)
    if not parts or _LENGTH.sub("", text).strip(" ,.").replace("and", "").strip():
        return None
    seconds = sum(float(number) * _UNITS["ms" if unit.lower().startswith(("ms", "milli")) else unit[0].lower()]
                  for number, unit in parts)  # fmt: skip
    return seconds if seconds < LONGEST_ASKED else None


def asked_wait(said: str) -> float | None:
    """Return the seconds that a server asks to wait in words (`Please try again in 7m12s.`); None where it does not."""
    for found in _ASKED.finditer(said):
        lengths = list(_LENGTH.finditer(found[1]))
        if lengths and (seconds := length_of_time(found[1][lengths[0].start() : lengths[-1].end()])) is not None:
            return seconds
    return None


def clock(seconds_from_now: float) -> str:
    """Return the local time at which a wait ends, as HH:MM:SS; with the date, to the minute, if that is not today."""
    now, then = datetime.now().astimezone(), datetime.fromtimestamp(time.time() + seconds_from_now).astimezone()
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M")
