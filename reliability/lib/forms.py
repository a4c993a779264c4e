"""Some 200 forms in which HTTP/1.1 is abused: smuggling, framing, slow and half-closed connections.

Every form asks with the request id `outer`. Where it hides a request in another one that has the id `smuggled`, of
which no answer may ever come. A good request with the id `probe` follows all forms but the slow ones.
"""

from collections.abc import Iterator
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


def every_form() -> list[Form]:
    """All of them, each with a name of its own."""
    found = [*_both_lengths(), *_lengths(), *_chunks(), *_request_lines(), *_fields(), *_pipelines(), *_slow()]
    assert len({one.name for one in found}) == len(found), "two forms of one name"
    return found


def _form(name: str, data: bytes, expect: Expect, *, half_close: bool = False) -> Form:
    return Form(name, ((0.0, data),), expect, half_close)


ENCODINGS: dict[str, bytes] = {
    "plain": b"Transfer-Encoding: chunked",
    "small letters": b"transfer-encoding: chunked",
    "no space": b"Transfer-Encoding:chunked",
    "two spaces": b"Transfer-Encoding:  chunked",
    "tab": b"Transfer-Encoding:\tchunked",
    "trailing space": b"Transfer-Encoding: chunked ",
    "trailing tab": b"Transfer-Encoding: chunked\t",
    "capitals": b"Transfer-Encoding: CHUNKED",
    "mixed": b"Transfer-Encoding: cHuNkEd",
    "space before the colon": b"Transfer-Encoding : chunked",
    "tab before the colon": b"Transfer-Encoding\t: chunked",
    "leading space": b" Transfer-Encoding: chunked",
    "leading tab": b"\tTransfer-Encoding: chunked",
    "other value": b"Transfer-Encoding: xchunked",
    "prefix": b"Transfer-Encoding: chunk",
    "comma before": b"Transfer-Encoding: , chunked",
    "comma after": b"Transfer-Encoding: chunked,",
    "identity": b"Transfer-Encoding: identity",
    "identity first": b"Transfer-Encoding: identity, chunked",
    "identity last": b"Transfer-Encoding: chunked, identity",
    "gzip first": b"Transfer-Encoding: gzip, chunked",
    "gzip last": b"Transfer-Encoding: chunked, gzip",
    "twice in one": b"Transfer-Encoding: chunked, chunked",
    "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "twice, one other": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "twice, one other first": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded value": b"Transfer-Encoding: chun\r\n ked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "parameter": b"Transfer-Encoding: chunked;q=1",
    "vertical tab": b"Transfer-Encoding: \x0bchunked",
    "form feed": b"Transfer-Encoding: \x0cchunked",
    "NUL": b"Transfer-Encoding: chunked\0",
    "no-break space": b"Transfer-Encoding: \xa0chunked",
    "byte 255": b"Transfer-Encoding: \xffchunked",
    "bare CR": b"X: y\rTransfer-Encoding: chunked",
    "bare LF": b"X: y\nTransfer-Encoding: chunked",
    "empty": b"Transfer-Encoding:",
    "hop by hop": b"Connection: content-length\r\nTransfer-Encoding: chunked",
}
"""Spellings of Transfer-Encoding, which stands beside a Content-Length."""
HIDDEN = good(SMUGGLED)


def _both_lengths() -> Iterator[Form]:
    """What one reads by its length and another by its chunks."""
    for name, field in ENCODINGS.items():
        body = b"0\r\n\r\n" + HIDDEN
        length = b"Content-Length: %d\r\n" % len(body)
        yield _form(f"length and encoding, {name}", HEAD + length + field + b"\r\n\r\n" + body, Expect.REFUSED)
        yield _form(f"encoding and length, {name}", HEAD + field + b"\r\n" + length + b"\r\n" + body, Expect.REFUSED)
    for name in ("Transfer_Encoding", "X-Transfer-Encoding", "Transfer.Encoding"):
        more = f"{name}: chunked\r\n".encode()
        yield _form(f"another field, {name}", with_length(b"0\r\n\r\n" + HIDDEN, more=more), Expect.ANSWERED)
    short = HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield _form("a short length and chunks", short + b"5c\r\n" + HIDDEN + b"\r\n0\r\n\r\n", Expect.REFUSED)


