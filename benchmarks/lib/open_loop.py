"""Open loop: requests arrive on a clock, whether or not earlier ones were answered, as those of many people do.

Latency counts from the time at which a request was due, so that a server that stalls is charged for all requests that
were due meanwhile; a closed loop, whose clients wait for their answers, would not send them. The generator is a process
of its own, `python -m benchmarks.lib.open_loop` with its task as JSON on standard input: plain sockets and one epoll,
so that it takes little from the server beside it.
"""

import json
import random
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from httptools import HttpParserError, HttpResponseParser

SEED = 5
CONNECTIONS = 1024
"""Connections that are opened at most; a request that is due when none is free waits, and its latency grows."""
PATIENCE = 30.0
"""Seconds after the last arrival in which answers still count; then a request has none."""
ON_TIME_MS = 5.0
"""The generator was on time when 99 of 100 requests left at most so long after they were due."""
REFUSALS = (429, 503)
JSON_HEADERS = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    """One request and what became of it; times in seconds since the generator began."""

    due: float
    sent: float
    ended: float
    """When the last byte of its answer was here, or when it was given up."""
    status: int
    """0: no answer, because the connection broke or `patience` ended."""
    retry_after: bool
    """Whether the answer says when to come back."""

    @property
    def latency(self) -> float:
        """Seconds from when it was due."""
        return self.ended - self.due


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Every answer of a run."""

    rate: float
    """Arrivals per second that were asked for."""
    seconds: float
    answers: Sequence[Answer]

    @property
    def accepted(self) -> list[Answer]:
        """Those with a 200."""
        return [one for one in self.answers if one.status == 200]

    @property
    def refused(self) -> list[Answer]:
        """Those with a 429 or a 503."""
        return [one for one in self.answers if one.status in REFUSALS]

    @property
    def errors(self) -> int:
        """Requests that had neither, those without an answer included."""
        return len(self.answers) - len(self.accepted) - len(self.refused)

    @property
    def refusals_say_when(self) -> bool:
        """Whether every refusal has a Retry-After header."""
        return all(one.retry_after for one in self.refused)

    @property
    def lateness_ms(self) -> float:
        """99th percentile of how long after it was due a request left."""
        return _percentile([one.sent - one.due for one in self.answers], 99)

    @property
    def on_time(self) -> bool:
        """Whether the generator was quick enough; if not, the latencies are partly its own."""
        return self.lateness_ms <= ON_TIME_MS

    def latency_ms(self, percentile: float) -> float:
        """Of the 200s, from the time they were due; NaN when there is none."""
        return _percentile([one.latency for one in self.accepted], percentile)

    def refusal_ms(self, percentile: float) -> float:
        """Of the refusals, from the time they were due; NaN when there is none."""
        return _percentile([one.latency for one in self.refused], percentile)

    def goodput(self, within: float = float("inf")) -> float:
        """200s per second, of those that came within so many seconds and before the arrivals ended."""
        return sum(one.latency <= within and one.ended <= self.seconds for one in self.accepted) / self.seconds

    def detail(self) -> dict[str, Any]:
        """For a figure; says so when the generator was not on time."""
        return {
            "rate": self.rate,
            "goodput": self.goodput(),
            "p50_ms": self.latency_ms(50),
            "p99_ms": self.latency_ms(99),
            "refused": len(self.refused),
            "refusal_p99_ms": self.refusal_ms(99),
            "errors": self.errors,
            "lateness_p99_ms": self.lateness_ms,
            **({} if self.on_time else {"VOID": f"the generator left {self.lateness_ms:.1f} ms late"}),
        }


def run(  # noqa: PLR0913  # the parts of a run
    port: int,
    path: str,
    bodies: Sequence[bytes],
    rate: float,
    seconds: float,
    *,
    headers: Mapping[str, str] = JSON_HEADERS,
    connections: int = CONNECTIONS,
    patience: float = PATIENCE,
    seed: int = SEED,
) -> OpenLoop:
    """POSTs `bodies` in turn to 127.0.0.1, `rate` a second at random times (Poisson), for `seconds`; all answers."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for body in bodies
    ]
    task = {
        "port": port,
        "requests": [one.decode("latin-1") for one in requests],
        "due": list(_arrivals(rate, seconds, seed)),
        "end": seconds + patience,
        "connections": connections,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.lib.open_loop"],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=seconds + patience + 60,
    )
    if ran.returncode:
        sys.exit(f"The open-loop generator ended with code {ran.returncode}.")
    return OpenLoop(rate, seconds, [Answer(*one) for one in json.loads(ran.stdout)])


