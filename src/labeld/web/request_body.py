"""The body of a request, and the disconnection of its client."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request
from starlette.types import Receive

from labeld.config.settings import ConnectionLimits, InputLimits
from labeld.errors import BodyTooLargeError, OverloadedError, UnavailableError
from labeld.server.errors import BODY_GRACE, too_late, too_slow
from labeld.system.loopback import is_loopback
from labeld.web.errors import TooSlowError
from labeld.web.request_state import client_address, state_of

T = TypeVar("T")

SHARES = 4
"""Divisor of `max_partial_bytes`: the share of it that one address may have is a quarter."""


class BodyReader:
    """Reads the bodies of requests, and bounds the memory of those that have arrived in part.

    A body that arrives whole in one read is never refused for others, so bytes that crawl keep nobody else away.
    """

    def __init__(self, limits: InputLimits, pace: ConnectionLimits | None = None) -> None:
        """`pace` says how slowly a body may arrive, where the server in front does not see to that.

        Then the addresses are those of a proxy, and have no share.
        """
        self._limit, self._pace = limits.max_partial_bytes, pace
        self._share = self._limit if pace else max(self._limit // SHARES, limits.max_body_bytes)
        self._part = self._paced_part if pace else _next_part
        self._total = 0
        self._by_address: Counter[str] = Counter()

    async def read(self, request: Request, max_bytes: int) -> bytes:
        """The request's body, of at most so many bytes.

        Raises BodyTooLargeError before it has read more, or OverloadedError when bodies that have arrived in part take
        more than all of them, or those of one address, may (setting max_partial_bytes), or SlowRequestError.
        """
        if int(state_of(request.scope).headers.get("content-length", "0")) > max_bytes:
            raise BodyTooLargeError(max_bytes)
        first, more = await self._part(request, 0, max_bytes)
        if not more:  # NOTE: nearly always, so nothing is counted for it
            return first
        address, parts, size = client_address(request.scope), [first], len(first)
        held = 0
        try:
            while more:
                held += len(parts[-1])
                self._hold(address, len(parts[-1]))
                part, more = await self._part(request, size, max_bytes)
                parts.append(part)
                size += len(part)
            return b"".join(parts)
        finally:
            self._count(address, -held)

    async def _paced_part(self, request: Request, size: int, max_bytes: int) -> tuple[bytes, bool]:
        """As `_next_part`; raises SlowRequestError, too."""
        assert self._pace is not None
        rate, limit = self._pace.min_body_rate, self._pace.body_timeout
        allowed = max(BODY_GRACE, size / rate) if rate else limit
        try:
            async with asyncio.timeout(min(allowed, limit) - (time.perf_counter() - state_of(request.scope).began)):
                return await _next_part(request, size, max_bytes)
        except TimeoutError:
            if allowed < limit:
                raise too_slow(rate) from None
            raise too_late(limit) from None

    def _hold(self, address: str, count: int) -> None:
        """Counts bytes that have arrived; raises OverloadedError when they are too many."""
        self._count(address, count)
        if not is_loopback(address) and self._by_address[address] > self._share:
            whose, limit = "Your address's", self._share
        elif self._total > self._limit:
            whose, limit = "All", self._limit
        else:
            return
        raise OverloadedError(
            f"{whose} bodies that have arrived in part exceed {limit} bytes (setting max_partial_bytes): "
            "try again later.",
            1.0,
            "max_partial_bytes",
        )

    def _count(self, address: str, count: int) -> None:
        self._total += count
        self._by_address[address] += count
        if not self._by_address[address]:
            del self._by_address[address]


async def _next_part(request: Request, size: int, max_bytes: int) -> tuple[bytes, bool]:
    """The next part of a body of which so many bytes have arrived, and whether there are more.

    Raises BodyTooLargeError, or UnavailableError.
    """
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise UnavailableError("The client has left.")  # nobody reads this
    body: bytes = message["body"]
    if size + len(body) > max_bytes:
        raise BodyTooLargeError(max_bytes)
    return body, message["more_body"]


async def cancel_on_disconnect(answer: Awaitable[T], request: Request, within: float | None = None) -> T:
    """The answer; cancelled when the client disconnects, so that its queued texts cost no engine time.

    Raises TooSlowError when it takes longer than `within` seconds.
    """
    try:
        async with asyncio.timeout(within):
            return await _until_disconnected(answer, request)
    except TimeoutError:
        raise TooSlowError(within or 0.0) from None


async def _until_disconnected(answer: Awaitable[T], request: Request) -> T:
    work = asyncio.ensure_future(answer)
    gone = asyncio.create_task(_disconnected(request.receive))
    gone.add_done_callback(lambda _: work.cancel())
    try:
        return await work
    except asyncio.CancelledError:
        if gone.done() and not gone.cancelled():
            raise UnavailableError("The client has left.") from None  # nobody reads this
        raise
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
