"""Answers in a Redis that servers share. It may be slow, down or wrong, and requests must not suffer from that.

One connection, one exchange at a time: what has gathered meanwhile, look-ups and answers to keep, goes in the next one.
An exchange belongs to the store and not to a request, so a client that leaves cannot leave a reply behind in the
connection for somebody else (as happened to redis-py's users in 2023); a connection on which anything went wrong is
dropped (`redis_link`).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from labeld.cache.redis_link import LIMIT, RedisLink
from labeld.cache.signing import sign, verify
from labeld.types import Answer

logger = logging.getLogger(__name__)

EXCHANGE_SIZE = 512
"""Look-ups, and answers to store, of one exchange, at most."""
MOST_WAITING = 4 * 1024 * 1024
"""Bytes of answers that may wait to be stored; more are dropped."""

V = TypeVar("V")


class RedisStore:
    """The shared store of an AnswerCache. Lives on one event loop; `open` before use."""

    def __init__(self, url: str, secret: str, ttl: float) -> None:
        """Raises SettingsError when the URL is not one of Redis."""
        self._link = RedisLink(url, "The shared answer cache")
        self._secret, self._milliseconds = secret.encode(), max(1, round(ttl * 1000))
        self._refuses = False
        self._lookups: dict[bytes, asyncio.Future[Answer | None]] = {}
        self._asked: dict[bytes, asyncio.Future[Answer | None]] = {}
        """Look-ups of the exchange that is going on."""
        self._keeps: dict[bytes, bytes] = {}
        self._waiting_bytes = 0

    async def open(self) -> None:
        """Connects; logs a warning when Redis cannot be reached."""
        await self._link.open()

    async def get(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """The answers that Redis has and whose signature is right; waits for `LIMIT` at most."""
        if not self._link.reachable():
            return {}
        loop = asyncio.get_running_loop()
        asked = {key: self._lookups.setdefault(key, loop.create_future()) for key in keys}
        self._link.exchange_soon(self._exchange, self._give_up)
        await asyncio.wait(asked.values(), timeout=LIMIT)
        return {key: answer for key, future in asked.items() if future.done() and (answer := future.result())}

    def put(self, answers: Mapping[bytes, Answer]) -> None:
        """Stores answers soon; drops them when Redis is in a pause or too many wait."""
        if not self._link.reachable():
            return
        for key, answer in answers.items():
            value = sign(key, answer, self._secret)
            if key not in self._keeps and self._waiting_bytes + len(value) <= MOST_WAITING:
                self._keeps[key] = value
                self._waiting_bytes += len(value)
        self._link.exchange_soon(self._exchange, self._give_up)

    async def close(self) -> None:
        """Ends the connection and what runs in the background."""
        await self._link.close()

    async def _exchange(self, client: Redis) -> None:
        """Exchanges everything that waits, newcomers included, until nothing is left."""
        while self._lookups or self._keeps:
            self._asked, keeps = _take(self._lookups), _take(self._keeps)
            self._waiting_bytes -= sum(map(len, keeps.values()))
            async with asyncio.timeout(LIMIT):
                values = await self._exchanged(client, list(self._asked), keeps)
            for (key, future), value in zip(self._asked.items(), values, strict=True):
                future.set_result(verify(key, value, self._secret) if isinstance(value, bytes) else None)
            self._asked.clear()
            self._link.answered()

    async def _exchanged(self, client: Redis, lookups: list[bytes], keeps: dict[bytes, bytes]) -> list[Any]:
        """The value of each look-up; raises RedisError, OSError or TimeoutError, or what a broken reply leads to."""
        pipeline = client.pipeline(transaction=False)
        if lookups:
            pipeline.mget([_name(key) for key in lookups])
        for key, value in keeps.items():
            pipeline.set(_name(key), value, px=self._milliseconds)
        replies = await pipeline.execute(raise_on_error=False)
        values = replies.pop(0) if lookups else []
        if not isinstance(values, list):
            raise values if isinstance(values, RedisError) else RedisError("MGET was not answered by a list")
        if replies:
            self._note_refusal(next((reply for reply in replies if isinstance(reply, Exception)), None))
        return values

    def _note_refusal(self, refusal: Exception | None) -> None:
        """Logs once that answers are not stored: out of memory, or a replica. Such a Redis is still read."""
        if refusal and not self._refuses:
            logger.warning("The shared answer cache keeps no answers: %s", refusal)
        self._refuses = refusal is not None

    def _give_up(self) -> None:
        """Resolves look-ups without an answer, so that their requests go on."""
        for future in (*self._asked.values(), *self._lookups.values()):
            if not future.done():
                future.set_result(None)
        self._asked.clear()
        self._lookups.clear()
        self._keeps.clear()
        self._waiting_bytes = 0


def _name(key: bytes) -> str:
    return f"labeld:{key.hex()}"


def _take(waiting: dict[bytes, V]) -> dict[bytes, V]:
    """Removes and returns the oldest waiting entries, at most EXCHANGE_SIZE."""
    return {key: waiting.pop(key) for key in list(islice(waiting, EXCHANGE_SIZE))}
