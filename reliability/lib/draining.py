"""Clients of a server that is told to end: who had sent a request before that must get the answer."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from benchmarks.lib.client import Connection
from tests.support.steady_clients import Seen

CLIENTS = 8


class Draining:
    """Clients that ask one request after the other until nobody listens any more; a context, which ends them."""

    def __init__(self, port: int, expected: Mapping[bytes, bytes]) -> None:
        self._port, self._expected = port, expected
        self._told_at = float("inf")
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self.outcomes: Counter[str] = Counter()
        """`right`, `wrong`, `lost`: sent before the signal and not answered; `late`: sent after it and not answered."""

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._clients = [self._pool.submit(self._ask, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for one in self._clients:
            one.result()

    def tell(self) -> None:
        """The signal follows: what was sent before counts."""
        self._told_at = time.monotonic()

    def _ask(self, number: int) -> None:
        requests = [*self._expected]
        while not self._stop.is_set():
            try:
                connection = Connection(self._port)
            except OSError:  # nobody listens any more
                return
            with connection:
                self._ask_on(connection, requests, number)
            number += 1

    def _ask_on(self, connection: Connection, requests: list[bytes], number: int) -> None:
        """Several requests on one connection."""
        for turn in range(20):
            if self._stop.is_set():
                return
            request, sent = requests[(number + turn) % len(requests)], time.monotonic()
            try:
                status, body = connection.ask(request)
            except (OSError, ValueError):
                self._note("lost" if sent < self._told_at else "late")
                return
            seen = Seen()
            seen.note((status, body), self._expected[request], 0.0)
            if status == 503 and sent >= self._told_at:
                self._note("late")
            else:
                self._note("right" if seen.right else "wrong")

    def _note(self, outcome: str) -> None:
        with self._guard:
            self.outcomes[outcome] += 1
