"""Inputs over real sockets, on connections that are kept while they can be."""

import http.client
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from reliability.lib.application import Reply
from reliability.lib.inputs import Input
from reliability.lib.judge import Judge, Verdicts

CONNECTIONS = 8
ANSWERS_WITHIN = 20.0


def send_all(address: tuple[str, int], inputs: Iterable[Input], judge: Judge) -> tuple[int, int, Verdicts]:
    """How many inputs were sent, how many statuses came, and what was wrong."""
    every, turn = iter(inputs), threading.Lock()
    verdicts, statuses, count = Verdicts(), set[int](), 0

    def client() -> None:
        nonlocal count
        connection: socket.socket | None = None
        while True:
            with turn:
                asked = next(every, None)
                if asked is None:
                    break
                count += 1
            try:
                connection = connection or socket.create_connection(address, ANSWERS_WITHIN)
                reply, is_last = exchange(connection, asked)
            except TimeoutError:
                wrong, is_last = iter(["hung"]), True
            except (OSError, http.client.HTTPException, ValueError):
                wrong, is_last = iter(["broken"]), True
            else:
                wrong = judge.wrong(asked, reply)
                statuses.add(reply.status)
            with turn:
                verdicts.note(wrong, asked)
            if is_last and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for one in [pool.submit(client) for _ in range(CONNECTIONS)]:
            one.result()
    return count, len(statuses), verdicts


def exchange(connection: socket.socket, asked: Input) -> tuple[Reply, bool]:
    """The reply to an input, and whether it is the last one of its connection."""
    connection.sendall(asked.as_bytes())
    reply = http.client.HTTPResponse(connection, method=asked.method)
    reply.begin()
    body = reply.read()
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.getheaders()]
    return Reply(reply.status, headers, body, is_whole=True), reply.will_close