def _lengths() -> Iterator[Form]:
    """Lengths that are none, or two."""
    size = b"%d" % len(BODY)
    wrong = {
        "two that differ": b"Content-Length: " + size + b"\r\nContent-Length: 0",
        "two that differ, the other way": b"Content-Length: 0\r\nContent-Length: " + size,
        "a list that differs": b"Content-Length: 0, " + size,
        "plus": b"Content-Length: +" + size,
        "minus": b"Content-Length: -1",
        "hexadecimal": b"Content-Length: 0x1a",
        "exponent": b"Content-Length: 2e1",
        "fraction": b"Content-Length: 26.0",
        "letters": b"Content-Length: abc",
        "empty": b"Content-Length:",
        "spaces inside": b"Content-Length: 2 6",
        "more than 64 bits": b"Content-Length: 18446744073709551642",
        "more than 63 bits": b"Content-Length: 9223372036854775808",
        "space before the colon": b"Content-Length : " + size,
        "folded": b"Content-Length:\r\n " + size,
        "Arabic digits": "Content-Length: ٢٦".encode(),
        "NUL": b"Content-Length: 26\0",
        "vertical tab": b"Content-Length: \x0b26",
        "bare CR": b"X: y\rContent-Length: 0",
    }
    for name, field in wrong.items():
        expect = Expect.EITHER if name in {"empty", "bare CR"} else Expect.REFUSED
        yield _form(f"length, {name}", HEAD + field + b"\r\n\r\n" + BODY, expect)
    right = {
        "trailing space": b"Content-Length: " + size + b" ",
        "zeros before": b"Content-Length: 000" + size,
        "no space": b"Content-Length:" + size,
        "tab": b"Content-Length:\t" + size,
    }
    for name, field in right.items():
        yield _form(f"length, {name}", HEAD + field + b"\r\n\r\n" + BODY, Expect.EITHER)
    same = {"twice": b"Content-Length: " + size + b"\r\nContent-Length: " + size, "list": b"Content-Length: 26, 26"}
    for name, field in same.items():
        yield _form(f"length, the same {name}", HEAD + field + b"\r\n\r\n" + BODY, Expect.EITHER)
    get = f"GET /health HTTP/1.1\r\nHost: localhost\r\nx-request-id: {OUTER}\r\n".encode()
    yield _form("GET with a body", with_length(HIDDEN, get), Expect.ANSWERED)
    yield _form("HEAD with a body", with_length(HIDDEN, get.replace(b"GET", b"HEAD", 1)), Expect.EITHER)
    yield _form("POST without a length", HEAD + b"\r\n", Expect.ANSWERED)
    yield _form("a length too small", HEAD + b"Content-Length: 5\r\n\r\n" + BODY, Expect.REFUSED)
    yield _form("HTTP/1.0 with a body", with_length(HIDDEN, HEAD.replace(b"1.1", b"1.0", 1)), Expect.EITHER)
    old = chunked(b"0\r\n\r\n" + HIDDEN).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    yield _form(
        "HTTP/1.0 with chunks", old.replace(b"x-request-id: outer", b"x-request-id: outer\r\nA: b"), Expect.EITHER
    )


