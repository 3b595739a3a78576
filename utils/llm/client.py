"""The SDK's client as this program needs it, and the body of a request. Import it late: it loads `openai`."""

import json
import os
import zlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import openai

from utils.llm_config import LLMConfig
from utils.schema import Request

CONNECT_TIMEOUT = 20.0
LARGEST_REPLY = 64 << 20  # bytes, decoded: no completion is that long, but a few kB of gzip can be


class ReplyTooLarge(httpx2.RequestError):
    """A reply that was cut off while it was read."""


class BoundedClient(openai.DefaultAioHttpClient):
    """The SDK's fastest transport. It reads bounded replies, follows no redirect, and turns whatever the transport
    raises at malformed HTTP into an error of httpx2, which the SDK knows. Who asks for a stream bounds it himself."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options | {"stream": True})
            if options.get("stream"):
                return response
            try:
                body = await _read(response)
            finally:
                await response.aclose()
        except (httpx2.HTTPError, OSError):
            raise
        except Exception as exc:  # only foreign code runs above: aiohttp's parser, zlib
            raise httpx2.RemoteProtocolError(f"{type(exc).__name__}: {exc}", request=request) from exc
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WIRE]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


_OF_THE_WIRE = (b"content-encoding", b"content-length", b"transfer-encoding")


async def _read(response: httpx2.Response) -> bytes:
    """Read and decode a body. Raises ReplyTooLarge, and RemoteProtocolError for an encoding that was not asked for."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip", ""):
        raise httpx2.RemoteProtocolError(f"the reply is encoded as {encoding}, though only gzip was asked for")
    unzip = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    parts, size = [], 0
    async for raw in response.aiter_raw():
        part = unzip.decompress(raw, LARGEST_REPLY) if unzip else raw
        size += len(part)
        if size > LARGEST_REPLY or (unzip and unzip.unconsumed_tail):
            raise ReplyTooLarge(f"the reply is larger than {LARGEST_REPLY >> 20} MiB", request=response.request)
        parts.append(part)
    return b"".join(parts)


def make_client(config: LLMConfig, base_url: str, key: str) -> openai.AsyncOpenAI:
    """Make a client for one address, with the SDK's own retries switched off. Close it when done."""
    address = urlsplit(base_url)
    timeout = openai.Timeout(config.timeout, connect=min(CONNECT_TIMEOUT, config.timeout))
    http_client = BoundedClient(
        timeout=timeout, limits=_unlimited(), follow_redirects=False, headers={"Accept-Encoding": "gzip"}
    )
    client = openai.AsyncOpenAI(
        api_key=key,
        base_url=address._replace(query="", fragment="").geturl(),
        default_query=dict(parse_qsl(address.query, keep_blank_values=True)),
        default_headers=_headers(address.hostname or "", key),
        timeout=timeout,
        max_retries=0,
        http_client=http_client,
    )
    if not is_openai(address.hostname or ""):
        client.organization = client.project = None
    return client


def is_openai(host: str) -> bool:
    return f".{host}".endswith(".openai.com")


def _headers(host: str, key: str) -> dict[str, Any]:
    """Return the header with the key; for hosts other than OpenAI's, also drop those of OPENAI_CUSTOM_HEADERS."""
    added = os.environ.get("OPENAI_CUSTOM_HEADERS", "") if not is_openai(host) else ""
    names = (line.partition(":")[0].strip() for line in added.split("\n") if ":" in line)
    return dict.fromkeys(names, openai.Omit()) | {"Authorization": f"Bearer {key}"}


def key_header(base_url: str, key: str) -> dict[str, Any]:
    """Return the headers in which Azure takes a key; {} for other hosts, and for a token of its directory (a JWT)."""
    address = urlsplit(base_url)
    is_azure = f".{address.hostname}".endswith(".azure.com") or "api-version=" in address.query
    return {"Authorization": openai.Omit(), "api-key": key} if is_azure and not key.startswith("eyJ") else {}


def _unlimited() -> httpx2.Limits:
    """Return limits without a bound: the gate bounds requests, and a pool with its own would hide waiting from it."""
    return httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)


def request_body(request: Request, config: LLMConfig) -> dict[str, Any]:
    """Return the JSON body of a request, without fields that are not set: some servers reject what they do not know."""
    sampling = request.sampling
    draw = int(request.draw.rpartition(":")[2])
    optional = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        config.max_tokens_field: sampling.max_tokens,
        "seed": None if sampling.seed is None else sampling.seed + draw,
        "service_tier": config.service_tier,
    }
    return {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        **{name: value for name, value in optional.items() if value is not None},
        **json.loads(sampling.extra or "{}"),
    }


def redirected(location: str, asked: str) -> str | None:
    """Return the address to which a redirected request may be sent again; None where it must not be.

    It may stay at its scheme, host and port, or go from port 80 to TLS on port 443, as prompts are private: they are
    sent to no host that the user has not named, and never from TLS to plain HTTP.
    """
    target = httpx2.URL(asked).join(location)
    origin = httpx2.URL(asked)
    same = target.host == origin.host and _port(target) == _port(origin) and target.scheme == origin.scheme
    upgraded = target.host == origin.host and (_port(origin), _port(target)) == (80, 443)
    return str(target) if same or (upgraded and target.scheme == "https") else None


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
