"""Requests as the lines of a batch file, as OpenAI's batch API and `vllm run-batch` read them."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from utils.llm.batch.rounds import Item

URL = "/v1/chat/completions"
_ID = re.compile(r"[a-z]+-([0-9a-f]{32})")


def custom_id(item: Item) -> str:
    """Return the name of a request in its file: call kind and journal key, as `judge-3fa9…`."""
    return f"{item.request.kind}-{item.key.hex()}"


def key_of(name: Any) -> bytes | None:
    """Return the journal key in a `custom_id`; None for what is no such name."""
    found = _ID.fullmatch(name) if isinstance(name, str) else None
    return bytes.fromhex(found[1]) if found else None


def line_of(item: Item) -> bytes:
    from utils.llm.client import request_body  # it loads openai

    body = request_body(item.request, item.config)
    line = {"custom_id": custom_id(item), "method": "POST", "url": URL, "body": body}
    # Half a surrogate pair, which UTF-8 cannot hold, is written as JSON escapes it.
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def packed(items: Iterable[Item], most: int, megabytes: float) -> Iterator[tuple[list[Item], IO[bytes]]]:
    """Yield files of at most `most` requests and `megabytes`, with the items in them; each is closed by who gets it.

    A request that is larger by itself has a file of its own: the provider will say what it thinks of it.
    """
    part: list[Item] = []
    file = _new_file()
    for item in items:
        line = line_of(item)
        if part and (len(part) == most or file.tell() + len(line) > megabytes * 1_000_000):
            yield part, file
            part, file = [], _new_file()
        file.write(line)
        part.append(item)
    if part:
        yield part, file


def _new_file() -> IO[bytes]:
    return tempfile.TemporaryFile()
