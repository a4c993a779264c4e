"""Refusals by a connection, limits on the number of connections, and a transport that lingers on close."""

import asyncio
from collections import Counter
from collections.abc import Callable

from labeld.config.settings import ConnectionLimits
from labeld.error_reply import encode_error, request_id
from labeld.errors import HeaderField, LabeldError, OverloadedError
from labeld.server.uvicorn_internals import STATUS_LINE
from labeld.system.loopback import is_loopback


def refusal_reply(refused: LabeldError, default_headers: list[HeaderField]) -> bytes:
    """The bytes of the reply to a refused request, which is the last one of its connection."""
    status, headers, body = encode_error(refused, request_id())
    fields = (*default_headers, *headers, (b"connection", b"close"))
    return STATUS_LINE[status] + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n" + body


OnRefused = Callable[[int], None]
"""Called with the status of a refusal, which the application does not see."""


class ConnectionLimiter:
    """Counts open connections by address in this process, and those that are being rejected."""

    def __init__(self, limits: ConnectionLimits, on_refused: OnRefused) -> None:
        self.limits, self.on_refused = limits, on_refused
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


class LingeringTransport(asyncio.Transport):
    """A connection's transport as uvicorn sees it; how it is closed is the protocol's decision."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None], is_closing: Callable[[], bool]) -> None:
        super().__init__()
        self._close, self._is_closing = close, is_closing
        # NOTE: bound directly because every reply writes twice and a delegating method costs 70 ns.
        self.write = transport.write  # type: ignore[method-assign]  # same signature, less one call
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]  # as above
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]  # as above
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]  # as above

    def is_closing(self) -> bool:
        """True when no further reply can be written."""
        return self._is_closing()

    def close(self) -> None:
        """Ends the connection after the client got everything that was written."""
        self._close()
