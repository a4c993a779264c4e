"""Answers in a Redis that servers share. It may be slow, down or wrong, and requests must not suffer from that.

One connection, one exchange at a time: what has gathered meanwhile, look-ups and answers to keep, goes in the next one.
An exchange belongs to the store and not to a request, so a client that leaves cannot leave a reply behind in the
connection for somebody else (as happened to redis-py's users in 2023); a connection on which anything went wrong is
dropped. After that nothing is asked for a pause, which grows until Redis answers again.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from labeld.cache.signing import sign, verify
from labeld.errors import SettingsError
from labeld.types import Answer

logger = logging.getLogger(__name__)

LIMIT = 0.015
"""Seconds that an exchange may take, and that a request waits at most."""
CONNECT_LIMIT = 2.0
"""Seconds to connect; no request waits for that, only the start of the server."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds for which Redis is not asked after a failure, at first and at most; doubled by each failure in a row."""
EXCHANGE_SIZE = 512
"""Look-ups, and answers to store, of one exchange, at most."""
MOST_WAITING = 4 * 1024 * 1024
"""Bytes of answers that may wait to be stored; more are dropped."""

V = TypeVar("V")


class RedisStore:
    """The shared store of an AnswerCache. Lives on one event loop; `open` before use."""

    def __init__(self, url: str, secret: str, ttl: float) -> None:
        """Raises SettingsError when the URL is not one of Redis."""
        self._url, self._secret, self._milliseconds = url, secret.encode(), max(1, round(ttl * 1000))
        self._client: Redis | None = None  # None in a pause
        self._connecting: asyncio.Task[None] | None = None
        self._exchanging: asyncio.Task[None] | None = None
        self._pause, self._ask_again_at = 0.0, 0.0
        self._refuses = False
        self._lookups: dict[bytes, asyncio.Future[Answer | None]] = {}
        self._keeps: dict[bytes, bytes] = {}
        self._waiting_bytes = 0
        try:
            self._new_client()
        except ValueError:
            raise SettingsError(
                "The setting cache is not the address of a Redis: give redis://host:port/db, rediss:// or unix://."
            ) from None

    async def open(self) -> None:
        """Connects; logs a warning when Redis cannot be reached."""
        await self._connect()

    async def get(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """The answers that Redis has and whose signature is right; waits for `LIMIT` at most."""
        if not self._reachable():
            return {}
        loop = asyncio.get_running_loop()
        asked = {key: self._lookups.setdefault(key, loop.create_future()) for key in keys}
        self._exchange_soon()
        await asyncio.wait(asked.values(), timeout=LIMIT)
        return {key: answer for key, future in asked.items() if future.done() and (answer := future.result())}

    def put(self, answers: Mapping[bytes, Answer]) -> None:
        """Stores answers soon; drops them when Redis is in a pause or too many wait."""
        if not self._reachable():
            return
        for key, answer in answers.items():
            value = sign(key, answer, self._secret)
            if key not in self._keeps and self._waiting_bytes + len(value) <= MOST_WAITING:
                self._keeps[key] = value
                self._waiting_bytes += len(value)
        self._exchange_soon()

    async def close(self) -> None:
        """Ends the connection and what runs in the background."""
        tasks = [task for task in (self._connecting, self._exchanging) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._client:
            await _end(self._client)
            self._client = None

    def _reachable(self) -> bool:
        """True when Redis may be asked; after the pause that follows a failure, this starts a new connection."""
        if self._client is None and self._connecting is None and time.monotonic() >= self._ask_again_at:
            self._connecting = asyncio.create_task(self._connect())
        return self._client is not None

    def _exchange_soon(self) -> None:
        if self._exchanging is None and self._client is not None:
            self._exchanging = asyncio.create_task(self._exchange(self._client))

    def _new_client(self) -> Redis:
        return Redis.from_url(
            self._url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=CONNECT_LIMIT, max_connections=1
        )

    async def _connect(self) -> None:
        client = self._new_client()
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await client.ping()
            async with asyncio.timeout(LIMIT):  # NOTE: so that no request is the first to find it slow
                await client.ping()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with Redis, requests are answered
            self._failed(error)
        else:
            self._client = client
        finally:
            self._connecting = None
            if self._client is not client:
                await _end(client)

    async def _exchange(self, client: Redis) -> None:
        """Exchanges everything that waits, newcomers included, until nothing is left or Redis has failed."""
        lookups: dict[bytes, asyncio.Future[Answer | None]] = {}
        try:
            while self._lookups or self._keeps:
                lookups, keeps = _take(self._lookups), _take(self._keeps)
                self._waiting_bytes -= sum(map(len, keeps.values()))
                async with asyncio.timeout(LIMIT):
                    values = await self._exchanged(client, list(lookups), keeps)
                for (key, future), value in zip(lookups.items(), values, strict=True):
                    future.set_result(verify(key, value, self._secret) if isinstance(value, bytes) else None)
                self._answered()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with Redis, requests are answered
            self._client = None
            self._failed(error)
        finally:
            self._exchanging = None
            if self._client is None:
                self._give_up(lookups)
        if self._client is None:
            await _end(client)

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

    def _give_up(self, lookups: dict[bytes, "asyncio.Future[Answer | None]"]) -> None:
        """Resolves look-ups without an answer, so that their requests go on."""
        for future in (*lookups.values(), *self._lookups.values()):
            if not future.done():
                future.set_result(None)
        self._lookups.clear()
        self._keeps.clear()
        self._waiting_bytes = 0

    def _failed(self, error: Exception) -> None:
        if not self._pause:  # NOTE: its own words may have its address with the password in it
            logger.warning("The shared answer cache fails (%s); requests are answered without it", type(error).__name__)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
        self._ask_again_at = time.monotonic() + self._pause

    def _answered(self) -> None:
        if self._pause:
            logger.warning("The shared answer cache answers again")
        self._pause = 0.0


def _name(key: bytes) -> str:
    return f"labeld:{key.hex()}"


def _take(waiting: dict[bytes, V]) -> dict[bytes, V]:
    """Removes and returns the oldest waiting entries, at most EXCHANGE_SIZE."""
    return {key: waiting.pop(key) for key in list(islice(waiting, EXCHANGE_SIZE))}


async def _end(client: Redis) -> None:
    with suppress(Exception):
        async with asyncio.timeout(1.0):
            await client.aclose()
