"""A small Hub on this machine: it speaks the Hub's HTTP to the real huggingface_hub, and misbehaves on command."""

import gzip
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS = (".safetensors", ".bin", ".onnx", ".h5", ".msgpack")
"""Endings of files that are stored by Git LFS, and so served by redirect."""

API = re.compile(r"/api/models/(?P<id>[^/]+(?:/[^/]+)?)(?:/(?P<what>revision|tree)/(?P<rev>[^/]+))?")
RESOLVE = re.compile(r"/(?P<id>[^/]+(?:/[^/]+)?)/resolve/(?P<rev>[^/]+)/(?P<file>[^/]+)")
CDN = re.compile(r"/cdn/(?P<commit>[0-9a-f]{40})/(?P<sha256>[0-9a-f]{64})/(?P<file>[^/]+)")


@dataclass
class Repository:
    """A model of the Hub."""

    files: dict[str, bytes]
    private: bool = False
    gated: bool = False
    token: str = ""
    """The token that may read it, when it is private or gated."""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str = "main") -> str:
        """Makes a commit of the present files; its id."""
        digest = hashlib.sha1(json.dumps({name: sha256(data) for name, data in sorted(self.files.items())}).encode())
        self.branches[branch] = digest.hexdigest()
        self.commits[digest.hexdigest()] = dict(self.files)
        return digest.hexdigest()


@dataclass
class Fault:
    """Something that the Hub does wrong."""

    kind: str
    on: str = ""
    """A part of the paths concerned."""
    times: int = 1_000_000
    after: int = 0
    """Bytes sent as they should be."""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    """The git object id of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that left, or one that was cut off on command: no news."""


