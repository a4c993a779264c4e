"""A form on a connection of its own: what is sent, and every reply until the server ends it."""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import NamedTuple

from reliability.lib.form import Form, good

REPLY = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[!-~]+: ?[^\r\n]*\r\n)*)\r\n")
GIVE_UP = 25.0
"""Seconds after which a connection counts as one that never ends."""


class Reply(NamedTuple):
    """One reply."""

    status: int
    request_id: str


class Outcome(NamedTuple):
    """What became of a connection."""

    replies: Sequence[Reply]
    """The final ones, in their order."""
    rest: bytes
    """What came and is no reply."""
    seconds: float | None
    """From when the last byte was sent until the server ended the connection; None where it did not."""


async def exchange(address: tuple[str, int], form: Form) -> Outcome:
    """Sends a form, and the probe after it, and reads until the end."""
    reader, writer = await asyncio.open_connection(*address)
    received = bytearray()
    ended: float | None = None

    async def read() -> None:
        nonlocal ended
        try:
            while data := await reader.read(65536):
                received.extend(data)
        except OSError:  # a reset is an end as well
            pass
        ended = time.monotonic()

    reading = asyncio.create_task(read())
    try:
        for seconds, data in form.parts:
            await asyncio.sleep(seconds)
            writer.write(data)
        if form.has_probe:
            writer.write(good())
        if form.half_close:
            writer.write_eof()
        await writer.drain()
    except OSError:  # it has ended meanwhile
        pass
    sent = time.monotonic()
    await asyncio.wait([reading], timeout=GIVE_UP)
    reading.cancel()
    writer.transport.abort()
    replies, rest = _replies(bytes(received))
    return Outcome(replies, rest, None if ended is None else max(0.0, ended - sent))


def _replies(data: bytes) -> tuple[list[Reply], bytes]:
    """All final replies, and what is left. A reply to HEAD says a length and has no body: where it ends shows."""
    found = []
    while head := REPLY.match(data):
        status = int(head[1])
        fields = dict(line.split(b":", 1) for line in head[2].lower().split(b"\r\n") if line)
        length = int(fields.get(b"content-length", b"0"))
        data = data[head.end() :]
        if status >= 200:
            found.append(Reply(status, fields.get(b"x-request-id", b"").strip().decode("latin-1")))
            data = data if REPLY.match(data) else data[length:]
    return found, data
