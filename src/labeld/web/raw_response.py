"""A response of header fields and bytes that are ready to be sent."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from labeld.errors import HeaderField


class RawResponse(Response):
    """A response of ready-made header bytes, all of them from protocol/ or error_reply."""

    def __init__(self, status: int, headers: list[HeaderField], body: bytes) -> None:
        self.status_code, self.body, self.raw_headers, self.background = status, body, headers, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Sends it; nothing runs afterwards, and nothing is asked about web sockets."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})
