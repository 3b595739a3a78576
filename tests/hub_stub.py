"""A loopback stand-in for the Hugging Face Hub, as far as loading and uploading a data set asks for it.

    with HubStub({"org/name": Repo({"train.jsonl": b"..."})}) as hub:
        ...  # HF_ENDPOINT=hub.url in another process; uploads with HF_HUB_DISABLE_XET=1

It tells repositories, lists their folders and serves their files; tokens are checked as the Hub
does: a token that it does not know is refused even for public data. What is uploaded goes through
the steps of UPLOADS, each of which `hub.faults` can make fail; a commit is taken whole or not at all.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

DROP, HANG = 0, -1  # faults beside statuses: the connection is closed, or nothing comes
UPLOADS = {
    "create": re.compile(r"POST /api/repos/create"),
    "check card": re.compile(r"POST /api/validate-yaml"),
    "preupload": re.compile(r"POST /api/datasets/(?P<repo>[^/]+/[^/]+)/preupload/main"),
    "batch": re.compile(r"POST /datasets/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    "store": re.compile(r"PUT /store/(?P<oid>\w+)"),
    "commit": re.compile(r"POST /api/datasets/(?P<repo>[^/]+/[^/]+)/commit/main"),
}
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
    """Serves `repos` on a free loopback port while entered; `tokens` are the valid ones.

    `faults` says what a step of UPLOADS answers instead; `steps` are those that were asked for. No token may write
    to the namespace `closed`.
    """

    def __init__(self, repos: dict[str, Repo], tokens: tuple[str, ...] = ()) -> None:
        self.repos = repos
        self.faults: dict[str, int] = {}
        self.steps: list[str] = []
        self._left = threading.Event()
        shared = {"faults": self.faults, "steps": self.steps, "left": self._left, "store": {}}
        handler = type("Handler", (_Handler,), {"repos": repos, "tokens": tokens, **shared})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubStub":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer with a body waits 40 ms
    repos: dict[str, Repo]
    tokens: tuple[str, ...]
    faults: dict[str, int]
    steps: list[str]
    left: threading.Event
    store: dict[str, bytes]

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
        card = repo.files.get("README.md", b"").decode()
        facts["cardData"] = yaml.safe_load(card.split("---\n")[1]) if card.startswith("---\n") else None
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

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        line = f"{self.command} {self.path.partition('?')[0]}"
        step, found = next((step, found) for step, rx in UPLOADS.items() if (found := rx.fullmatch(line)))
        self.steps.append(step)
        fault = self.faults.get(step)
        if fault == HANG:
            self.left.wait(60)
        if fault in (DROP, HANG):
            self.close_connection = True
        elif fault:
            self._refuse(fault, "", "fault")
        elif step != "store" and self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif "repo" in found.groupdict() and found["repo"] not in self.repos:
            self._refuse(404, "RepoNotFound", "Repository not found")
        else:
            getattr(self, "_" + step.replace(" ", "_"))(found.groupdict(), body)

    do_PUT = do_POST

    def _create(self, _: dict[str, str], body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "closed":
            return self._refuse(403, "", "You don't have the rights to create a dataset under this namespace")
        if name in self.repos:
            return self._answer({"error": "You already created this dataset repo", "url": name}, 409)
        self.repos[name] = Repo({".gitattributes": b""}, private=asked["visibility"] == "private")
        return self._answer({"url": name})

    def _check_card(self, _: dict[str, str], body: bytes) -> None:
        text = json.loads(body)["content"]
        try:
            fields = yaml.safe_load(text.split("---\n")[1])
            errors = [] if isinstance(fields, dict) else [{"message": "no fields"}]
        except yaml.YAMLError as exc:
            errors = [{"message": str(exc)}]
        return self._answer({"errors": errors, "warnings": [{"message": "advice"}]}, 400 if errors else 200)

    def _preupload(self, _: dict[str, str], body: bytes) -> None:
        paths = [file["path"] for file in json.loads(body)["files"]]
        modes = {path: "lfs" if path.endswith(".parquet") else "regular" for path in paths}
        self._answer({"files": [{"path": p, "uploadMode": mode, "shouldIgnore": False} for p, mode in modes.items()]})

    def _batch(self, _: dict[str, str], body: bytes) -> None:
        host = self.headers["Host"]
        objects = [
            {"oid": o["oid"], "size": o["size"], "actions": {"upload": {"href": f"http://{host}/store/{o['oid']}"}}}
            for o in json.loads(body)["objects"]
        ]
        self._answer({"transfer": "basic", "objects": objects})

    def _store(self, found: dict[str, str], body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != found["oid"]:
            return self._refuse(400, "", "not what was announced")
        self.store[found["oid"]] = body
        return self._answer({})

    def _commit(self, found: dict[str, str], body: bytes) -> None:
        files = dict(self.repos[found["repo"]].files)
        for line in body.splitlines():
            key, value = (entry := json.loads(line))["key"], entry["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.store[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        repo = self.repos[found["repo"]]
        repo.files = files
        url = f"http://{self.headers['Host']}/datasets/{found['repo']}/commit/{repo.sha}"
        self._answer({"commitUrl": url, "commitOid": repo.sha})

    def _answer(self, value: dict, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode())

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
