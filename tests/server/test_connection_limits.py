"""Limits of a connection, each at its edge, over real sockets against real server processes."""

import contextlib
import json
import re
import socket
import subprocess
import time

import pytest
import requests

from tests.support.asgi_probe import probe, read_reply, request, wait_until

HEAD_BYTES, FIELDS, CHUNKS = 2048, 20, 50
SHORT = {
    "max_header_bytes": HEAD_BYTES,
    "max_header_fields": FIELDS,
    "max_chunks": CHUNKS,
    "header_timeout": 0.6,
    "body_timeout": 1.0,
}
CHUNKED = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    """A server with small limits and short deadlines."""
    with probe(connections=SHORT) as running:
        yield running


@pytest.fixture(scope="module")
def patient():
    """A server whose deadlines are far away."""
    with probe(connections={**SHORT, "header_timeout": 9.0, "body_timeout": 9.0, "keep_alive_timeout": 0.5}) as running:
        yield running


def check_refused(server, reply, status, words):
    """The refusal is JSON, says which limit, ends the connection, and leaves a server that answers."""
    assert reply.status == status
    assert words in reply.error
    assert reply.headers["content-type"] == "application/json"
    assert reply.body == json.dumps({"error": reply.error}, separators=(",", ":")).encode()
    assert re.fullmatch(r"[a-z0-9_-]{21}", reply.headers["x-request-id"])
    assert reply.headers["x-error-message"] == reply.error.lower()
    assert reply.headers["connection"] == "close"
    assert reply.headers["server"] == "uvicorn"
    assert "date" in reply.headers
    assert reply.rest == b""
    assert server.ask(request(body=b"good")).status == 200


def head_of(size):
    """A request without body whose head has exactly `size` bytes."""
    plain = len(request(headers=["x: "]))
    return request(headers=["x: " + "y" * (size - plain)])


def chunked(count):
    """A request with a body of `count` chunks."""
    return CHUNKED + b"1\r\na\r\n" * count + b"0\r\n\r\n"


def dribble(connection, pieces, pause):
    """Send piece by piece; whether the server took them all."""
    connection.setblocking(True)
    for piece in pieces:
        try:
            connection.sendall(piece)
        except OSError:
            return False
        time.sleep(pause)
    return True


@pytest.mark.parametrize("size", [HEAD_BYTES - 1, HEAD_BYTES])
def test_head_up_to_the_limit(server, size):
    """A head of as many bytes as allowed is served."""
    assert len(head_of(size)) == size
    assert server.ask(head_of(size)).status == 200


@pytest.mark.parametrize("size", [HEAD_BYTES + 1, 64 * 1024, 1_000_000])
def test_head_beyond_the_limit(server, size):
    """A head of one byte too many is refused with 431, and so is an enormous one."""
    check_refused(server, server.ask(head_of(size)), 431, f"{HEAD_BYTES} bytes (setting max_header_bytes)")


def test_long_path(server):
    """The request line counts as well."""
    reply = server.ask(request("/" + "a" * HEAD_BYTES))
    check_refused(server, reply, 431, "max_header_bytes")


@pytest.mark.parametrize(("size", "refused"), [(HEAD_BYTES, False), (HEAD_BYTES + 1, True)])
def test_unfinished_head_is_counted_while_it_arrives(patient, size, refused):
    """A head that has grown beyond the limit is refused although its end has not arrived."""
    with patient.connect() as connection:
        start = head_of(5000)[:size]
        for at in range(0, size, 512):
            connection.sendall(start[at : at + 512])
            time.sleep(0.01)
        connection.settimeout(0.5)
        if refused:
            check_refused(patient, read_reply(connection), 431, "max_header_bytes")
        else:
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_second_head_of_a_read_is_measured_by_itself(server):
    """Of two requests in one packet the first is answered, and the second refused if its head is too large."""
    with server.connect() as connection:
        connection.sendall(request(body=b"x" * HEAD_BYTES) + head_of(HEAD_BYTES + 1))
        both = b""
        while piece := connection.recv(65536):
            both += piece

        assert [part[:3] for part in both.split(b"HTTP/1.1 ")[1:]] == [b"200", b"431"]


def test_packet_with_the_begin_of_the_next_head(patient):
    """Bytes before a head in the same packet do not count towards it."""
    second = request("/second", headers=["connection: close"])
    with patient.connect() as connection:
        connection.sendall(request(body=b"x" * HEAD_BYTES * 2) + second[:20])
        time.sleep(0.1)
        connection.sendall(second[20:])
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert replies.count(b"HTTP/1.1 200 OK") == 2


