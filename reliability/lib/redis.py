"""A redis-server of one's own that can be stopped, paused and started again at its address."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from benchmarks.lib.server import free_port
from tests.support.server_process import wait_until

STARTS_WITHIN = 30.0


class RedisServer:
    """One server, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.keys() is not None, STARTS_WITHIN)

    def stop(self) -> None:
        """At once, with all that it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """It does not run any more, until `go_on`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def keys(self) -> int | None:
        """How many answers it has; None while it does not answer."""
        with suppress(redis.RedisError), redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            return int(client.dbsize())
        return None

    def forget(self) -> None:
        """Removes all answers."""
        with suppress(redis.RedisError), redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            client.flushdb()


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer | None]:
    """A running server; None where it is not installed."""
    if not shutil.which("redis-server"):
        yield None
        return
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
