"""One of the two `--*-llm-config` flags, checked: an endpoint, and how it is asked."""

import json
import os
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from utils.errors import EndpointError
from utils.schema import Sampling, as_extra
from utils.urls import holds_secret_field

DEEPSEEK_URL = "https://api.deepseek.com"
DEEPSEEK_MODEL = "deepseek-flash"
DEEPSEEK_KEY = "DEEPSEEK_API_KEY"
OFFLINE_WEAK = "offline-weak"  # what --offline calls its weak model

# How each kind of call samples unless the llm-config says otherwise: evolving, answering and judging are
# greedy, analyzing and optimizing sample (paper, section 4.1).
GREEDY = Sampling(temperature=0.0)
CREATIVE = Sampling(temperature=0.6, top_p=0.95)
VARIED = 0.7  # the temperature of several answers to one instruction
SAMPLING_BY_KIND = {"analyze": CREATIVE, "optimize": CREATIVE, "explore": CREATIVE}


ONE_URL = r"https?://[^\s/?#@,]+([/?#][^\s,]*)?"


def _no_key(name: str) -> str:
    if len(name) >= 12 and "_" not in name and any(map(str.isdigit, name)) and name not in os.environ:
        raise ValueError("a key in the place of its variable's name")
    return name


def _without_key(urls: str) -> str:
    if holds_secret_field(urls):
        raise ValueError("a URL with a key")
    return urls


@dataclass(frozen=True, slots=True)
class Key:
    """What the help says of a key; `how` marks one that only changes how an endpoint is reached, or what it costs."""

    help: str
    how: bool = False


