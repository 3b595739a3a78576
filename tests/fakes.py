"""Stand-ins at the two narrow seams: an LLM that follows a script, and a server that misbehaves on purpose.

llm = ScriptedLLM({"judge": '{"cases": []}', "evolve": ["first reply", "second reply"]})

with MisbehavingServer([throttled(retry_after="3"), RESET, answered("at last")]) as server:
    ...  # base_url=server.url
"""

import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from utils.schema import CallKind, Completion, Message

# --- An LLM that follows a script ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """One question put to a ScriptedLLM."""

    kind: CallKind
    messages: tuple[Message, ...]
    draw: int

    @property
    def prompt(self) -> str:
        """The last turn, which is the whole prompt for most roles."""
        return self.messages[-1].content


Reply = str | Completion
Script = Callable[[Asked], Reply] | Mapping[str, Reply | Sequence[Reply]]


class ScriptedLLM:
    """Answers by a function, or by a table from stage to a reply (always the same) or replies (one after another).

    `asked` holds every question in order. A question that the table does not foresee is an AssertionError.
    """

    def __init__(self, script: Script, model: str = "scripted") -> None:
        self.model = model
        self.asked: list[Asked] = []
        self._reply = script if callable(script) else self._from_table(script)

    async def complete(self, kind: CallKind, messages: tuple[Message, ...], draw: int = 0) -> Completion:
        asked = Asked(kind, messages, draw)
        self.asked.append(asked)
        reply = self._reply(asked)
        return reply if isinstance(reply, Completion) else Completion(reply)

    def of_kind(self, kind: CallKind) -> list[Asked]:
        return [asked for asked in self.asked if asked.kind == kind]

    def _from_table(self, table: Mapping[str, Reply | Sequence[Reply]]) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            entry = table.get(asked.kind)
            if isinstance(entry, str | Completion):
                return entry
            number = len(self.of_kind(asked.kind)) - 1
            if entry is None or number >= len(entry):
                raise AssertionError(f"no reply is scripted for question {number + 1} of kind {asked.kind}")
            return entry[number]

        return reply


# --- What the server does with one request ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Act:
    """A reply of the server, or a way of giving none.

    `delay` holds it back for so many seconds, `company` until so many requests were in flight at once.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    manner: Literal["reply", "reset", "cut", "hang", "raw"] = "reply"
    delay: float = 0.0
    company: int = 0

    def after(self, seconds: float) -> "Act":
        return replace(self, delay=seconds)

    def in_company_of(self, requests: int) -> "Act":
        return replace(self, company=requests)

    def saying(self, headers: Mapping[str, str]) -> "Act":
        return replace(self, headers=tuple(headers.items()))


RESET = Act(manner="reset")  # the connection is reset before a byte of the reply
CUT = Act(body=b'{"choices": [{"mess', manner="cut")  # the connection is reset in the middle of the reply
HANG = Act(manner="hang")  # no reply until the server is closed
EMPTY_BODY = Act()


def on_the_wire(content: bytes) -> Act:
    """These very bytes in the place of a reply, and then the end of the connection."""
    return Act(body=content, manner="raw")


MALFORMED = Act(body=b'{"choices": [{"message": {"content": "half')


def replied(reply: Any) -> Act:
    """HTTP 200 with any JSON."""
    return Act(body=json.dumps(reply).encode())


def answered(
    text: str | None = "fine",
    finish_reason: str | None = "stop",
    usage: Any = None,
    **message: Any,
) -> Act:
    """A chat completion; `message` adds fields to the message, such as `reasoning_content`."""
    content = {"role": "assistant", "content": text} | message
    reported = {"prompt_tokens": 7, "completion_tokens": 3} if usage is None else usage
    return replied({"choices": [{"index": 0, "message": content, "finish_reason": finish_reason}], "usage": reported})


EMPTY_CHOICES = replied({"choices": [], "usage": {}})


def refused(status: int, message: str = "no", code: str | None = None, type: str | None = None) -> Act:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": type, "code": code, "param": None}}
    return Act(status, json.dumps(body).encode())


def throttled(retry_after: str | None = None) -> Act:
    act = refused(429, "Rate limit reached", "rate_limit_exceeded", "requests")
    return act if retry_after is None else act.saying({"Retry-After": retry_after})


# --- The server ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in; header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class _State:
    choose: Callable[[Received], Act]
    received: list[Received] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Condition = field(default_factory=threading.Condition)
    closing: threading.Event = field(default_factory=threading.Event)
    models: tuple[str, ...] | None = None

    def begin(self, request: Received) -> Act:
        with self.lock:
            self.received.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.lock.notify_all()
            return self.choose(request)

    def hold_back(self, act: Act) -> None:
        with self.lock:
            self.lock.wait_for(lambda: self.most_in_flight >= act.company)
        self.closing.wait(None if act.manner == "hang" else act.delay)

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1


class MisbehavingServer:
    """An OpenAI-compatible server on a free loopback port, open while entered.

    `script` is a sequence of acts, one a request (then `otherwise`), or a function of the request. Requests
    are recorded in `received`. `models` are what GET /models lists; None: it answers 404.
    """

    def __init__(
        self,
        script: Iterable[Act] | Callable[[Received], Act] = (),
        otherwise: Act | None = None,
        models: tuple[str, ...] | None = None,
    ) -> None:
        otherwise = otherwise or answered()
        acts = iter(()) if callable(script) else iter(script)
        self._state = _State(script if callable(script) else lambda _: next(acts, otherwise), models=models)
        handler = type("Handler", (_Handler,), {"state": self._state})
        self._server = Listener(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def received(self) -> list[Received]:
        return self._state.received

    @property
    def most_in_flight(self) -> int:
        return self._state.most_in_flight

    @property
    def by_kind(self) -> dict[str, int]:
        counts: defaultdict[str, int] = defaultdict(int)
        for request in self.received:
            counts[request.headers.get("x-stage", "")] += 1
        return dict(counts)

    def __enter__(self) -> "MisbehavingServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._state.closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def dead_url() -> Iterator[str]:
    """The address of a port that is taken but does not listen: connections to it are refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news."""


class Replying(BaseHTTPRequestHandler):
    """A handler that replies with acts, and promises as many bytes as it is told."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def reply(self, act: Act, promised: int) -> None:
        self.send_response(act.status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(promised)), *act.headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(act.body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Silent."""


class _Handler(Replying):
    state: _State

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        act = self.state.begin(Received(self.path, headers, body))
        try:
            self.state.hold_back(act)
        finally:
            self.state.end()
        if act.manner == "reply":
            self.reply(act, len(act.body))
        else:
            self._break_off(act)

    def do_GET(self) -> None:
        models = self.state.models
        listed = json.dumps({"data": [{"id": name} for name in models or ()]}).encode()
        self.reply(Act(404 if models is None else 200, listed), len(listed))

    def _break_off(self, act: Act) -> None:
        if act.manner == "raw":
            self.wfile.write(act.body)
            self.wfile.flush()
            self.close_connection = True
            return
        if act.manner == "cut":
            self.reply(act, len(act.body) + 100)
        # Lingering for 0 seconds makes the kernel send RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
