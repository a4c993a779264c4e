"""Disconnects: clients that leave while their texts wait, and of those texts hardly one is ever computed.

The seeded fault does not notice that a client has left.
"""

import asyncio
import json
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.lib.report import Figure
from reliability.lib.run import Run
from reliability.lib.server import serving, workers
from tests.support.server_process import Server, wait_until

FULL, LEAST = 20_000, 300
SEEDED_ROUNDS = 2
"""Enough of them for the seeded fault, which has all of the work in front computed as well."""
AT_ONCE = 50
"""Clients that leave in one round; each round is behind the same work."""
MODEL = "labeld/sentiment-en"
LONG, SHORT = "word " * 250, "good"
WAITING = 100
"""Long texts of the request that everybody in a round waits behind: seconds of work."""
REST_WITHIN = 600.0
"""Seconds in which what was not given up is computed."""
BAR = 0.99
SPARE_FILES = 8
FLAGS = ("--queue-seconds", "100000", "--queue-timeout", "100000", "--max-in-flight", "4000", "--drain-timeout", "1")


def check(run: Run) -> list[Figure]:
    """How many short texts ran shows in the count of texts and tokens, of which a long one has many more."""
    asked = overtaken = 0
    with serving(run, MODEL, *FLAGS) as server:
        lengths = [_tokens_of(server, text) for text in (LONG, SHORT)]
        before, files = _computed(server), _open_files(server)
        dice = random.Random(2)
        for _ in run.rounds(FULL // AT_ONCE, SEEDED_ROUNDS if run.seeded else LEAST // AT_ONCE):
            wait_until(lambda: _at_rest(server), REST_WITHIN)
            begun = _computed(server)[0]
            with _busy(server) as connection:
                # NOTE: its texts wait in the queue only once they are tokenised, and until then others are before them
                wait_until(lambda begun=begun: _computed(server)[0] > begun, 60)
                asyncio.run(_leave(server.address, dice))
                asked += AT_ONCE
                overtaken += _has_answer(connection)
        time.sleep(0.5)
        wait_until(lambda: _at_rest(server), REST_WITHIN)
        texts, tokens = (after - one for after, one in zip(_computed(server), before, strict=True))
        wait_until(lambda: _open_files(server) <= files + SPARE_FILES, 10)
        left = _open_files(server) - files
    ran = (texts * lengths[0] - tokens) / (lengths[0] - lengths[1])
    detail = {"left": asked, "ran": round(ran), "texts of the work before them": round(texts - ran)}
    return [
        Figure(
            "disconnects", "of the texts left behind, those never run", 1 - ran / asked, "", BAR, "at least", detail
        ),
        Figure("disconnects", "rounds whose work before them had ended", overtaken, "", 0),
        Figure("disconnects", "file descriptors more than before", left, "", SPARE_FILES),
    ]


def _request(texts: list[str]) -> bytes:
    body = json.dumps({"inputs": texts, "parameters": {"truncation": True}}).encode()
    head = f"POST /models/{MODEL} HTTP/1.1\r\nhost: localhost\r\nx-use-cache: 0\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def _busy(server: Server) -> Iterator[socket.socket]:
    """While a request of seconds is in front of all others; it is given up at the end."""
    with socket.create_connection(server.address) as connection:
        connection.sendall(_request([LONG] * WAITING))
        yield connection


def _has_answer(connection: socket.socket) -> bool:
    connection.setblocking(False)
    with suppress(BlockingIOError):
        return bool(connection.recv(1, socket.MSG_PEEK))
    return False


async def _leave(address: tuple[str, int], dice: random.Random) -> None:
    """Clients that ask and leave at any moment, in order or with a reset."""

    async def one() -> None:
        _, writer = await asyncio.open_connection(*address)
        writer.write(_request([SHORT]))
        await writer.drain()
        await asyncio.sleep(0.05 + dice.random() * 0.2)
        if dice.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


def _tokens_of(server: Server, text: str) -> int:
    body = {"inputs": text, "parameters": {"truncation": True}}
    reply = server.post(f"/models/{MODEL}", json=body, headers={"x-use-cache": "0"})
    return int(reply.headers["x-compute-tokens"])


def _computed(server: Server) -> tuple[float, float]:
    """Texts and tokens that the model has computed so far."""
    text = server.get("/metrics").text
    found = [re.search(rf'labeld_model_{what}_total{{model="{MODEL}"}} (\S+)', text) for what in ("texts", "tokens")]
    texts, tokens = (float(one[1]) if one else 0.0 for one in found)
    return texts, tokens


def _at_rest(server: Server) -> bool:
    """Whether nothing is asked or computed any more; a busy machine may take seconds for one batch."""
    waiting = rf'^labeld_model_waiting_tokens{{model="{MODEL}"}} 0.0$'
    text, before = server.get("/metrics").text, _computed(server)
    if not all(re.search(one, text, re.MULTILINE) for one in (waiting, "^labeld_requests_in_flight 0.0$")):
        return False
    time.sleep(0.7)
    return _computed(server) == before


def _open_files(server: Server) -> int:
    [worker] = workers(server)
    return len([*Path(f"/proc/{worker}/fd").iterdir()])
