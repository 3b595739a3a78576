"""A provider's batch API on a free loopback port: /v1/files, /v1/batches and, for what is asked live, chat completions.

server = BatchServer()
server.script = [JobScript(states=("validating", "failed"), errors=[("token_limit_exceeded", "…")])]   # one a batch
server.before = lambda call: refused(500) if call == "GET batch" else None
with server:
    ...  # base_url=server.url

Calls are named POST file, GET files, GET file, DELETE file, POST batch, GET batches, GET batch, POST cancel, POST chat.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import Act, Listener, Received, Replying
from tests.offline_server import offline_reply

Line = dict[str, Any]
ENDED = ("completed", "failed", "expired", "cancelled")


def offline_line(line: Line) -> Line:
    """The output line for a request, as the offline LLM would answer it."""
    kind = line["custom_id"].partition("-")[0]
    act = offline_reply(Received("/v1/chat/completions", {"x-stage": kind}, line["body"]))
    return output_line(line, json.loads(act.body))


def output_line(line: Line, body: Any, status: int = 200) -> Line:
    return {"id": "r", "custom_id": line["custom_id"], "response": {"status_code": status, "body": body}, "error": None}


def expired_line(line: Line) -> Line:
    error = {"code": "batch_expired", "message": "This request could not be executed before the completion window."}
    return {"id": "r", "custom_id": line["custom_id"], "response": None, "error": error}


def refused_line(line: Line, message: str, code: str | None = None, status: int = 400) -> Line:
    return output_line(line, {"error": {"message": message, "code": code}}, status)


@dataclass
class JobScript:
    """What becomes of one batch: the states that polls see, the last of them for good, and the lines of its files."""

    states: Sequence[str] = ("validating", "in_progress", "completed")
    output: Callable[[list[Line]], Iterable[Line | bytes]] = lambda lines: map(offline_line, lines)
    errors_file: Callable[[list[Line]], Iterable[Line | bytes]] = lambda lines: ()
    errors: Sequence[tuple[str, str]] = ()


@dataclass
class Job:
    """A batch as the server keeps it."""

    id: str
    input_file_id: str
    metadata: dict[str, str]
    script: JobScript
    lines: list[Line]
    polls: int = 0
    cancelled: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        state = self.script.states[min(self.polls, len(self.script.states)) - 1] if self.polls else "validating"
        return "cancelled" if self.cancelled and state not in ENDED else state


class BatchServer:
    """Jobs, files and calls, in the order in which they came; `before` and `after` may act in the place of a reply."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.jobs: dict[str, Job] = {}
        self.calls: list[str] = []
        self.script: list[JobScript] = []  # of the next batches; then all goes well
        self.otherwise = JobScript()
        self.before: Callable[[str], Act | None] = lambda call: None
        self.after: Callable[[str], Act | None] = lambda call: None  # the call has had its effect
        self.live: Callable[[Received], Act] = offline_reply
        self.headers: list[dict[str, str]] = []
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = Listener(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> "BatchServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def asked(self) -> Counter[str]:
        """How often each request was in a batch."""
        return Counter(line["custom_id"] for job in self.jobs.values() for line in job.lines)

    def handle(self, name: str, work: Callable[[], Act]) -> Act:
        with self._lock:
            self.calls.append(name)
            return self.before(name) or _first(work(), lambda: self.after(name))

    # --- What each call does -----------------------------------------------------------------------

    def upload(self, body: bytes, boundary: bytes) -> Act:
        parts = dict(_part(part) for part in body.split(b"--" + boundary)[1:-1])
        name, content = parts["file"]
        file_id = self.keep(name, content)
        return replied({"id": file_id, "filename": name, "purpose": parts["purpose"][1].decode()})

    def keep(self, name: str, content: bytes) -> str:
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = (name, content)
        return file_id

    def list_files(self) -> Act:
        return listed({"id": id, "filename": name, "purpose": "batch"} for id, (name, _) in self.files.items())

    def content(self, file_id: str) -> Act:
        return Act(body=self.files[file_id][1]) if file_id in self.files else GONE

    def delete(self, file_id: str) -> Act:
        del self.files[file_id]
        return replied({"id": file_id, "deleted": True})

    def create(self, body: dict[str, Any]) -> Act:
        lines = [json.loads(line) for line in self.files[body["input_file_id"]][1].splitlines()]
        assert (body["endpoint"], body["completion_window"]) == ("/v1/chat/completions", "24h")
        assert len({line["body"]["model"] for line in lines}) == 1
        assert all((line["method"], line["url"]) == ("POST", "/v1/chat/completions") for line in lines)
        script = self.script.pop(0) if self.script else self.otherwise
        job = Job(f"batch_{len(self.jobs) + 1}", body["input_file_id"], body.get("metadata", {}), script, lines)
        self.jobs[job.id] = job
        return replied(self._shown(job))

    def poll(self, job_id: str) -> Act:
        if job_id not in self.jobs:
            return GONE
        job = self.jobs[job_id]
        job.polls += 1
        if job.state in ENDED and not job.files and not job.script.errors:
            for kind, lines in (("output", job.script.output), ("error", job.script.errors_file)):
                if content := b"".join(map(_line, lines(job.lines))):
                    job.files[kind] = self.keep(f"{job.id}-{kind}.jsonl", content)
        return replied(self._shown(job))

    def cancel(self, job_id: str) -> Act:
        self.jobs[job_id].cancelled = True
        return replied(self._shown(self.jobs[job_id]))

    def list_jobs(self) -> Act:
        return listed(map(self._shown, self.jobs.values()))

    def _shown(self, job: Job) -> dict[str, Any]:
        errors = [
            {"code": code, "message": message, "line": None, "param": None} for code, message in job.script.errors
        ]
        return {
            "id": job.id,
            "object": "batch",
            "status": job.state,
            "input_file_id": job.input_file_id,
            "metadata": job.metadata,
            "output_file_id": job.files.get("output"),
            "error_file_id": job.files.get("error"),
            "errors": {"data": errors} if errors and job.state in ENDED else None,
            "request_counts": {"total": len(job.lines), "completed": len(job.lines) // 2, "failed": 0},
        }


def replied(value: Any) -> Act:
    return Act(body=json.dumps(value).encode())


def listed(values: Iterable[Any]) -> Act:
    return replied({"object": "list", "data": list(values), "has_more": False})


GONE = Act(404, b'{"error": {"message": "No such object", "code": null}}')


def _first(act: Act, instead: Callable[[], Act | None]) -> Act:
    return instead() or act


def _line(line: Line | bytes) -> bytes:
    return line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"


def _part(part: bytes) -> tuple[str, tuple[str, bytes]]:
    head, _, content = part.partition(b"\r\n\r\n")
    words = dict(word.strip().split("=", 1) for word in head.decode().splitlines()[1].split(";")[1:])
    return words["name"].strip('"'), (words.get("filename", "").strip('"'), content.removesuffix(b"\r\n"))


class _Handler(Replying):
    provider: BatchServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_DELETE(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        self.provider.headers.append({name.lower(): value for name, value in self.headers.items()})
        name, work = self._call(body)
        act = self.provider.handle(name, work)
        if act.manner == "cut":
            self.reply(act, len(act.body) + 100)
            self.close_connection = True
        else:
            self.reply(act, len(act.body))

    def _call(self, body: bytes) -> tuple[str, Callable[[], Act]]:
        provider, path = self.provider, self.path.partition("?")[0].removeprefix("/v1/")
        match (self.command, *path.split("/")):
            case ("POST", "files"):
                boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
                return "POST file", lambda: provider.upload(body, boundary)
            case ("GET", "files"):
                return "GET files", provider.list_files
            case ("GET", "files", file_id, "content"):
                return "GET file", lambda: provider.content(file_id)
            case ("DELETE", "files", file_id):
                return "DELETE file", lambda: provider.delete(file_id)
            case ("POST", "batches"):
                return "POST batch", lambda: provider.create(json.loads(body))
            case ("GET", "batches"):
                return "GET batches", provider.list_jobs
            case ("GET", "batches", job_id):
                return "GET batch", lambda: provider.poll(job_id)
            case ("POST", "batches", job_id, "cancel"):
                return "POST cancel", lambda: provider.cancel(job_id)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return "POST chat", lambda: provider.live(Received(self.path, headers, json.loads(body)))
