"""A plain keep-alive HTTP client on a socket, which adds no time of a client library."""

import json
import socket
from types import TracebackType
from typing import Any, Self

TIMEOUT = 60.0


def get(path: str) -> bytes:
    """The bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, inputs: str | list[str], *, wait: bool = False) -> bytes:
    """The bytes of a request to classify one text or several, past the answer cache; `wait` sets X-Wait-For-Model."""
    body = json.dumps({"inputs": inputs}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Use-Cache: false\r\n"
    waiting = "X-Wait-For-Model: true\r\n" if wait else ""
    return f"{head}{waiting}Content-Length: {len(body)}\r\n\r\n".encode() + body


def post_json(path: str, body: Any, *, cached: bool = False) -> bytes:
    """The bytes of a request with this JSON, by default past the answer cache."""
    content = json.dumps(body).encode()
    fields = "" if cached else "X-Use-Cache: false\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class Connection:
    """One connection to a port of this machine; raises OSError when it cannot be made or ends."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Sends a request and waits for the whole answer: its status and its body."""
        head, body = self._answer(request)
        return int(head[9:12]), body

    def exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """As `ask`, with the header fields between, by their names in small letters."""
        head, body = self._answer(request)
        fields = (line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:])
        return int(head[9:12]), {name: value for name, _, value in fields}, body

    def _answer(self, request: bytes) -> tuple[bytes, bytes]:
        """The head of the answer in small letters, and its body."""
        self._socket.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(data) < end + 4 + length:
            data += self._more()
        return head, data[end + 4 :]

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
