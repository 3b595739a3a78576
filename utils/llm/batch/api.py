"""`/v1/files` and `/v1/batches` of one provider, through the SDK. Import it late: it loads `openai`.

Errors are those of the SDK, and ValueError for a reply that makes no sense; `Border.sort` knows both.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import httpx2
import openai

from utils.llm.client import LARGEST_REPLY, key_header, make_client
from utils.llm_config import LLMConfig

ENDED = {"completed", "failed", "expired", "cancelled"}
WINDOW_SECONDS = 24 * 3600.0
_ID = re.compile(r"(?!\.)[\w.:=|-]{1,512}", re.ASCII)  # a part of a path, which must not lead elsewhere


@dataclass(frozen=True, slots=True)
class Status:
    """How far a batch is: `files` are those of output and errors, `said` is why it failed."""

    state: str
    done: int = 0
    total: int = 0
    files: tuple[str, ...] = ()
    said: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class BatchApi:
    """The calls that batches need, at the first address of `config`. Close it when done."""

    def __init__(self, config: LLMConfig, key: str) -> None:
        base_url = config.base_urls[0]
        self._client = make_client(config, base_url, key)
        self._headers: Mapping[str, Any] = key_header(base_url, key)

    async def upload(self, name: str, file: IO[bytes]) -> str:
        """Upload a file of requests, streamed, and return its id."""
        file.seek(0)
        content = (f"{name}.jsonl", file, "application/jsonl")
        made = await self._client.files.create(file=content, purpose="batch", extra_headers=self._headers)
        return _id(made.id)

    async def create(self, file_id: str, name: str) -> str:
        """Create a batch of an uploaded file and return its id."""
        made = await self._client.batches.create(
            input_file_id=file_id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"name": name},
            extra_headers=self._headers,
        )
        return _id(made.id)

    async def find(self, name: str) -> tuple[str | None, str | None]:
        """Return the ids of the batch and of the file of this name; None for what is not there, or is not told."""
        files = await self._files(name)
        try:
            async for batch in self._client.batches.list(limit=100, extra_headers=self._headers):
                told = batch.metadata if isinstance(batch.metadata, dict) else {}
                if told.get("name") == name or batch.input_file_id in files:
                    return _id(batch.id), None
        except openai.NotFoundError:  # it lists none
            pass
        return None, next(iter(files), None)

    async def _files(self, name: str) -> list[str]:
        listed = self._client.files.list(purpose="batch", extra_headers=self._headers)
        try:
            return [_id(file.id) async for file in listed if file.filename == f"{name}.jsonl"]
        except openai.NotFoundError:
            return []

    async def status(self, batch_id: str) -> Status:
        batch = await self._client.batches.retrieve(batch_id, extra_headers=self._headers)
        counts = batch.request_counts
        errors = batch.errors.data or [] if batch.errors else []
        files = (batch.output_file_id, batch.error_file_id)
        return Status(
            str(batch.status).lower(),
            (counts.completed or 0) + (counts.failed or 0) if counts else 0,
            counts.total or 0 if counts else 0,
            tuple(_id(file_id) for file_id in files if file_id),
            "; ".join(f"{error.code or ''}: {error.message or ''}" for error in errors[:3]),
        )

    async def cancel(self, batch_id: str) -> None:
        await self._client.batches.cancel(batch_id, extra_headers=self._headers)

    async def delete(self, file_id: str) -> None:
        await self._client.files.delete(file_id, extra_headers=self._headers)

    async def lines(self, file_id: str) -> AsyncIterator[bytes]:
        """Yield the lines of a file as they come in. Raises ValueError for one that is longer than any reply."""
        streamed = self._client.files.with_streaming_response
        async with streamed.content(file_id, extra_headers=self._headers) as response:
            rest = b""
            try:
                async for chunk in response.iter_bytes(1 << 20):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
                    if len(rest) > LARGEST_REPLY:
                        raise ValueError(f"a line of file {file_id} is larger than {LARGEST_REPLY >> 20} MiB")
            except httpx2.HTTPError as exc:  # the SDK wraps errors of sending, not those of reading
                raise openai.APIConnectionError(request=response.http_request) from exc
            yield rest

    async def close(self) -> None:
        await self._client.close()


def _id(value: Any) -> str:
    """Return an id that a server gave. Raises ValueError for what cannot be one."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("an id of a file or batch is missing or malformed")
    return value