def test_large_body_does_not_count_as_head(server):
    """A body arrives in the same packets as the head and is not counted to it."""
    reply = server.ask(head_of(HEAD_BYTES).replace(b"content-length: 0", b"content-length: 9") + b"x" * 9)
    assert reply.status == 200
    assert json.loads(server.ask(request(body=b"x" * 500_000)).body)["bytes"] == 500_000


@pytest.mark.parametrize(("fields", "status"), [(FIELDS - 1, 200), (FIELDS, 200), (FIELDS + 1, 431), (5000, 431)])
def test_header_fields(server, fields, status):
    """As many header fields as allowed are served, one more is refused."""
    reply = server.ask(request(headers=["a: b"] * (fields - 2)))
    if status == 200:
        assert reply.status == 200
    else:
        check_refused(server, reply, 431, "max_header_" if fields > 100 else f"{FIELDS} header fields (setting max_h")


def test_slow_head(server):
    """A head that dribbles in is refused with 408 when its time is over."""
    with server.connect() as connection:
        begin = time.monotonic()
        dribble(connection, [b"G", b"E", b"T", b" "] + [b"/"] * 3, 0.1)
        reply = read_reply(connection)

        assert time.monotonic() - begin > 0.5
        check_refused(server, reply, 408, "0.6 seconds (setting header_timeout)")


def test_idle_fresh_connection(server):
    """A connection that sends nothing is closed without a reply."""
    with server.connect() as connection:
        begin = time.monotonic()

        assert connection.recv(100) == b""
        assert time.monotonic() - begin > 0.5


@pytest.mark.parametrize("used", [False, True])
def test_empty_lines_do_not_keep_a_connection(used):
    """A connection that sends only empty lines is closed like an idle one, fresh or after a reply."""
    with probe(connections={**SHORT, "keep_alive_timeout": 0.6}) as server, server.connect() as connection:
        if used:
            connection.sendall(request())
            read_reply(connection)
        begin = time.monotonic()
        dribble(connection, [b"\r\n"] * 12, 0.1)
        connection.settimeout(3)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""

        assert time.monotonic() - begin > 0.5


def test_idle_connection_after_a_reply(patient):
    """A kept connection is closed after keep_alive_timeout, also if the request's body ended after its reply."""
    with patient.connect() as connection:
        connection.sendall(request("/", b"x"))
        assert read_reply(connection).status == 200
        begin = time.monotonic()

        assert connection.recv(100) == b""
        assert time.monotonic() - begin > 0.4


@pytest.mark.parametrize("pieces", [[], [b"x"] * 40], ids=["stalled", "trickled"])
def test_slow_body(server, pieces):
    """A body that stops or trickles is refused with 408 when its time is over."""
    with server.connect() as connection:
        begin = time.monotonic()
        connection.sendall(request(body=b"x" * 1000)[:-900])
        dribble(connection, pieces[:9], 0.1)
        reply = read_reply(connection)

        assert time.monotonic() - begin > 0.9
        check_refused(server, reply, 408, "1 seconds (setting body_timeout)")


def test_body_below_the_rate(patient):
    """A body of 500 bytes per second is refused after the grace of 2 seconds."""
    with patient.connect() as connection:
        begin = time.monotonic()
        connection.sendall(request(body=b"x" * 100_000)[:-100_000])
        dribble(connection, [b"x" * 50] * 20, 0.1)
        reply = read_reply(connection)

        assert time.monotonic() - begin > 1.9
        check_refused(patient, reply, 408, "1024 bytes per second (setting min_body_rate)")


def test_body_above_the_rate(patient):
    """A body of 4,000 bytes per second may take longer than the grace."""
    with patient.connect() as connection:
        connection.sendall(request(body=b"x" * 10_000)[:-10_000])
        dribble(connection, [b"x" * 400] * 25, 0.1)

        assert json.loads(read_reply(connection).body)["bytes"] == 10_000


@pytest.mark.parametrize("count", [CHUNKS - 1, CHUNKS])
def test_chunks_up_to_the_limit(server, count):
    """A body of as many chunks as allowed is served."""
    assert json.loads(server.ask(chunked(count)).body)["bytes"] == count


@pytest.mark.parametrize("count", [CHUNKS + 1, 100_000])
def test_chunks_beyond_the_limit(server, count):
    """One chunk too many is refused with 413."""
    check_refused(server, server.ask(chunked(count)), 413, f"{CHUNKS} chunks (setting max_chunks)")


