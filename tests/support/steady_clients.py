"""Clients that ask again and again, and check every answer: what somebody sees while a part of a server fails."""

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

Address = tuple[str, int]
ANSWER_LIMIT = 60.0
"""Seconds after which an answer counts as failed."""


@dataclass
class Seen:
    """What the clients have seen so far."""

    right: int = 0
    wrong: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By status, or by the name of an exception."""
    slowest: float = 0.0
    times: list[float] = field(default_factory=list)
    """Of right answers, in seconds."""

    def note(self, outcome: "tuple[int, bytes] | str", expected: bytes, took: float) -> None:
        """One answer, or the name of what came instead."""
        self.slowest = max(self.slowest, took)
        if isinstance(outcome, str):
            self.failed[outcome] += 1
        elif outcome[0] != 200:
            self.failed[str(outcome[0])] += 1
        elif _alike(outcome[1], expected):
            self.right += 1
            self.times.append(took)
        else:
            self.wrong += 1


class _Connection:
    """A keep-alive connection, which is made again when it has ended."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes] | str:
        """Status and body of the answer, or the name of the error that came instead."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(*self._address)
                self._streams[1].write(request)
                status, body, is_last = await _reply(self._streams[0])
        except asyncio.IncompleteReadError as error:
            outcome = "ended within a reply" if error.partial else "ended without a reply"
        except EOFError:
            outcome = "ended within a reply"
        except (OSError, TimeoutError, ValueError) as error:
            outcome = type(error).__name__
        else:
            if is_last:
                self.close()
            return status, body
        self.close()
        await asyncio.sleep(0.05)
        return outcome

    def close(self) -> None:
        """Ends the connection."""
        if self._streams:
            self._streams[1].close()
        self._streams = None


def post(path: str, text: str, *, use_cache: bool, headers: str = "") -> bytes:
    """The bytes of a request."""
    body = json.dumps({"inputs": text, "options": {"use_cache": use_cache}}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def steady_clients(addresses: list[Address], expected: Mapping[bytes, bytes], clients: int = 16) -> Iterator[Seen]:
    """Clients on keep-alive connections, until the context ends; `expected` has the body of the answer to a request.

    Those of the first address ask there, the next ones at the next address. A connection that ends without having
    answered is a failure, and another one is made.
    """
    seen, stop = Seen(), threading.Event()
    turns = itertools.cycle(expected)

    async def client(address: Address) -> None:
        connection = _Connection(address)
        while not stop.is_set():
            request = next(turns)
            began = time.monotonic()
            outcome = await connection.ask(request)
            seen.note(outcome, expected[request], time.monotonic() - began)
        connection.close()

    async def everybody() -> None:
        await asyncio.gather(*(client(addresses[number % len(addresses)]) for number in range(clients)))

    thread = threading.Thread(target=lambda: asyncio.run(everybody()))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status and body of a reply, and whether it is the last one of its connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    body = b""
    try:
        if b"content-length" in fields:
            body = await reader.readexactly(int(fields[b"content-length"]))
        else:
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
    except asyncio.IncompleteReadError:
        raise EOFError from None
    return int(head.split(b" ", 2)[1]), body, fields.get(b"connection") == b"close"


def _alike(body: bytes, expected: bytes) -> bool:
    """Whether two rankings are one: float32 has a text's neighbours in its last bits."""
    if body == expected:
        return True
    [[*got], [*wanted]] = (json.loads(one)[0] for one in (body, expected))
    return all(
        one["label"] == other["label"] and abs(one["score"] - other["score"]) < 1e-5
        for one, other in zip(got, wanted, strict=True)
    )


def settled(seen: Seen, answers: int, seconds: float) -> bool:
    """Whether so many more right answers come within so many seconds."""
    before, end = seen.right, time.monotonic() + seconds
    while seen.right < before + answers:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
