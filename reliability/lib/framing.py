"""Bodies whose end is not clear: lengths, chunks, and both."""

from collections.abc import Iterator

from reliability.lib.form import BODY, HEAD, OUTER, SMUGGLED, Expect, Form, chunked, form, good, with_length

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


def both_lengths() -> Iterator[Form]:
    """What one reads by its length and another by its chunks."""
    for name, field in ENCODINGS.items():
        body = b"0\r\n\r\n" + HIDDEN
        length = b"Content-Length: %d\r\n" % len(body)
        yield form(f"length and encoding, {name}", HEAD + length + field + b"\r\n\r\n" + body, Expect.REFUSED)
        yield form(f"encoding and length, {name}", HEAD + field + b"\r\n" + length + b"\r\n" + body, Expect.REFUSED)
    for name in ("Transfer_Encoding", "X-Transfer-Encoding", "Transfer.Encoding"):
        more = f"{name}: chunked\r\n".encode()
        yield form(f"another field, {name}", with_length(b"0\r\n\r\n" + HIDDEN, more=more), Expect.ANSWERED)
    short = HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield form("a short length and chunks", short + b"5c\r\n" + HIDDEN + b"\r\n0\r\n\r\n", Expect.REFUSED)


def lengths() -> Iterator[Form]:
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
        yield form(f"length, {name}", HEAD + field + b"\r\n\r\n" + BODY, expect)
    right = {
        "trailing space": b"Content-Length: " + size + b" ",
        "zeros before": b"Content-Length: 000" + size,
        "no space": b"Content-Length:" + size,
        "tab": b"Content-Length:\t" + size,
    }
    for name, field in right.items():
        yield form(f"length, {name}", HEAD + field + b"\r\n\r\n" + BODY, Expect.EITHER)
    same = {"twice": b"Content-Length: " + size + b"\r\nContent-Length: " + size, "list": b"Content-Length: 26, 26"}
    for name, field in same.items():
        yield form(f"length, the same {name}", HEAD + field + b"\r\n\r\n" + BODY, Expect.EITHER)
    get = f"GET /health HTTP/1.1\r\nHost: localhost\r\nx-request-id: {OUTER}\r\n".encode()
    yield form("GET with a body", with_length(HIDDEN, get), Expect.ANSWERED)
    yield form("HEAD with a body", with_length(HIDDEN, get.replace(b"GET", b"HEAD", 1)), Expect.EITHER)
    yield form("POST without a length", HEAD + b"\r\n", Expect.ANSWERED)
    yield form("a length too small", HEAD + b"Content-Length: 5\r\n\r\n" + BODY, Expect.REFUSED)
    yield form("HTTP/1.0 with a body", with_length(HIDDEN, HEAD.replace(b"1.1", b"1.0", 1)), Expect.EITHER)
    old = chunked(b"0\r\n\r\n" + HIDDEN).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    yield form(
        "HTTP/1.0 with chunks", old.replace(b"x-request-id: outer", b"x-request-id: outer\r\nA: b"), Expect.EITHER
    )


def chunks() -> Iterator[Form]:
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
        yield form(f"chunks, {name}", chunked(body), Expect.EITHER if name in either else Expect.REFUSED)
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
        yield form(f"chunks, {name}", chunked(body), Expect.ANSWERED)
    for name, trailer in {
        "Content-Length": b"Content-Length: 99",
        "Transfer-Encoding": b"Transfer-Encoding: x",
    }.items():
        body = b"1a\r\n" + BODY + b"\r\n0\r\n" + trailer + b"\r\n\r\n"
        yield form(f"chunks, the trailer {name}", chunked(body), Expect.EITHER)