def test_trailers_are_bounded_and_unseen(server):
    """A trailer never becomes a header, of this request or the next one, and too many are refused."""
    trailed = CHUNKED + b"1\r\na\r\n0\r\nauthorization: me\r\n\r\n"
    with server.connect() as connection:
        for data in (trailed, request()):
            connection.sendall(data)
            assert "authorization" not in json.loads(read_reply(connection).body)["headers"]
    many = CHUNKED + b"1\r\na\r\n0\r\n" + b"a: b\r\n" * (FIELDS + 1) + b"\r\n"
    check_refused(server, server.ask(many), 431, "max_header_fields")


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (700_000, 413), (3_000_000, 413)])
@pytest.mark.parametrize("in_one_chunk", [True, False])
def test_chunk_extensions(patient, size, status, in_one_chunk):
    """Chunk extensions are bounded, within one chunk and in all."""
    extensions = [b"x" * size] if in_one_chunk else [b"x" * (size // 10)] * 10
    chunks = b"".join(b"1;%s\r\na\r\n" % extension for extension in extensions)
    with patient.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(CHUNKED + chunks + b"0\r\n\r\n")
        reply = read_reply(connection)

        assert reply.status == status
        assert status == 200 or "framing" in reply.error


def test_large_body_in_small_chunks():
    """A body may have as many chunks as allowed, each of a few bytes."""
    with probe(connections={**SHORT, "max_chunks": 65_536}) as server:
        assert json.loads(server.ask(chunked(65_536)).body)["bytes"] == 65_536


def test_endless_trailer(patient):
    """A trailer that never ends is refused before it takes much memory."""
    with patient.connect() as connection:
        connection.sendall(CHUNKED + b"1\r\na\r\n0\r\na: ")
        connection.sendall(b"x" * 3_000_000)

        check_refused(patient, read_reply(connection), 413, "framing")


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\ncontent-length: 3\n\nabc",
        CHUNKED + b"zz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\x00c\r\n\r\n",
    ],
)
def test_not_http(server, data):
    """Anything but exactly one HTTP/1.1 request is refused with 400: a proxy might read it in another way."""
    check_refused(server, server.ask(data), 400, "not valid HTTP/1.1")


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "POST / RTSP/1.0",
        "OPTIONS / RTSP/1.1",
        "OPTIONS / RTSP/1.0",
        "DESCRIBE / RTSP/1.0",
        "SOURCE / ICE/1.0",
    ],
)
@pytest.mark.parametrize("pieces", [1, 2, 100])
def test_other_protocols(server, line, pieces):
    """A request of another protocol, or of another version of HTTP, is refused with 505, however it arrives."""
    data = f"{line}\r\nhost: localhost\r\n\r\n".encode()
    size = -(-len(data) // pieces)
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dribble(connection, [data[at : at + size] for at in range(0, len(data), size)], 0.002)
        check_refused(server, read_reply(connection), 505, "HTTP/1.1")


def test_other_protocols_behind_a_request(server):
    """Nor does such a request pass behind another one in the same packet."""
    with server.connect() as connection:
        connection.sendall(request() + b"OPTIONS / RTSP/1.0\r\nhost: localhost\r\n\r\n")
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert replies.startswith(b"HTTP/1.1 200 OK")
        assert replies.count(b"HTTP/1.1 505 ") == 1


@pytest.mark.parametrize("pieces", [1, 2, 100])
def test_other_protocols_behind_a_request_in_pieces(server, pieces):
    """Wherever the packets end."""
    data = request() + b"OPTIONS / RTSP/1.0\r\nhost: localhost\r\n\r\n"
    size = -(-len(data) // pieces)
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dribble(connection, [data[at : at + size] for at in range(0, len(data), size)], 0.002)
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert replies.count(b"HTTP/1.1 505 ") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"RTSP/1.0",
        b"a PRICE/1.0 ICE/1.0",
        b"GET / RTSP/1.0 GET / ICE/1.0",
        b"POST / RTSP/1.0",
        b"a line\r\nPOST / ICE/1.0\r\n\r\n",
    ],
)
def test_text_about_other_protocols(server, body):
    """A text may name them, with the method and the path of the request, too."""
    assert server.ask(request(body=body)).status == 200


def test_http_1_0(server):
    """HTTP/1.0 is answered, OPTIONS too: proxies speak it to the servers behind them."""
    for method in ("GET", "OPTIONS"):
        assert server.ask(f"{method} / HTTP/1.0\r\nhost: localhost\r\n\r\n".encode()).status == 200


