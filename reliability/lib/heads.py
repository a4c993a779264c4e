"""Heads that are none, several requests on one connection, and connections that are slow or half closed."""

from collections.abc import Iterator

from reliability.lib.form import BODY, HEAD, OUTER, Expect, Form, chunked, form, good, with_length
from reliability.lib.framing import HIDDEN


def request_lines() -> Iterator[Form]:
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
        yield form(f"request line, {name}", data, Expect.REFUSED)
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
        yield form(f"request line, {name}", data, Expect.EITHER)


def fields() -> Iterator[Form]:
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
        yield form(f"field, {name}", with_length(more=field + b"\r\n"), expect)
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
        yield form(f"field, {name}", with_length(more=field + b"\r\n"), Expect.EITHER)
    no_host = HEAD.replace(b"Host: localhost\r\n", b"")
    yield form("field, no Host", with_length(head=no_host), Expect.EITHER)
    yield form("field, two Hosts", with_length(more=b"Host: evil.example\r\n"), Expect.EITHER)
    yield form("field, an empty Host", with_length(head=HEAD.replace(b"localhost", b"", 1)), Expect.EITHER)
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    yield form("an offer and a hidden request", with_length(HIDDEN, more=offer), Expect.EITHER)


def pipelines() -> Iterator[Form]:
    """Several requests on one connection."""
    yield form("pipeline, two good ones", with_length() + good("second"), Expect.EITHER)
    yield form("pipeline, 40 good ones", with_length() + good("next") * 40, Expect.EITHER)
    yield form("pipeline, 200 good ones", with_length() + good("next") * 200, Expect.EITHER)
    yield form("pipeline, a wrong one after a good one", with_length() + b"X\r\n\r\n" + HIDDEN, Expect.EITHER)
    yield form("pipeline, after Connection: close", with_length(more=b"Connection: close\r\n") + HIDDEN, Expect.REFUSED)
    yield form("pipeline, after HTTP/1.0", with_length(head=HEAD.replace(b"1.1", b"1.0", 1)) + HIDDEN, Expect.REFUSED)
    yield form("pipeline, after a wrong one", HEAD + b"Content-Length: x\r\n\r\n" + HIDDEN, Expect.REFUSED)
    yield form("pipeline, after one too large", HEAD + b"Content-Length: 9999999999\r\n\r\n" + HIDDEN, Expect.REFUSED)


def slow() -> Iterator[Form]:
    """Connections that bring nothing, too little or half of it."""
    whole = with_length()
    cut = len(HEAD) // 2
    yield form("slow, nothing", b"", Expect.ENDED)
    yield form("slow, half a head", HEAD[:cut], Expect.ENDED)
    yield form("slow, a head without its end", HEAD, Expect.ENDED)
    yield form("slow, half a body", whole[:-5], Expect.ENDED)
    yield form("slow, a chunk that does not come", chunked(b"1a\r\n"), Expect.ENDED)
    yield form("slow, half a size", chunked(b"1"), Expect.ENDED)
    yield form("slow, a last chunk that does not come", chunked(b"1a\r\n" + BODY + b"\r\n"), Expect.ENDED)
    yield form("slow, idle after an answer", whole, Expect.ENDED)
    yield form("slow, half a request after an answer", whole + HEAD[:cut], Expect.ENDED)
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
        yield form(f"half-closed after {name}", data, Expect.ENDED, half_close=True)
