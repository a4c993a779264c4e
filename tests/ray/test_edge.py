"""Replies behind the edge, written by a real uvicorn to a real socket."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from labeld.ray_serve.edge import Edge
from labeld.server.uvicorn_internals import HttpToolsProtocol
from tests.support.server_process import wait_until

BODY = b'[[{"label":"POSITIVE","score":0.9}]]'
SIZE = [(b"content-length", str(len(BODY)).encode())]


async def in_two_turns(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives its head to the server a turn of the loop before its body."""
    del receive
    status = 204 if scope["path"] == "/empty" else 200
    await send({"type": "http.response.start", "status": status, "headers": SIZE if status == 200 else []})
    await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": BODY if status == 200 else b""})


class Recording(HttpToolsProtocol):
    """uvicorn's own connection, whose writes are recorded."""

    written: list[bytes]

    def connection_made(self, transport: Any) -> None:
        """Records what is written from now on."""
        to_socket = transport.write

        class Recorded:
            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

            def write(self, data: bytes) -> None:
                Recording.written.append(data)
                to_socket(data)

        super().connection_made(Recorded())  # type: ignore[arg-type]  # has all of a transport's methods


@contextmanager
def serving() -> Iterator[int]:
    """A server with the edge; yields its port."""
    Recording.written = []
    config = uvicorn.Config(Edge(in_two_turns), http=Recording, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert wait_until(lambda: server.started, 10)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def answer(port: int, head: bytes) -> bytes:
    """All that the server sends on a connection that it is asked to close."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(head + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("head", [b"GET /", b"HEAD /", b"GET /empty"])
def test_a_reply_leaves_in_one_write(head: bytes) -> None:
    """A proxy has all of it or nothing when the process dies, and may ask another one for the latter."""
    with serving() as port:
        got = answer(port, head)
        written = list(Recording.written)

    assert [got] == written
    assert got.startswith(b"HTTP/1.1 20")
    assert (got.partition(b"\r\n\r\n")[2] == BODY) == (head == b"GET /")
