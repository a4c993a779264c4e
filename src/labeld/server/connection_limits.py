"""Refusals by a connection, limits on the number of connections, and a transport that lingers on close."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from labeld.config.settings import ConnectionLimits
from labeld.error_reply import encode_error, request_id
from labeld.errors import HeaderField, LabeldError, OverloadedError
from labeld.server.errors import CLOSE
from labeld.server.uvicorn_internals import STATUS_LINE
from labeld.system.loopback import is_loopback

Scope = dict[str, Any]
Reply = tuple[int, list[HeaderField], bytes]
"""Status, header fields and body."""
Refuse = Callable[[LabeldError, Scope], Reply]
"""Makes the reply to a request that the connection refuses.

The scope is ASGI's, without a path, and its headers are those that were received whole: none where nothing was read.
"""


def plain_refusal(refused: LabeldError, _: Scope) -> Reply:
    """The reply that any request gets."""
    return encode_error(refused, request_id())


def no_request() -> Scope:
    """The scope where a connection is refused before anything was read."""
    return {"type": "http", "http_version": "1.1", "method": "", "headers": []}


def refusal_bytes(reply: Reply, default_headers: list[HeaderField]) -> bytes:
    """A refusal as it is written; it is the last reply of its connection."""
    status, headers, body = reply
    fields = (*default_headers, *(one for one in headers if one != CLOSE), CLOSE)
    return STATUS_LINE[status] + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n" + body


class ConnectionLimiter:
    """Counts open connections by address in this process, and those that are being rejected."""

    def __init__(self, limits: ConnectionLimits, refuse: Refuse) -> None:
        self.limits, self.refuse = limits, refuse
        self.by_address: Counter[str] = Counter()
        self.rejected = 0

    def acquire(self, address: str, connections: int) -> OverloadedError | None:
        """Counts a connection of `address`, the `connections`th in all; returns the error of a rejection, or None."""
        limits = self.limits
        if connections > limits.max_connections:
            setting = "max_connections"
            reached = f"The server has its limit of {limits.max_connections} connections open"
        elif not is_loopback(address) and self.by_address[address] >= limits.max_connections_per_address:
            setting = "max_connections_per_address"
            reached = f"Your address has its limit of {limits.max_connections_per_address} connections open"
        else:
            self.by_address[address] += 1
            return None
        self.rejected += 1
        return OverloadedError(f"{reached} (setting {setting}): close one, or come back later.", 1.0, setting)

    def release(self, address: str, *, admitted: bool) -> None:
        """One connection of `address` has ended; `admitted` is false for a rejected one."""
        if not admitted:
            self.rejected -= 1
            return
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]


HEAD, INFORMATIONAL = b"HTTP/1.1 ", b"HTTP/1.1 1"
"""How the head of a reply begins, and one that another head follows."""


class LingeringTransport(asyncio.Transport):
    """A connection's transport as uvicorn sees it; how it is closed is the protocol's decision.

    The head of a reply waits for what follows it: of a process that dies a proxy has a whole reply, or none and may ask
    another server; and it is one system call less.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None], is_closing: Callable[[], bool]) -> None:
        super().__init__()
        self._close, self._is_closing, self._write, self._head = close, is_closing, transport.write, b""
        # NOTE: bound directly because a delegating method costs 70 ns
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]  # same signature, less one call
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]  # as above
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]  # as above

    def write(self, data: bytes) -> None:  # type: ignore[override]  # uvicorn writes nothing else
        """Writes the data, or keeps it when it is the head of a reply."""
        if self._head:
            head, self._head = self._head, b""
            self._write(head + data)
        elif data.startswith(HEAD) and data.endswith(b"\r\n\r\n") and not data.startswith(INFORMATIONAL):
            self._head = data
        else:
            self._write(data)

    def end_reply(self) -> None:
        """Writes a head that nothing has followed: the reply has no body."""
        if self._head:
            self.write(b"")

    def is_closing(self) -> bool:
        """True when no further reply can be written."""
        return self._is_closing()

    def close(self) -> None:
        """Ends the connection after the client got everything that was written."""
        self.end_reply()
        self._close()
