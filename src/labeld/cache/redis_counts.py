"""Counts of a minute that servers share in Redis. Without Redis each server counts for itself."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from labeld.cache.redis_link import RedisLink, end

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
        self._exchanging: asyncio.Task[None] | None = None
        self._waiting: list[Waiting] = []

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
        if self._exchanging is None and self._link.client is not None:
            self._exchanging = asyncio.create_task(self._exchange(self._link.client))
        await asyncio.wait([counted], timeout=LIMIT)
        return counted.result() if counted.done() else None

    async def close(self) -> None:
        """Ends the connection."""
        if self._exchanging:
            self._exchanging.cancel()
            await asyncio.wait([self._exchanging])
        await self._link.close()

    async def _exchange(self, client: Redis) -> None:
        """Counts what waits, and what comes meanwhile; it is nobody's, so no caller who leaves breaks it off."""
        taken: list[Waiting] = []
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, []
                pipeline = client.pipeline(transaction=False)
                for name, seconds, _ in taken:
                    pipeline.eval(COUNT, 1, f"labeld:minute:{name}", round(seconds * 1000))
                async with asyncio.timeout(LIMIT):
                    replies: list[Any] = await pipeline.execute()
                for (*_, counted), (count, milliseconds) in zip(taken, replies, strict=True):
                    counted.set_result((count, milliseconds / 1000))
                self._link.answered()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with Redis, requests are answered
            self._link.failed(error)
        finally:
            self._exchanging = None
            if self._link.client is None:
                for *_, counted in (*taken, *self._waiting):
                    if not counted.done():
                        counted.set_result(None)
                self._waiting.clear()
        if self._link.client is None:
            await end(client)