class LocalHub:
    """The server, and the faults that a test can set."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.fault: Fault | None = None
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers (lower case) of every request."""
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.renamed: dict[str, str] = {}

    def add(self, model_id: str, files: dict[str, bytes], **options: Any) -> str:
        """Adds a model with one commit on main, whose id this is."""
        self.repositories[model_id] = Repository(files, **options)
        return self.repositories[model_id].commit()

    def asked(self, part: str = "", method: str = "GET") -> list[str]:
        """Paths of the requests so far that contain `part`."""
        return [path for how, path, _ in self.requests if how == method and part in path]

    def downloads(self) -> Counter[str]:
        """How often each file was asked for."""
        return Counter(found["file"] for path in self.asked() if (found := RESOLVE.fullmatch(path)))

    def current_fault(self, path: str) -> Fault | None:
        """The fault that this request meets, which is one fewer then."""
        fault = self.fault
        if fault is None or fault.on not in path or fault.times <= 0:
            return None
        fault.times -= 1
        return fault

    def start(self) -> None:
        """Serves on a thread."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Serves no more."""
        self.fault = None
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A Hub for as long as the context."""
    hub = LocalHub()
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def _handler(hub: LocalHub) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        """Requests to this Hub."""

    Handler.hub = hub
    return Handler


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        """Answers a HEAD as a GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answers, or misbehaves."""
        split = urlsplit(self.path)
        path = unquote(split.path)
        self.hub.requests.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        fault = self.hub.current_fault(path)
        with suppress(ConnectionError):
            if fault and fault.kind == "status":
                self._send(fault.status, b'{"error": "a secret of the Hub"}', fault.headers)
            elif fault and fault.kind == "silent":
                self._wait_while(fault)
            elif found := API.fullmatch(split.path):
                self._api(
                    found["id"], found["what"] or "", unquote(found["rev"] or "main"), parse_qs(split.query), fault
                )
            elif found := RESOLVE.fullmatch(split.path):
                self._resolve(found["id"], unquote(found["rev"]), unquote(found["file"]), fault)
            elif found := CDN.fullmatch(split.path):
                headers = {"X-Repo-Commit": found["commit"], "ETag": f'"{found["sha256"]}"'}
                self._content(self._by_hash(found["sha256"]), headers, fault)
            else:
                self._send(404, b"{}")

    def _repository(self, model_id: str, files: bool) -> Repository | None:
        """The repository, if it may be seen; answers itself otherwise."""
        repository = self.hub.repositories.get(model_id)
        known = repository is not None and self.headers.get("authorization") == f"Bearer {repository.token}"
        if repository is None or (repository.private and not known):
            self._send(404 if self.headers.get("authorization") else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif repository.gated and files and not known:
            status = 403 if self.headers.get("authorization") else 401
            self._send(status, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {model_id} is no"})
        else:
            return repository
        return None

    def _commit(self, repository: Repository, revision: str) -> str | None:
        commit = repository.branches.get(revision, revision)
        if commit in repository.commits:
            return commit
        self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return None

    def _api(self, model_id: str, what: str, revision: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        if new := self.hub.renamed.get(model_id):
            self._send(307, b"", {"Location": self.path.replace(model_id, new)})
            return
        repository = self._repository(model_id, files=False)
        commit = repository and self._commit(repository, revision)
        if repository is None or commit is None:
            return
        siblings = []
        for name, data in repository.commits[commit].items():
            one: dict[str, Any] = {"rfilename": name}
            if "blobs" in query or what == "tree":
                one |= {"size": len(data), "blobId": git_sha1(data)}
                if name.endswith(LFS):
                    one["lfs"] = {"size": len(data), "sha256": sha256(data), "pointerSize": 134}
            siblings.append(one)
        reply: Any = {"id": model_id, "sha": commit, "siblings": siblings, "private": repository.private}
        with suppress(KeyError, ValueError):
            config = json.loads(repository.commits[commit]["config.json"])
            reply["config"] = {name: config[name] for name in ("architectures", "model_type")}
        if what == "tree":
            reply = [_tree_entry(one) for one in siblings]
        kind = fault.kind if fault else ""
        if kind == "wrong commit":
            reply["sha"] = "0" * 40
        if kind == "no hashes":
            reply["siblings"] = [{"rfilename": one["rfilename"]} for one in siblings]
        body = b"<html>" if kind == "nonsense" else json.dumps(reply).encode()
        self._content(body, {"Content-Type": "application/json"}, fault)

    def _resolve(self, model_id: str, revision: str, name: str, fault: Fault | None) -> None:
        if new := self.hub.renamed.get(model_id):
            self._send(307, b"", {"Location": self.path.replace(model_id, new)})
            return
        repository = self._repository(model_id, files=True)
        commit = repository and self._commit(repository, revision)
        if repository is None or commit is None:
            return
        data = repository.commits[commit].get(name)
        if data is None:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if fault and fault.kind == "redirect":
            self._send(302, b"", headers | fault.headers)
        elif name.endswith(LFS):
            linked = {"X-Linked-ETag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
            self._send(302, b"", headers | linked | {"Location": f"/cdn/{commit}/{sha256(data)}/{name}"})
        else:
            self._content(data, headers | {"ETag": f'"{git_sha1(data)}"'}, fault)

    def _by_hash(self, digest: str) -> bytes:
        every = (
            data for one in self.hub.repositories.values() for files in one.commits.values() for data in files.values()
        )
        return next(data for data in every if sha256(data) == digest)

    def _content(self, data: bytes, headers: dict[str, str], fault: Fault | None) -> None:
        """Sends a file, or the part of it that Range asks for."""
        kind = fault.kind if fault else ""
        if kind == "content":
            data = data[:-1] + bytes([data[-1] ^ 1])
        elif kind == "short":
            data = data[:-1]
        elif kind == "compressed":
            data, headers = gzip.compress(data), headers | {"Content-Encoding": "gzip"}
        status, start = 200, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if asked and kind != "no range":
            status, start = 206, int(asked[1])
            headers = headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        body = data[start:]
        if kind == "endless":
            self._head(status, headers | {"Connection": "close"})
            self._endless(body, fault)
            return
        self._head(status, headers | {"Content-Length": str(len(body))})
        if self.command == "HEAD":
            return
        if kind in ("cut", "slow"):
            assert fault is not None
            self.wfile.write(body[: fault.after])
            self.wfile.flush()
            for one in body[fault.after :] if kind == "slow" else b"":
                if self.hub.fault is not fault:
                    break
                self.wfile.write(bytes([one]))
                self.wfile.flush()
                time.sleep(0.01)
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(body)

    def _endless(self, body: bytes, fault: Fault | None) -> None:
        self.close_connection = True
        self.wfile.write(body)
        while self.hub.fault is fault:
            self.wfile.write(bytes(65536))

    def _wait_while(self, fault: Fault) -> None:
        while self.hub.fault is fault:
            time.sleep(0.01)
        self.close_connection = True

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)


def _tree_entry(sibling: dict[str, Any]) -> dict[str, Any]:
    """The file as the tree API describes it."""
    entry = {"type": "file", "path": sibling["rfilename"], "size": sibling["size"], "oid": sibling["blobId"]}
    lfs = sibling.get("lfs")
    return entry | ({"lfs": {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": 134}} if lfs else {})