def _arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Times of a Poisson process."""
    chance = random.Random(seed)
    at = chance.expovariate(rate)
    while at < seconds:
        yield at
        at += chance.expovariate(rate)


def _percentile(seconds: Sequence[float], percentile: float) -> float:
    """Milliseconds."""
    return float(1e3 * np.percentile(seconds, percentile)) if seconds else float("nan")


class _Connection:
    """A keep-alive connection with one request at a time; the parser calls `on_header` and `on_message_complete`."""

    def __init__(self, generator: "_Generator", port: int) -> None:
        self._generator = generator
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))  # a failure shows when the request is sent
        self._parser = HttpResponseParser(self)
        self._unsent = b""
        self._due = self._sent = 0.0
        self.busy, self._retry_after = False, False

    def ask(self, due: float, sent: float, request: bytes) -> None:
        """Sends a request, as much of it as goes now."""
        self._due, self._sent, self._unsent = due, sent, request
        self.busy, self._retry_after = True, False
        self._send()

    def on_event(self, event: int) -> None:
        """Reads what has come, or sends what is left."""
        if event == select.EPOLLOUT:
            self._send()
            return
        try:
            data = self.socket.recv(65536)
            self._parser.feed_data(data)
        except BlockingIOError:
            return
        except (OSError, HttpParserError):
            data = b""
        if not data:
            self._broken()

    def on_header(self, name: bytes, _: bytes) -> None:
        """Notes a Retry-After."""
        if name.lower() == b"retry-after":
            self._retry_after = True

    def on_message_complete(self) -> None:
        """The answer is here."""
        self._answered(self._parser.get_status_code())
        if self._parser.should_keep_alive():
            self._generator.free.append(self)
        else:
            self._generator.forget(self)

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._broken()
            return
        self._generator.watch(self, sending=bool(self._unsent))

    def _broken(self) -> None:
        self.give_up()
        self._generator.forget(self)

    def give_up(self) -> None:
        """Records that the current request, if any, has no answer."""
        if self.busy:
            self._answered(0)

    def _answered(self, status: int) -> None:
        self.busy = False
        self._generator.answers.append(Answer(self._due, self._sent, self._generator.now(), status, self._retry_after))


class _Generator:
    """Sends each request when it is due."""

    def __init__(self, port: int, connections: int) -> None:
        self._port, self._most = port, connections
        self._epoll = select.epoll()  # NOTE: first of all, because select() takes file numbers below 1024 only
        self._open: dict[int, _Connection] = {}
        self._sending: set[int] = set()
        self.free: list[_Connection] = []
        """The last used is used next, so that only as many are open as are needed."""
        self.answers: list[Answer] = []

    def run(self, due: Sequence[float], requests: Sequence[bytes], end: float) -> list[Answer]:
        """All answers; requests that have none at `end` are given up."""
        waiting: deque[tuple[float, bytes]] = deque()
        begun = 0
        self._began = time.perf_counter()
        while (now := self.now()) < end:
            while begun < len(due) and due[begun] <= now:
                waiting.append((due[begun], requests[begun % len(requests)]))
                begun += 1
            while waiting and (connection := self._take()):
                at, request = waiting.popleft()
                connection.ask(at, self.now(), request)
            if len(self.answers) == len(due):
                break
            until = due[begun] if begun < len(due) else end
            # NOTE: select() waits to the microsecond, epoll() to the millisecond
            if select.select([self._epoll], [], [], max(0.0, until - self.now()))[0]:
                for number, event in self._epoll.poll(0):
                    if number in self._open:  # it may have been closed meanwhile
                        self._open[number].on_event(event)
        given_up = [Answer(at, end, end, 0, retry_after=False) for at, _ in waiting]
        for connection in list(self._open.values()):
            connection.give_up()
        return [*self.answers, *given_up]

    def now(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    def watch(self, connection: _Connection, *, sending: bool) -> None:
        """Watches a connection for data to read and, while sending, for room to write."""
        number = connection.socket.fileno()
        if sending != (number in self._sending):
            self._epoll.modify(number, select.EPOLLIN | (select.EPOLLOUT if sending else 0))
            (self._sending.add if sending else self._sending.discard)(number)

    def forget(self, connection: _Connection) -> None:
        """Closes a connection."""
        number = connection.socket.fileno()
        self._sending.discard(number)
        del self._open[number]
        with suppress(ValueError):
            self.free.remove(connection)
        connection.socket.close()

    def _take(self) -> _Connection | None:
        """A connection that is free, or a new one; None at the limit."""
        if self.free:
            return self.free.pop()
        if len(self._open) >= self._most:
            return None
        connection = _Connection(self, self._port)
        number = connection.socket.fileno()
        self._open[number] = connection
        self._epoll.register(number, select.EPOLLIN)
        return connection


if __name__ == "__main__":
    given = json.load(sys.stdin)
    generator = _Generator(given["port"], given["connections"])
    json.dump(
        generator.run(given["due"], [one.encode("latin-1") for one in given["requests"]], given["end"]), sys.stdout
    )