def _chunks() -> Iterator[Form]:
    """Framing of a chunked body."""
    hidden = b"%x" % len(HIDDEN)
    wrong = {
        "size with 0x": b"0x1a\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size with plus": b"+1a\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size with minus": b"-1\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size that is none": b"g\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size that is empty": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size over 64 bits": b"1000000000000001a\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size of 16 digits": b"fffffffffffffffff\r\n" + BODY + b"\r\n0\r\n\r\n",
        "space before the size": b" 1a\r\n" + BODY + b"\r\n0\r\n\r\n",
        "LF after the size": b"1a\n" + BODY + b"\r\n0\r\n\r\n",
        "CR after the size": b"1a\r" + BODY + b"\r\n0\r\n\r\n",
        "LF after the data": b"1a\r\n" + BODY + b"\n0\r\n\r\n",
        "nothing after the data": b"1a\r\n" + BODY + b"0\r\n\r\n",
        "more data than the size": b"19\r\n" + BODY + b"\r\n0\r\n\r\n",
        "two bytes after the data": b"1a\r\n" + BODY + b"XX0\r\n\r\n",
        "LF only": b"1a\n" + BODY + b"\n0\n\n",
        "NUL in the size": b"1\0a\r\n" + BODY + b"\r\n0\r\n\r\n",
        "LF in an extension": b"1a;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n",
        "CR in an extension": b"1a;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n",
        "a hidden request in an extension": b"1a;\n" + hidden + b"\r\n" + HIDDEN + b"\r\n0\r\n\r\n",
        "the last chunk with LF": b"1a\r\n" + BODY + b"\r\n0\n\r\n",
        "the end with LF": b"1a\r\n" + BODY + b"\r\n0\r\n\n",
        "a trailer that is folded": b"1a\r\n" + BODY + b"\r\n0\r\nA: b\r\n c\r\n\r\n",
        "a trailer without a colon": b"1a\r\n" + BODY + b"\r\n0\r\nAb\r\n\r\n",
        "a trailer with a space": b"1a\r\n" + BODY + b"\r\n0\r\nA b: c\r\n\r\n",
        "trailers without end": b"1a\r\n" + BODY + b"\r\n0\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        "a huge extension": b"1a;" + b"a" * 2_000_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    }
    either = {"CR in an extension", "a trailer that is folded", "space before the size", "the end with LF"}
    for name, body in wrong.items():
        yield _form(f"chunks, {name}", chunked(body), Expect.EITHER if name in either else Expect.REFUSED)
    right = {
        "one": b"1a\r\n" + BODY + b"\r\n0\r\n\r\n",
        "capital digits": b"1A\r\n" + BODY + b"\r\n0\r\n\r\n",
        "zeros before": b"0001a\r\n" + BODY + b"\r\n00\r\n\r\n",
        "an extension": b"1a;a=b\r\n" + BODY + b"\r\n0;c\r\n\r\n",
        "a quoted extension": b'1a;a="b c"\r\n' + BODY + b"\r\n0\r\n\r\n",
        "single bytes": b"".join(b"1\r\n%c\r\n" % one for one in BODY) + b"0\r\n\r\n",
        "a trailer": b"1a\r\n" + BODY + b"\r\n0\r\nA: b\r\n\r\n",
        "a hidden request": hidden + b"\r\n" + HIDDEN + b"\r\n0\r\n\r\n",
    }
    for name, body in right.items():
        yield _form(f"chunks, {name}", chunked(body), Expect.ANSWERED)
    for name, trailer in {
        "Content-Length": b"Content-Length: 99",
        "Transfer-Encoding": b"Transfer-Encoding: x",
    }.items():
        body = b"1a\r\n" + BODY + b"\r\n0\r\n" + trailer + b"\r\n\r\n"
        yield _form(f"chunks, the trailer {name}", chunked(body), Expect.EITHER)


def _request_lines() -> Iterator[Form]:
    """Request lines, and what is no HTTP at all."""
    rest = f" HTTP/1.1\r\nHost: localhost\r\nx-request-id: {OUTER}\r\n\r\n".encode()
    refused = {
        "HTTP/0.9": b"GET /health\r\n\r\n",
        "HTTP/1.2": b"GET /health" + rest.replace(b"1.1", b"1.2", 1),
        "HTTP/2.0": b"GET /health" + rest.replace(b"1.1", b"2.0", 1),
        "HTTP/1.10": b"GET /health" + rest.replace(b"1.1", b"1.10", 1),
        "small letters": b"GET /health" + rest.replace(b"HTTP", b"http", 1),
        "another protocol": b"GET /health" + rest.replace(b"HTTP/1.1", b"RTSP/1.0", 1),
        "ICE": b"SOURCE /health" + rest.replace(b"HTTP/1.1", b"ICE/1.0", 1),
        "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
        "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "SMTP": b"HELO localhost\r\n\r\n",
        "binary": bytes(range(256)),
        "CONNECT": b"CONNECT localhost:80" + rest,
        "method in small letters": b"get /health" + rest,
        "unknown method": b"FOO /health" + rest,
        "NUL in the path": b"GET /he\0alth" + rest,
        "space in the path": b"GET /health x" + rest,
        "LF in the path": b"GET /health\nX: y" + rest,
        "no path": b"GET" + rest,
        "leading space": b" GET /health" + rest,
        "a path of 20,000 bytes": b"GET /" + b"a" * 20_000 + rest,
        "method of 20,000 bytes": b"A" * 20_000 + b" /health" + rest,
    }
    for name, data in refused.items():
        yield _form(f"request line, {name}", data, Expect.REFUSED)
    either = {
        "two spaces": b"GET  /health" + rest,
        "tab": b"GET\t/health" + rest,
        "absolute form": b"GET http://localhost/health" + rest,
        "absolute form of another": b"GET http://evil.example/health" + rest,
        "two slashes": b"GET //evil.example/health" + rest,
        "asterisk": b"OPTIONS *" + rest,
        "8 bits in the path": b"GET /h\xe9alth" + rest,
        "fragment": b"GET /health#x" + rest,
        "empty lines before": b"\r\n\r\nGET /health" + rest,
        "LF only": f"GET /health HTTP/1.1\nHost: localhost\nx-request-id: {OUTER}\n\n".encode(),
        "dots": b"GET /../../etc/passwd" + rest,
        "encoded dots": b"GET /%2e%2e/%2e%2e/etc/passwd" + rest,
        "encoded CRLF": b"GET /health%0d%0aX:%20y" + rest,
    }
    for name, data in either.items():
        yield _form(f"request line, {name}", data, Expect.EITHER)


def _fields() -> Iterator[Form]:
    """Header fields."""
    refused = {
        "without a colon": b"Abc",
        "space in the name": b"A b: c",
        "empty name": b": c",
        "NUL in the name": b"A\0b: c",
        "NUL in the value": b"A: b\0c",
        "8 bits in the name": b"A\xe9: b",
        "folded": b"A: b\r\n c",
        "brackets in the name": b"A(b): c",
        "CR in the value": b"A: b\rc: d",
        "a value of 20,000 bytes": b"A: " + b"b" * 20_000,
        "a name of 20,000 bytes": b"a" * 20_000 + b": b",
        "100 fields": b"\r\n".join(b"A%d: b" % number for number in range(100)),
        "DEL in the name": b"A\x7f: b",
    }
    for name, field in refused.items():
        expect = Expect.EITHER if name in {"folded", "CR in the value"} else Expect.REFUSED
        yield _form(f"field, {name}", with_length(more=field + b"\r\n"), expect)
    either = {
        "empty value": b"A:",
        "tabs": b"A:\tb\t",
        "8 bits in the value": b"A: \xe9",
        "the same twice": b"A: b\r\nA: c",
        "Connection names Host": b"Connection: host",
        "Connection with much": b"Connection: keep-alive, close, upgrade, x",
        "Expect of something": b"Expect: 200-ok",
        "100-continue": b"Expect: 100-continue",
        "an offer of h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "an offer of websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x",
        "Proxy-Connection": b"Proxy-Connection: close",
        "TE": b"TE: trailers, chunked",
        "another method": b"X-HTTP-Method-Override: DELETE",
    }
    for name, field in either.items():
        yield _form(f"field, {name}", with_length(more=field + b"\r\n"), Expect.EITHER)
    no_host = HEAD.replace(b"Host: localhost\r\n", b"")
    yield _form("field, no Host", with_length(head=no_host), Expect.EITHER)
    yield _form("field, two Hosts", with_length(more=b"Host: evil.example\r\n"), Expect.EITHER)
    yield _form("field, an empty Host", with_length(head=HEAD.replace(b"localhost", b"", 1)), Expect.EITHER)
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    yield _form("an offer and a hidden request", with_length(HIDDEN, more=offer), Expect.EITHER)


def _pipelines() -> Iterator[Form]:
    """Several requests on one connection."""
    yield _form("pipeline, two good ones", with_length() + good("second"), Expect.EITHER)
    yield _form("pipeline, 40 good ones", with_length() + good("next") * 40, Expect.EITHER)
    yield _form("pipeline, 200 good ones", with_length() + good("next") * 200, Expect.EITHER)
    yield _form("pipeline, a wrong one after a good one", with_length() + b"X\r\n\r\n" + HIDDEN, Expect.EITHER)
    yield _form(
        "pipeline, after Connection: close", with_length(more=b"Connection: close\r\n") + HIDDEN, Expect.REFUSED
    )
    yield _form("pipeline, after HTTP/1.0", with_length(head=HEAD.replace(b"1.1", b"1.0", 1)) + HIDDEN, Expect.REFUSED)
    yield _form("pipeline, after a wrong one", HEAD + b"Content-Length: x\r\n\r\n" + HIDDEN, Expect.REFUSED)
    yield _form("pipeline, after one too large", HEAD + b"Content-Length: 9999999999\r\n\r\n" + HIDDEN, Expect.REFUSED)


def _slow() -> Iterator[Form]:
    """Connections that bring nothing, too little or half of it."""
    whole = with_length()
    cut = len(HEAD) // 2
    yield _form("slow, nothing", b"", Expect.ENDED)
    yield _form("slow, half a head", HEAD[:cut], Expect.ENDED)
    yield _form("slow, a head without its end", HEAD, Expect.ENDED)
    yield _form("slow, half a body", whole[:-5], Expect.ENDED)
    yield _form("slow, a chunk that does not come", chunked(b"1a\r\n"), Expect.ENDED)
    yield _form("slow, half a size", chunked(b"1"), Expect.ENDED)
    yield _form("slow, a last chunk that does not come", chunked(b"1a\r\n" + BODY + b"\r\n"), Expect.ENDED)
    yield _form("slow, idle after an answer", whole, Expect.ENDED)
    yield _form("slow, half a request after an answer", whole + HEAD[:cut], Expect.ENDED)
    drip = tuple((0.25, HEAD[at : at + 1]) for at in range(20))
    yield Form("slow, a head byte by byte", drip, Expect.ENDED)
    yield Form("slow, fields without end", tuple((0.2, b"A%d: b\r\n" % at) for at in range(20)), Expect.ENDED)
    body = b"Content-Length: 1000\r\n\r\n"
    yield Form("slow, a body byte by byte", ((0.0, HEAD + body), *((0.2, b"x") for _ in range(20))), Expect.ENDED)
    pieces = tuple((0.2, b"1\r\nx\r\n") for _ in range(20))
    yield Form("slow, chunks of a byte", ((0.0, chunked(b"")), *pieces), Expect.ENDED)
    yield Form("slow, empty lines", tuple((0.2, b"\r\n") for _ in range(20)), Expect.ENDED)
    yield Form(
        "slow, an answer and then empty lines", ((0.0, whole), *((0.3, b"\r\n") for _ in range(12))), Expect.ENDED
    )
    for name, data in {
        "nothing": b"",
        "half a head": HEAD[:cut],
        "half a body": whole[:-5],
        "half a chunk": chunked(b"1a\r\n" + BODY[:5]),
        "a whole request": whole,
        "two whole requests": whole + whole,
        "a wrong request": b"X\r\n\r\n",
    }.items():
        yield _form(f"half-closed after {name}", data, Expect.ENDED, half_close=True)
