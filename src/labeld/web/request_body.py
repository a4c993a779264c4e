"""A request after its headers: its body, and the disconnection of its client."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.types import Receive

from labeld.config.settings import InputLimits
from labeld.errors import BodyTooLargeError, UnavailableError
from labeld.types import ClassifyReply


async def read_body(receive: Receive, headers: Mapping[str, str], limits: InputLimits) -> bytes:
    """The request's body; raises BodyTooLargeError before reading more than the limit."""
    if int(headers.get("content-length", "0")) > limits.max_body_bytes:
        raise BodyTooLargeError(limits.max_body_bytes)
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise UnavailableError("The client has left.")  # nobody reads this
        size += len(message["body"])
        if size > limits.max_body_bytes:
            raise BodyTooLargeError(limits.max_body_bytes)
        chunks.append(message["body"])
        if not message["more_body"]:
            return b"".join(chunks)


async def cancel_on_disconnect(answer: Awaitable[ClassifyReply], request: Request) -> ClassifyReply:
    """The answer; cancelled as soon as the client has left, so that nothing queued for it costs engine time."""
    work = asyncio.ensure_future(answer)
    gone = asyncio.create_task(_disconnected(request.receive))
    gone.add_done_callback(lambda _: work.cancel())
    try:
        return await work
    except asyncio.CancelledError:
        if gone.done() and not gone.cancelled():
            raise UnavailableError("The client has left.") from None  # nobody reads this
        raise
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
