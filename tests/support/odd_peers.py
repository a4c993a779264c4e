"""Servers of other people: one of transformers in a process of its own, and small ones that misbehave on command."""

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.paths import TESTS


@dataclass(frozen=True)
class Reply:
    """What a small server answers."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    """The body instead of the value as JSON."""
    content_type: str = "application/json"
    hangs: bool = False
    """Nothing is sent until the server ends."""
    closes: bool = False
    """The connection is closed in the middle of the body."""


@dataclass
class OddPeer:
    """A small server that runs, and the requests it has had."""

    url: str
    asked: list[tuple[str, str, Mapping[str, str], Any]] = field(default_factory=list)
    """Method, path, headers by lower-case name, and the value of the body."""

    def posts(self) -> list[Any]:
        """The values of the bodies that were posted."""
        return [value for method, _, _, value in self.asked if method == "POST"]


@contextmanager
def odd_peer(answer: Callable[[str, str, Any, int], Reply], tls: ssl.SSLContext | None = None) -> Iterator[OddPeer]:
    """A server on a free port whose replies are `answer(method, path, value, number of requests before)`."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # a reply is one packet, and nobody waits for the acknowledgement of its head

        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, method: str, value: Any) -> None:
            headers = {name.lower(): one for name, one in self.headers.items()}
            running.asked.append((method, self.path, headers, value))
            reply = answer(method, self.path, value, len(running.asked) - 1)
            if reply.hangs:
                ended.wait(60)
                self.close_connection = True
                return
            body = json.dumps(reply.value).encode() if reply.content is None else reply.content
            self.send_response(reply.status)
            for name, one in {"content-type": reply.content_type, **reply.headers}.items():
                self.send_header(name, one)
            self.send_header("content-length", str(len(body) + (10 if reply.closes else 0)))
            self.end_headers()
            self.wfile.write(body)
            if reply.closes:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """A client that is gone is what tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        running = OddPeer(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}")
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            ended.set()
            server.shutdown()
            thread.join()


@contextmanager
def transformers_server(folder: Path) -> Iterator[str]:
    """The URL of `POST /classify {"text", "pair"}`, answered by transformers' pipeline in a process of its own."""
    command = [sys.executable, str(TESTS / "support/transformers_server.py"), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/classify"
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):
            process.stdout.close()