class LLMConfig(BaseModel):
    """One of the two `--*-llm-config` flags."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1), Key("name of the model")] = DEEPSEEK_MODEL
    base_url: Annotated[
        str,
        Field(pattern=rf"^{ONE_URL}(,{ONE_URL})*$"),
        AfterValidator(_without_key),
        Key("address of an OpenAI-compatible server; several, or with commas: servers of one model share the load"),
    ] = DEEPSEEK_URL
    api_key_env: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_no_key)] | None,
        Key(f"variable that holds the key; none: the server takes no key (DeepSeek's: {DEEPSEEK_KEY})"),
    ] = None
    temperature: Annotated[
        Annotated[float, Field(ge=0, le=2)] | Literal["none"] | None,
        Key("0 for evolving, answering and judging, 0.6 for analyzing and optimizing; none: not sent"),
    ] = None
    top_p: Annotated[
        Annotated[float, Field(gt=0, le=1)] | Literal["none"] | None,
        Key("0.95 for analyzing and optimizing, else not sent; none: not sent"),
    ] = None
    max_tokens: Annotated[
        Annotated[int, Field(gt=0)] | None, Key("longest reply; a reasoning model counts its thoughts in it")
    ] = None
    max_tokens_field: Annotated[
        Literal["max_tokens", "max_completion_tokens"], Key("what the server calls that field")
    ] = "max_tokens"
    seed: Annotated[int | None, Key("sent with every request, plus the number of the draw")] = None
    timeout: Annotated[float, Field(gt=0), Key("seconds that a reply may take", how=True)] = 600.0
    max_retries: Annotated[int, Field(ge=0, le=100), Key("times that a failed request is sent again", how=True)] = 6
    price_in: Annotated[Annotated[Decimal, Field(ge=0)] | None, Key("price of a million input tokens", how=True)] = None
    price_out: Annotated[Annotated[Decimal, Field(ge=0)] | None, Key("price of a million output tokens", how=True)] = (
        None
    )
    price_cached: Annotated[
        Annotated[Decimal, Field(ge=0)] | None, Key("price of a million cached input tokens (price_in)", how=True)
    ] = None
    rpm: Annotated[Annotated[float, Field(gt=0)] | None, Key("most requests a minute", how=True)] = None
    tpm: Annotated[Annotated[float, Field(gt=0)] | None, Key("most tokens a minute", how=True)] = None
    outage_minutes: Annotated[
        float, Field(gt=0), Key("how long a server that is down or loading is waited for", how=True)
    ] = 10.0
    service_tier: Annotated[
        Annotated[str, Field(min_length=1)] | None, Key("sent as it is: flex, priority, …", how=True)
    ] = None
    price_batch: Annotated[
        Annotated[Decimal, Field(ge=0)], Key("what a batch costs, against the prices above", how=True)
    ] = Decimal("0.5")
    batch_requests: Annotated[Annotated[int, Field(gt=0)], Key("most requests of a batch", how=True)] = 50_000
    batch_mb: Annotated[Annotated[float, Field(gt=0)], Key("most megabytes of a batch", how=True)] = 100.0
    batch_poll: Annotated[
        Annotated[float, Field(ge=0)], Key("seconds until a batch is looked at; pauses grow to 12 times that", how=True)
    ] = 10.0
    extra: Annotated[
        dict[str, Any], Key("extra.NAME=VALUE is whatever else a server wants in the body; dots in NAME nest")
    ] = {}

    @field_validator("base_url")
    @classmethod
    def _to_the_endpoint(cls, value: str) -> str:
        """Cut off `/chat/completions`, which is appended anyway: documentation often gives the whole address."""
        return ",".join(map(_without_endpoint, value.split(",")))

    @property
    def base_urls(self) -> tuple[str, ...]:
        return tuple(self.base_url.split(","))

    def sampling(self, kind: str) -> Sampling:
        """Return the sampling fields of a request of `kind`; what the user has set holds for all kinds."""
        default = SAMPLING_BY_KIND.get(kind, GREEDY)
        temperature = default.temperature if self.temperature is None else self.temperature
        top_p = default.top_p if self.top_p is None else self.top_p
        return Sampling(
            None if temperature == "none" else temperature,
            None if top_p == "none" else top_p,
            self.max_tokens,
            self.seed,
            as_extra(self.extra) if self.extra else None,
        )

    def of_endpoint(self) -> str:
        """Return as JSON all that is set about the endpoint and its requests: a refusal holds while this is the same.

        What merely says how it is reached, or what it costs, is left out.
        """
        settings = self.model_dump(mode="json", exclude=LLM_HOW_REACHED, exclude_defaults=True)
        return json.dumps({"base_url": self.base_url, **settings}, sort_keys=True)

    def api_key(self) -> str:
        """Return the key from the environment, or "none": where `api_key_env=none` says that the server takes no key.

        A server on this machine may need none either. Raise EndpointError where a key is needed and missing,
        and where the key of DeepSeek would go to somebody else's server.
        """
        if self.api_key_env == "none":
            return "none"
        name = self.api_key_env or DEEPSEEK_KEY
        hosts = [urlsplit(base_url).hostname or "" for base_url in self.base_urls]
        local = all(host in ("localhost", "::1") or host.startswith("127.") for host in hosts)
        key = os.environ.get(name, "").strip()
        if self.api_key_env is None and not local and not all(f".{h}".endswith(".deepseek.com") for h in hosts):
            raise EndpointError(
                f"which key is for {hosts[0]}? Name its variable: api_key_env=NAME, or api_key_env=none"
            )
        if not key and (self.api_key_env or not local):
            empty = f" ({name} is empty)" if name in os.environ else ""
            raise EndpointError(f"no API key{empty}: set {name} in the environment or in .env, or try --offline")
        return key or "none"

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal:
        """Return the cost at the prices given, which are per million tokens; 0 without prices."""
        full, out = self.price_in or Decimal(0), self.price_out or Decimal(0)
        cached = full if self.price_cached is None else self.price_cached
        fresh = max(0, input_tokens - cached_tokens)
        return (fresh * full + cached_tokens * cached + output_tokens * out) / 1_000_000


def _without_endpoint(base_url: str) -> str:
    address = urlsplit(base_url)
    return urlunsplit(address._replace(path=address.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")))


def marked(model: type[BaseModel], kind: type) -> dict[str, Any]:
    """Return by the name of a model's field the mark of type `kind` in its annotation, which every field must have."""
    return {
        name: next(mark for mark in field.metadata if isinstance(mark, kind))
        for name, field in model.model_fields.items()
    }


LLM_HOW_REACHED = {name for name, key in marked(LLMConfig, Key).items() if key.how}
LLM_HOW_NOT_WHAT = {*LLM_HOW_REACHED, "api_key_env", "max_tokens_field"}
