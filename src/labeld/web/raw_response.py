"""A response of header fields and bytes that are ready to be sent."""

from starlette.responses import Response

from labeld.errors import HeaderField


class RawResponse(Response):
    """A response of ready-made header bytes, all of them from protocol/ or error_reply."""

    def __init__(self, status: int, headers: list[HeaderField], body: bytes) -> None:
        self.status_code, self.body, self.raw_headers, self.background = status, body, headers, None
