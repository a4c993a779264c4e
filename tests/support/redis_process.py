"""A real redis-server for tests, and a proxy before it that misbehaves on command."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import redis

from tests.support.server_process import wait_until
from tests.support.tools import program


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of a redis-server of one's own on a free port, which keeps nothing on disk."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        assert wait_until(lambda: _answers(url)), "redis-server did not start"
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        return bool(client.ping())
    return False


class Proxy:
    """Passes bytes between clients and Redis, in the way that `mode` says for each new piece of an answer."""

    def __init__(self, url: str) -> None:
        self._upstream = url.removeprefix("redis://").partition("/")[0].split(":")
        self.mode = "pass"
        """`pass`, `slow` (each answer after two seconds), `late` (20 ms), `stall` (no answers any more), `reset`,
        `close`, `half` (closes within an answer), or `garbage`."""
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        if self.mode == "reset":
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._writers += [writer, up_writer]
        await asyncio.gather(self._requests(reader, up_writer), self._answers(up_reader, writer))
        for one in (writer, up_writer):
            one.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await _read(reader):
            writer.write(data)
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await _read(reader):
            if self.mode in ("slow", "late"):
                await asyncio.sleep(2.0 if self.mode == "slow" else 0.02)
            if self.mode == "reset":
                writer.transport.abort()
                return
            if self.mode in ("close", "half"):
                writer.write(data[: len(data) // 2 if self.mode == "half" else 0])
                writer.close()
                return
            if self.mode != "stall":
                writer.write(b"\x00\xff$-7\r\n*x\r\n" * 20 if self.mode == "garbage" else data)

    def end(self) -> None:
        """Drops all connections."""
        for writer in self._writers:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(OSError):
        return await reader.read(65536)
    return b""


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy, and the URL at which it listens."""
    proxy = Proxy(url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield proxy, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        proxy.end()
        await asyncio.sleep(0.01)
