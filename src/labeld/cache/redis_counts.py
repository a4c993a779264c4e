"""Counts of a minute that servers share in Redis. Without Redis each server counts for itself."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from labeld.cache.redis_link import RedisLink

LIMIT = 0.25
"""Seconds for a count, longer than for a cached answer: without it a limit is more than it should be."""

COUNT = """
local counted = redis.call('INCR', KEYS[1])
if counted == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {counted, redis.call('PTTL', KEYS[1])}
"""
"""In one step, so that a window that ends meanwhile leaves no count without an end."""

Waiting = tuple[str, float, "asyncio.Future[tuple[int, float] | None]"]


class RedisCounts:
    """Windows that are counted in Redis: each begins with its first count. Lives on one event loop."""

    def __init__(self, url: str) -> None:
        """Raises SettingsError when the URL is not one of Redis."""
        self._link = RedisLink(url, "The Redis in which requests per minute are counted", LIMIT)
        self._waiting: list[Waiting] = []
        self._asked: list[Waiting] = []
        """Those of the exchange that is going on."""

    async def open(self) -> None:
        """Connects; a Redis that is not there is only worth a warning."""
        await self._link.open()

    async def count(self, name: str, seconds: float) -> tuple[int, float] | None:
        """Counts one: how many there are in the window, and in how many seconds it ends.

        None when Redis does not say so within `LIMIT`.
        """
        if not self._link.reachable():
            return None
        counted: asyncio.Future[tuple[int, float] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, seconds, counted))
        self._link.exchange_soon(self._exchange, self._give_up)
        await asyncio.wait([counted], timeout=LIMIT)
        return counted.result() if counted.done() else None

    async def close(self) -> None:
        """Ends the connection."""
        await self._link.close()

    async def _exchange(self, client: Redis) -> None:
        """Counts what waits, newcomers included, until nothing is left."""
        while self._waiting:
            self._asked, self._waiting = self._waiting, []
            pipeline = client.pipeline(transaction=False)
            for name, seconds, _ in self._asked:
                pipeline.eval(COUNT, 1, f"labeld:minute:{name}", round(seconds * 1000))
            async with asyncio.timeout(LIMIT):
                replies: list[Any] = await pipeline.execute()
            for (*_, counted), (count, milliseconds) in zip(self._asked, replies, strict=True):
                counted.set_result((count, milliseconds / 1000))
            self._asked.clear()
            self._link.answered()

    def _give_up(self) -> None:
        """Resolves those that wait without a count."""
        for *_, counted in (*self._asked, *self._waiting):
            if not counted.done():
                counted.set_result(None)
        self._asked.clear()
        self._waiting.clear()
