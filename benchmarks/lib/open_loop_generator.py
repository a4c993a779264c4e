"""The generator of an open loop: plain sockets and one epoll.

Run as `python -m benchmarks.lib.open_loop_generator` with its task as JSON on standard input: `port`, `requests`, `due`
(seconds of each arrival), `end` (seconds after which answers do not count) and `connections`. Answers go to standard
output as JSON lists, in the order of Answer's fields.
"""

import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from httptools import HttpParserError, HttpResponseParser

from benchmarks.lib.open_loop import Answer


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
