"""Refusals by a connection: malformed requests, and those beyond a limit. Each ends the connection.

Too many connections, or too many requests on one, are an OverloadedError. The base class and general failures are in
labeld/errors.py.
"""

from labeld.errors import HeaderField, LabeldError

BODY_GRACE = 2.0
"""Seconds before the rate of a body is looked at."""
CLOSE: HeaderField = (b"connection", b"close")
"""The reply is the last one of its connection."""


class MalformedRequestError(LabeldError):
    """The bytes are not one valid HTTP/1.1 request."""

    status = 400


class ProtocolVersionError(LabeldError):
    """A request line of another protocol, or of another version of HTTP."""

    status = 505

    def __init__(self) -> None:
        super().__init__("Only HTTP/1.1 and HTTP/1.0 are spoken here.")


class SlowRequestError(LabeldError):
    """The head or the body of a request did not arrive within its time."""

    status = 408

    def headers(self) -> list[HeaderField]:
        """The rest of it is not waited for."""
        return [CLOSE]


def too_late(seconds: float) -> SlowRequestError:
    """Of a body that did not arrive within its time."""
    return SlowRequestError(f"The body did not arrive within {seconds:g} seconds (setting body_timeout).")


def too_slow(rate: int) -> SlowRequestError:
    """Of a body that arrives slower than it must."""
    return SlowRequestError(f"The body arrives with less than {rate} bytes per second (setting min_body_rate).")


class BodyFramingError(LabeldError):
    """A chunked body has too many chunks, or more framing than data."""

    status = 413


class HeaderTooLargeError(LabeldError):
    """A request has more bytes before its body, or more header fields, than allowed."""

    status = 431


def head_too_large(limit: int) -> HeaderTooLargeError:
    """Of a request line and header fields with more bytes than this."""
    return HeaderTooLargeError(f"The request line and headers exceed {limit} bytes (setting max_header_bytes).")


def too_many_fields(limit: int) -> HeaderTooLargeError:
    """Of a request with more header fields than this."""
    return HeaderTooLargeError(f"The request has more than {limit} header fields (setting max_header_fields).")
