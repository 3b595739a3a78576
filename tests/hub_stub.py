"""A loopback stand-in for the Hugging Face Hub, as far as loading a data set asks for it.

    with HubStub({"org/name": Repo({"train.jsonl": b"..."})}) as hub:
        ...  # HF_ENDPOINT=hub.url in another process

It tells repositories, lists their folders and serves their files; tokens are checked as the Hub
does: a token that it does not know is refused even for public data.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)(/revision/\w+)?")
TREE = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)/tree/\w+(?P<folder>/.*)?")
FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/\w+/(?P<path>.+)")


@dataclass
class Repo:
    """Files by path. `private` and `gated` ask for a token; `info_status` and `file_status` are faults."""

    files: dict[str, bytes] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    info_status: int = 200
    file_status: int = 200

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


class HubStub:
    """Serves `repos` on a free loopback port while entered; `tokens` are the valid ones."""

    def __init__(self, repos: dict[str, Repo], tokens: tuple[str, ...] = ()) -> None:
        handler = type("Handler", (_Handler,), {"repos": repos, "tokens": tokens})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubStub":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repos: dict[str, Repo]
    tokens: tuple[str, ...]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        for pattern, answer in ((INFO, self._info), (TREE, self._tree), (FILE, self._file)):
            if found := pattern.fullmatch(path):
                repo = self.repos.get(found["repo"])
                if repo is None or (repo.private and not token):
                    return self._refuse(404, "RepoNotFound", "Repository not found")
                if repo.gated and not token and answer != self._info:
                    return self._refuse(401, "GatedRepo", "Access to this data set is restricted")
                return answer(repo, found)
        return self._refuse(404, "", "no such route")

    do_HEAD = do_GET

    def _info(self, repo: Repo, found: re.Match) -> None:
        if repo.info_status != 200:
            return self._refuse(repo.info_status, "", "fault")
        siblings = [{"rfilename": path} for path in repo.files]
        facts = {"gated": "manual" if repo.gated else False, "private": repo.private, "siblings": siblings, "tags": []}
        return self._send(200, json.dumps({"id": found["repo"], "sha": repo.sha, **facts}).encode())

    def _tree(self, repo: Repo, found: re.Match) -> None:
        prefix = found["folder"].strip("/") + "/" if found["folder"] else ""
        inside = [path for path in repo.files if path.startswith(prefix)]
        if prefix and not inside:
            return self._refuse(404, "EntryNotFound", "no such folder")
        entries = [
            {"type": "file", "path": path, "size": len(repo.files[path]), "oid": _digest(repo.files[path])}
            for path in inside
        ]
        return self._send(200, json.dumps(entries).encode())

    def _file(self, repo: Repo, found: re.Match) -> None:
        path = found["path"]
        if repo.file_status != 200:
            return self._refuse(repo.file_status, "", "fault")
        if path not in repo.files:
            return self._refuse(404, "EntryNotFound", "no such file", {"X-Repo-Commit": repo.sha})
        body = repo.files[path]
        return self._send(200, body, {"ETag": f'"{_digest(body)}"', "X-Repo-Commit": repo.sha})

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        said = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(status, json.dumps({"error": message}).encode(), said | (headers or {}))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def _digest(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()
