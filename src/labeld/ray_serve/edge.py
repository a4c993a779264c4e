"""What stands in front of Serve in a replica: one id for each request, no commands to Serve, and limits of the head.

It also has head and body of a reply leave in one write. Serve takes it from the environment that `application` gives
the replicas. In the mode without HAProxy requests do not pass it, and `without_id` does what can be done then.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeld.config.settings import ConnectionLimits, InputLimits
from labeld.error_reply import encode_error, request_id
from labeld.errors import BodyTooLargeError, LabeldError
from labeld.server.connection_limits import LingeringTransport
from labeld.server.errors import head_too_large, too_many_fields

ID, TRACE_ID = b"x-request-id", b"x-amzn-trace-id"
COMMANDS = (b"x-request-timeout-seconds", b"x-request-disconnect-disabled")
"""Headers with which Serve would let a client end its request in Serve's own words, or go on when it has left."""
PASSED = "labeld.edge"
"""Key of a scope that has passed the edge."""


class Limits:
    """The limits of the replica in this process, which its settings replace when it starts."""

    connections = ConnectionLimits()
    inputs = InputLimits()


class Edge:
    """An ASGI application around Serve's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on one request, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"])
        chosen = request_id(_text(sent.get(ID)), _text(sent.get(TRACE_ID)))
        if refused := _refusal(scope, sent):
            await _reply(refused, chosen, send)
            return
        kept = [one for one in scope["headers"] if one[0] != ID and one[0] not in COMMANDS]
        scope["headers"] = [*kept, (ID, chosen.encode())]
        scope[PASSED] = True

        head: Message | None = None

        async def whole_with_one_id(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                _keep_first_id(message)
                head = message
            elif head is None:
                await send(message)
            else:
                first, head = head, None
                with _in_one_write(send):
                    await send(first)
                    await send(message)

        await self._app(scope, receive, whole_with_one_id)


@contextmanager
def _in_one_write(send: Send) -> Iterator[None]:
    """What uvicorn's `send` writes meanwhile leaves in one write: head and body, or nothing of a reply.

    HAProxy asks another replica where one has died without a byte of its reply; after its head it cannot (decision 26).
    """
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if cycle is None or transport is None:  # another middleware is outside
        yield
        return
    cycle.transport = whole = LingeringTransport(transport, transport.close, transport.is_closing)
    try:
        yield
    finally:
        cycle.transport = transport
        whole.end_reply()


def middlewares() -> list[Middleware]:
    """What Serve puts in front of the application."""
    return [Middleware(Edge)]


def without_id(scope: Scope, send: Send) -> Send:
    """`send` for an application behind Serve's own middleware, which adds an id where the edge does not keep one."""
    if PASSED in scope:
        return send

    async def unnamed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [one for one in message["headers"] if one[0] != ID]
        await send(message)

    return unnamed


def _refusal(scope: Scope, sent: dict[bytes, bytes]) -> LabeldError | None:
    """Why the request is refused by its head alone, before a client that waits for `100 Continue` sends its body."""
    limits, most = Limits.connections, Limits.inputs.max_body_bytes
    if len(scope["headers"]) > limits.max_header_fields:
        return too_many_fields(limits.max_header_fields)
    target = len(scope["raw_path"]) + len(scope["query_string"])
    if target + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > limits.max_header_bytes:
        return head_too_large(limits.max_header_bytes)
    is_expecting = sent.get(b"expect", b"").lower() == b"100-continue"
    return BodyTooLargeError(most) if is_expecting and int(sent.get(b"content-length", b"0")) > most else None


async def _reply(refused: LabeldError, chosen: str, send: Send) -> None:
    status, headers, body = encode_error(refused, chosen)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _keep_first_id(message: MutableMapping[str, Any]) -> None:
    """Serve's own id comes after the application's."""
    headers, seen = [], False
    for one in message["headers"]:
        if one[0].lower() != ID:
            headers.append(one)
        elif not seen:
            headers.append(one)
            seen = True
    message["headers"] = headers


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
