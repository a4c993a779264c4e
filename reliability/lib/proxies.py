"""A proxy before a server, on a thread of its own, which delays, cuts and garbles on command."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.redis_process import Proxy, proxy_before

MODES = ("pass", "late", "slow", "stall", "reset", "close", "half", "garbage")
"""What it may do with an answer; see `Proxy.mode`."""


@contextmanager
def proxy(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before `redis://host:port/db`, whose `mode` may be set at any time, and the URL at which it listens."""
    ready, stop = threading.Event(), threading.Event()
    found: list[tuple[Proxy, str]] = []

    async def serve() -> None:
        async with proxy_before(url) as both:
            found.append(both)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        stop.set()
        thread.join()
