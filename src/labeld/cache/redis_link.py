"""A connection to a Redis that may be slow, down or wrong: after a failure it is not asked for a pause, which grows."""

import asyncio
import logging
import time
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


class RedisLink:
    """One connection, for one exchange at a time. Lives on one event loop; `open` before use."""

    def __init__(self, url: str, user: str, limit: float = LIMIT) -> None:
        """`user` names what uses it, in the log; a Redis that answers within `limit` is used.

        Raises SettingsError when the URL is not one of Redis.
        """
        self._url, self._user, self._limit = url, user, limit
        self.client: Redis | None = None
        """None in a pause."""
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
        if self.client is None and self._connecting is None and time.monotonic() >= self._ask_again_at:
            self._connecting = asyncio.create_task(self._connect())
        return self.client is not None

    def answered(self) -> None:
        """An exchange went well."""
        if self._pause:
            logger.warning("%s answers again", self._user)
        self._pause = 0.0

    def failed(self, error: Exception) -> None:
        """An exchange failed: the pause begins. Whoever used the client ends it with `end`."""
        self.client = None
        if not self._pause:  # NOTE: its own words may have its address with the password in it
            logger.warning("%s fails (%s); requests are answered without it", self._user, type(error).__name__)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
        self._ask_again_at = time.monotonic() + self._pause

    async def close(self) -> None:
        """Ends the connection."""
        if self._connecting:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self.client:
            await end(self.client)
            self.client = None

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
            self.failed(error)
        else:
            self.client = client
        finally:
            self._connecting = None
            if self.client is not client:
                await end(client)


async def end(client: Redis) -> None:
    """Closes a connection on which anything went wrong, or that nobody needs."""
    with suppress(Exception):
        async with asyncio.timeout(1.0):
            await client.aclose()
