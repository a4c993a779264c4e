"""Bodies that crawl: they keep nobody away, and take only so much memory."""

import asyncio
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from labeld.config.settings import ConnectionLimits, InputLimits
from labeld.errors import OverloadedError
from labeld.server.errors import BODY_GRACE, SlowRequestError
from labeld.web.request_body import BodyReader
from labeld.web.request_state import begin_request
from tests.support.server_process import Server, serving, wait_until

MODEL = "/models/labeld/sentiment-en"
FORM = "content-type: application/x-www-form-urlencoded\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STRANGER, NEIGHBOUR, LOOPBACK = "192.0.2.1", "192.0.2.2", "127.0.0.1"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes one request at a time, and little of bodies that have arrived in part."""
    arguments = ("--max-in-flight", "1", "--max-partial-bytes", "100000", "--max-body-bytes", "90000")
    with serving(tmp_path_factory.mktemp("small"), *arguments) as running:
        running.classify("good", "labeld/sentiment-en")
        yield running


@contextmanager
def crawling(
    server: Server, path: str, count: int, fields: str = "", body: bytes = b"{"
) -> Iterator[list[socket.socket]]:
    """So many connections that have sent only the beginning of a body, which the server waits for."""
    fields += "expect: 100-continue\r\ncontent-length: 9000\r\n"
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n"
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(server.address)) for _ in range(count)]
        for one in sockets:
            one.sendall(head.encode() + body)
        for one in sockets:
            one.recv(len(CONTINUE), socket.MSG_WAITALL)
        yield sockets


def test_bodies_that_crawl_keep_nobody_away(small: Server) -> None:
    """Neither texts nor forms: a request in flight is one whose body is there."""
    with crawling(small, MODEL, 5), crawling(small, "/sign-in", 5, FORM, b"code="):
        assert 200 == small.post(MODEL, json={"inputs": "good day"}).status_code
        assert 200 == small.get("/api/models").status_code
        assert 0 <= small.get("/status").json()["requests"]["in_flight"] <= 1


def test_a_full_server_refuses_bodies_unread(tmp_path: Path) -> None:
    """One that begins to come is refused at once, and one that had begun before when it has come."""
    with serving(tmp_path, "--max-in-flight", "1") as server:
        body = b'{"inputs": "good"' + b" " * 8982 + b"}"
        with crawling(server, MODEL, 1, body=body[:-1]) as [early], server.occupied():
            assert wait_until(lambda: server.get("/status").json()["requests"]["in_flight"] == 1)
            with socket.create_connection(server.address, timeout=10) as late:
                late.sendall(f"POST {MODEL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000\r\n\r\n{{".encode())
                assert b"HTTP/1.1 429 " == late.recv(13)
                assert b"(setting max_in_flight)" in late.recv(10_000)
            early.sendall(body[-1:])
            assert b"HTTP/1.1 429 " == early.recv(13)
            assert b"(setting max_in_flight)" in early.recv(10_000)
        assert wait_until(lambda: server.get("/status").json()["requests"]["in_flight"] == 0)


def test_bodies_that_have_arrived_in_part_have_a_limit(small: Server) -> None:
    """One more is refused with the setting's name, a body that is here at once is not, and memory is given back."""
    for _ in range(2):
        with crawling(small, MODEL, 12, body=b" " * 8500) as sockets:
            answered, _, _ = select.select(sockets, [], [], 10)
            assert b"HTTP/1.1 429 " == answered[0].recv(13)
            assert b"(setting max_partial_bytes)" in answered[0].recv(10_000)
            assert 200 == small.post(MODEL, json={"inputs": "good day"}).status_code
        assert wait_until(lambda: one_fits(small))


def one_fits(server: Server) -> bool:
    """Whether there is room for a body that arrives in two parts."""
    body = b'{"inputs": "good"' + b" " * 80_000 + b"}"
    head = f"POST {MODEL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(server.address) as connection:
        connection.sendall(head.encode() + body[:70_000])
        time.sleep(0.05)
        connection.sendall(body[70_000:])
        return connection.recv(13) == b"HTTP/1.1 200 "


class Peer:
    """A client at an address, which sends pieces of a body and never the last one."""

    def __init__(self, address: str) -> None:
        headers = [(b"content-length", b"100")]
        self.scope = {"type": "http", "headers": headers, "client": (address, 1)}
        begin_request(self.scope)
        self.pieces: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, body: bytes, *, more: bool = True) -> None:
        """One piece."""
        self.pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def read(self, reader: BodyReader) -> "asyncio.Task[bytes]":
        """Reads the body."""
        return asyncio.create_task(reader.read(Request(self.scope, self.pieces.get), 100))


def test_behind_a_proxy_the_pace_of_a_body_is_bounded_here() -> None:
    """One that stops, is late as a whole, or crawls is 408 in the words of a connection; addresses have no share."""
    fast = ConnectionLimits(body_timeout=0.2, min_body_rate=0)

    async def story() -> None:
        reader = BodyReader(InputLimits(max_body_bytes=100, max_partial_bytes=400), fast)
        stopped, late, whole = Peer(STRANGER), Peer(STRANGER), Peer(STRANGER)
        tasks = [one.read(reader) for one in (stopped, late, whole)]
        for one in (late, whole):
            one.send(b"x" * 80)
        await asyncio.sleep(0.1)
        late.send(b"x")
        whole.send(b"y", more=False)
        assert b"x" * 80 + b"y" == await tasks[2]
        for task in tasks[:2]:
            with pytest.raises(SlowRequestError, match=r"within 0\.2 seconds \(setting body_timeout\)"):
                await task
        crawls = Peer(STRANGER)
        crawls.scope["state"].began -= BODY_GRACE - 0.1
        task = crawls.read(BodyReader(InputLimits(), ConnectionLimits()))
        crawls.send(b"x" * 90)
        with pytest.raises(SlowRequestError, match=r"1024 bytes per second \(setting min_body_rate\)"):
            await task

    asyncio.run(story())


def test_an_address_has_a_share_of_it() -> None:
    """A quarter, but no less than one body; loopback is bounded by the whole only."""

    async def story() -> None:
        reader = BodyReader(InputLimits(max_body_bytes=100, max_partial_bytes=400))
        loopback = [Peer(LOOPBACK) for _ in range(2)]
        tasks = [one.read(reader) for one in loopback]
        for one in loopback:
            one.send(b"x" * 80)
        first, second, other = Peer(STRANGER), Peer(STRANGER), Peer(NEIGHBOUR)
        tasks += [first.read(reader)]
        first.send(b"x" * 80)
        await asyncio.sleep(0)
        refused, taken = second.read(reader), other.read(reader)
        second.send(b"x" * 40)
        other.send(b"x" * 40)
        other.send(b"y", more=False)

        with pytest.raises(OverloadedError, match=r"Your address's .* 100 bytes \(setting max_partial_bytes\)"):
            await asyncio.wait_for(refused, 5)
        assert b"x" * 40 + b"y" == await taken
        first.send(b"", more=False)
        assert b"x" * 80 == await tasks[-1]
        again = second.read(reader)
        second.send(b"x" * 90)
        second.send(b"", more=False)
        assert b"x" * 90 == await again
        for task in tasks[:2]:
            task.cancel()

    asyncio.run(story())
