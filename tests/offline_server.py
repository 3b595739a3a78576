"""A loopback server that speaks as an OpenAI-compatible one and answers as the offline LLM does.

It keeps every request, and lets a test say what happens instead of an answer: `intercept(number, stage, body)`
is called first and may return a status and a JSON body, or do something to the client (kill it, say).
"""

import asyncio
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

from utils.offline import OfflineEndpoint
from utils.schema import Message, Request, Sampling

Intercept = Callable[[int, str, dict[str, Any]], tuple[int, Any] | None]


class OfflineServer:
    """Serves on a free port of the loopback interface while it is open; `requests` are (stage, body)."""

    def __init__(self, intercept: Intercept = lambda *_: None) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.intercept = intercept
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stage = self.headers["X-Stage"]
                with outer._lock:
                    outer.requests.append((stage, body))
                    number = len(outer.requests)
                status, reply = outer.intercept(number, stage, body) or (200, _answer(stage, body))
                payload = json.dumps(reply).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload)
                except OSError:  # the client was killed
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(stage: str, body: dict[str, Any]) -> dict[str, Any]:
    messages = tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])
    request = Request(stage, body["model"], messages, Sampling(), draw=str(body.get("seed", 0)))  # type: ignore[arg-type]
    completion = asyncio.run(OfflineEndpoint().send(request))
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": completion.text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": completion.usage.input_tokens,
            "completion_tokens": completion.usage.output_tokens,
        },
    }
