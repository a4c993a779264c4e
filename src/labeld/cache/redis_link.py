"""A connection to a Redis that may be slow, down or wrong: after a failure it is not asked for a pause, which grows."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from labeld.errors import SettingsError

logger = logging.getLogger(__name__)

LIMIT = 0.015
"""Seconds that an exchange may take, and that a request waits at most."""
CONNECT_LIMIT = 2.0
"""Seconds to connect; no request waits for that, only the start of the server."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds for which Redis is not asked after a failure, at first and at most; doubled by each failure in a row."""


Exchange = Callable[[Redis], Awaitable[None]]
"""Exchanges all that waits, also what comes meanwhile, and calls `answered` after each reply; raises whatever fails."""


class RedisLink:
    """One connection, for one exchange at a time. Lives on one event loop; `open` before use."""

    def __init__(self, url: str, user: str, limit: float = LIMIT) -> None:
        """`user` names what uses it, in the log; a Redis that answers within `limit` is used.

        Raises SettingsError when the URL is not one of Redis.
        """
        self._url, self._user, self._limit = url, user, limit
        self._client: Redis | None = None
        """None in a pause."""
        self._exchanging: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._pause, self._ask_again_at = 0.0, 0.0
        try:
            self._new_client()
        except ValueError:
            raise SettingsError(
                "The setting cache is not the address of a Redis: give redis://host:port/db, rediss:// or unix://."
            ) from None

    async def open(self) -> None:
        """Connects; a Redis that is not there is only worth a warning."""
        await self._connect()

    def reachable(self) -> bool:
        """Whether to ask Redis; after a failure, and once the pause is over, this sends one to look."""
        if self._client is None and self._connecting is None and time.monotonic() >= self._ask_again_at:
            self._connecting = asyncio.create_task(self._connect())
        return self._client is not None

    def exchange_soon(self, exchange: Exchange, give_up: Callable[[], None]) -> None:
        """Begins an exchange, unless one is going on or Redis is in a pause; after one that failed calls `give_up`.

        It is nobody's, so no caller who leaves breaks it off.
        """
        if self._exchanging is None and self._client is not None:
            self._exchanging = asyncio.create_task(self._run(self._client, exchange, give_up))

    def answered(self) -> None:
        """Redis has replied: the next failure begins with a short pause again."""
        if self._pause:
            logger.warning("%s answers again", self._user)
        self._pause = 0.0

    async def close(self) -> None:
        """Ends the connection and what runs in the background."""
        for task in (self._exchanging, self._connecting):
            if task:
                task.cancel()
                await asyncio.wait([task])
        if self._client:
            await _end(self._client)
            self._client = None

    async def _run(self, client: Redis, exchange: Exchange, give_up: Callable[[], None]) -> None:
        try:
            await exchange(client)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with Redis, requests are answered
            self._failed(error)
        finally:
            self._exchanging = None
            if self._client is None:
                give_up()
        if self._client is None:
            await _end(client)

    def _failed(self, error: Exception) -> None:
        """Begins a pause. Whoever used the client ends it with `_end`."""
        self._client = None
        if not self._pause:  # NOTE: its own words may have its address with the password in it
            logger.warning("%s fails (%s); requests are answered without it", self._user, type(error).__name__)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
        self._ask_again_at = time.monotonic() + self._pause

    def _new_client(self) -> Redis:
        return Redis.from_url(
            self._url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=CONNECT_LIMIT, max_connections=1
        )

    async def _connect(self) -> None:
        client = self._new_client()
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await client.ping()
            async with asyncio.timeout(self._limit):  # NOTE: so that no request is the first to find it slow
                await client.ping()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with Redis, requests are answered
            self._failed(error)
        else:
            self._client = client
        finally:
            self._connecting = None
            if self._client is not client:
                await _end(client)


async def _end(client: Redis) -> None:
    """Closes a connection on which anything went wrong, or that nobody needs."""
    with suppress(Exception):
        async with asyncio.timeout(1.0):
            await client.aclose()