def test_connect(server):
    """CONNECT is refused with a sentence, since the server is no proxy."""
    check_refused(server, server.ask(b"CONNECT localhost:80 HTTP/1.1\r\n\r\n"), 400, "no proxy")


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_upgrade_is_ignored(server, protocol):
    """A request that offers another protocol is answered as an ordinary one, and so is the one after it."""
    with server.connect() as connection:
        offer = request(body=b"abc", headers=["connection: upgrade", f"upgrade: {protocol}"])
        connection.sendall(offer + request("/next", headers=["connection: close"]))
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert [part[:3] for part in replies.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200"]
        assert replies.index(b'"bytes": 3') < replies.index(b"/next")


def test_pipelined_requests(server):
    """Requests sent at once are answered in their order."""
    with server.connect() as connection:
        connection.sendall(
            request("/sleep/0.1") + request("/2", b"x" * 70_000) + request("/3", b"", ["connection: close"])
        )
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert replies.count(b"HTTP/1.1 200 OK") == 3
        assert replies.index(b"/sleep/0.1") < replies.index(b"/2") < replies.index(b"/3")


def test_too_many_pipelined_requests(server):
    """A connection cannot queue requests without end; those before the limit are answered first."""
    with server.connect() as connection:
        connection.sendall(request("/sleep/0.2") + request() * 500)
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert replies.count(b"HTTP/1.1 200 OK") == 65
        assert replies.count(b"HTTP/1.1 429") == 1


def test_refusal_waits_for_the_earlier_reply(server):
    """A bad request behind a good one does not take its reply's place."""
    with server.connect() as connection:
        connection.sendall(request("/sleep/0.3") + b"nonsense\r\n\r\n")
        replies = b""
        while piece := connection.recv(65536):
            replies += piece

        assert replies.startswith(b"HTTP/1.1 200 OK")
        assert replies.count(b"HTTP/1.1 400") == 1


def test_early_reply_reaches_a_client_that_sends_on(server):
    """A client that sends 3 MB without looking gets the early 413 and a clean end, not a reset."""
    for _ in range(5):
        with server.connect() as connection:
            connection.sendall(request("/too-large", b"x" * 3_000_000))
            reply = read_reply(connection)
            assert (reply.status, reply.error) == (413, "too large")
            assert connection.recv(100) == b""


def test_early_reply_reaches_requests(server):
    """The requests package sees the early 413."""
    reply = requests.post(f"http://127.0.0.1:{server.port}/too-large", data=b"x" * 3_000_000, timeout=5)
    assert (reply.status_code, reply.json()) == (413, {"error": "too large"})


@pytest.mark.parametrize("expect", ["100-continue", ""])
def test_early_reply_reaches_curl(server, tmp_path, expect):
    """The program curl sees the early 413, whether or not it waits for a 100 before it sends."""
    file = tmp_path / "body"
    file.write_bytes(b"x" * 3_000_000)
    url = f"http://127.0.0.1:{server.port}/too-large"
    command = ["curl", "-sS", "-w", " %{http_code}", "-H", f"Expect: {expect}", "--data-binary", f"@{file}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, '{"error": "too large"} 413', "")


def test_refused_client_that_sends_for_ever_is_cut_off(server):
    """A refused client may go on sending for 2 seconds."""
    with server.connect() as connection:
        begin = time.monotonic()
        connection.sendall(request(headers=["a: b"] * 30))

        assert not dribble(connection, [b"x" * 100] * 100, 0.1)
        assert time.monotonic() - begin > 1.5


def test_client_that_does_not_read(server):
    """A client that leaves its reply unread is dropped after body_timeout."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request("/big"))
        time.sleep(2.0)
        connection.settimeout(3)
        received, end = 0, time.monotonic() + 3
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1_000_000):
                received += len(piece)
                assert time.monotonic() < end, "the server goes on sending"

        assert received < 8_000_000


def own_address():
    """An address of this machine other than loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return one.getsockname()[0]


def test_connections_in_all():
    """As many connections as allowed are served, one more gets a 429, and a place that is left can be taken."""
    with probe(connections={"max_connections": 3, "max_connections_per_address": 1}) as server:
        kept = [server.connect() for _ in range(3)]  # NOTE: loopback has no limit per address
        for connection in kept:
            connection.sendall(request())
            assert read_reply(connection).status == 200
        reply = server.ask(request())
        kept.pop().close()
        time.sleep(0.1)

        check_refused(server, reply, 429, "3 connections open (setting max_connections)")
        assert reply.headers["retry-after"] == "1"
        for connection in kept:
            connection.sendall(request())
            assert read_reply(connection).status == 200
            connection.close()


def test_connections_of_one_address():
    """An address has its own limit, and loopback is still served when it is reached."""
    if (address := own_address()) is None:
        pytest.skip("this machine has no address besides loopback")
    with probe(listen={"host": "0.0.0.0"}, connections={"max_connections_per_address": 2}) as server:
        kept = [server.connect(host=address) for _ in range(2)]
        for connection in kept:
            connection.sendall(request())
            assert read_reply(connection).status == 200
        reply = server.ask(request(), host=address)
        check_refused(server, reply, 429, "limit of 2 connections open (setting max_connections_per_address)")
        kept.pop().close()

        assert wait_until(lambda: server.ask(request(), host=address).status == 200)
        kept.pop().close()
