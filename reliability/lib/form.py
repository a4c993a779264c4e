"""One form in which HTTP/1.1 is abused, and the parts of which all are made.

Every form asks with the request id `outer`. Where it hides a request in another one that has the id `smuggled`, of
which no answer may ever come. A good request with the id `probe` follows all forms but the slow ones.
"""

from enum import Enum, auto
from typing import NamedTuple

OUTER, SMUGGLED, PROBE = "outer", "smuggled", "probe"
PATH = "/models/labeld/language-20"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nx-request-id: {OUTER}\r\n".encode()
BODY = b'{"inputs": "Guten Morgen"}'


class Expect(Enum):
    """What a form must come to."""

    REFUSED = auto()
    """An error or nothing, and the end of the connection: nothing that follows is read."""
    ANSWERED = auto()
    """The form has its answer, and then the probe has."""
    EITHER = auto()
    """Answered or refused: both are right, but one of them it must be."""
    ENDED = auto()
    """Slow or cut off: the connection ends within its time."""


class Form(NamedTuple):
    """One form."""

    name: str
    parts: tuple[tuple[float, bytes], ...]
    """Seconds to wait, and what is sent then."""
    expect: Expect
    half_close: bool = False
    """Whether the client says after it that it sends nothing more; without a probe."""

    @property
    def has_probe(self) -> bool:
        """Whether a good request follows."""
        return self.expect is not Expect.ENDED and not self.half_close


def good(request_id: str = PROBE) -> bytes:
    """A request that nothing is wrong with."""
    return f"GET /health HTTP/1.1\r\nHost: localhost\r\nx-request-id: {request_id}\r\n\r\n".encode()


def with_length(body: bytes = BODY, head: bytes = HEAD, more: bytes = b"") -> bytes:
    """A request with this body and its length."""
    return head + more + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(body: bytes, more: bytes = b"") -> bytes:
    """A request whose body has these bytes on the wire."""
    return HEAD + more + b"Transfer-Encoding: chunked\r\n\r\n" + body


def form(name: str, data: bytes, expect: Expect, *, half_close: bool = False) -> Form:
    """A form that is sent at once."""
    return Form(name, ((0.0, data),), expect, half_close)
