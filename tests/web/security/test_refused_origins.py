"""What the connection refuses, as a page of another site sees it: with the header fields of any other reply."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi_probe import Reply
from tests.support.server_process import Server, serving, wait_until

PAGE = "https://page.example"
NAMED = ("host: localhost:8080", f"origin: {PAGE}", "sec-fetch-site: cross-site")
FOREIGN = ("host: localhost:8080", "origin: https://evil.example")
FOREIGN_HOST = ("host: evil.example", f"origin: {PAGE}")
OWN = ("host: localhost:8080", "origin: http://localhost:8080", "sec-fetch-site: same-origin")
CLIENTS = {"named": NAMED, "foreign": FOREIGN, "foreign host": FOREIGN_HOST, "own page": OWN, "none": NAMED[:1]}
SMALL = ("--max-header-bytes", "4096", "--max-header-fields", "30", "--max-chunks", "8")
SHORT = ("--header-timeout", "0.5", "--body-timeout", "0.7")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with small limits, to which pages of one other site may talk."""
    arguments = ("--origins", PAGE, "--log-format", "json", *SMALL, *SHORT)
    with serving(tmp_path_factory.mktemp("refusing"), *arguments) as running:
        yield running


def head(first: str, *fields: str, end: str = "\r\n\r\n") -> bytes:
    """A request line and these fields."""
    return ("\r\n".join((first, *fields)) + end).encode()


def asked(server: Server, data: bytes) -> Reply:
    """The last reply to these bytes, on a connection of their own that the server ends."""
    received = b""
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(data)
        while piece := connection.recv(65536):
            received += piece
    *_, last = re.split(rb"(?=HTTP/1.1 \d)", received)
    return Reply(*last.split(b"\r\n\r\n", 1))


def shown_to_pages(reply: Reply) -> dict[str, Any]:
    """The header fields of a reply that decide what a page of another site may see of it."""
    return {
        name: value for name, value in reply.headers.items() if name.startswith("access-control-") or name == "vary"
    }


FIELDS = tuple(f"x-{number}: a" for number in range(40))
REFUSED = {
    "large head": (431, lambda who: head("POST / HTTP/1.1", *who, "x: " + "y" * 5000)),
    "large field first": (431, lambda who: head("POST / HTTP/1.1", "x: " + "y" * 5000, *who)),
    "large head, unfinished": (431, lambda who: head("POST / HTTP/1.1", *who, "x: " + "y" * 5000, end="")),
    "large field first, unfinished": (431, lambda who: head("POST / HTTP/1.1", "x: " + "y" * 5000, *who, end="\r\n")),
    "many fields": (431, lambda who: head("POST / HTTP/1.1", *who, *FIELDS)),
    "many fields first": (431, lambda who: head("POST / HTTP/1.1", *FIELDS, *who)),
    "many fields first, unfinished": (431, lambda who: head("POST / HTTP/1.1", *FIELDS, *who, end="\r\n")),
    "slow head": (408, lambda who: head("POST / HTTP/1.1", *who, end="\r\n")),
    "slow body": (408, lambda who: head("POST / HTTP/1.1", *who, "content-length: 9") + b"{"),
    "no HTTP": (400, lambda who: head("POST / HTTP/1.1", *who, "a: b\x00c")),
    "bad chunk": (400, lambda who: head("POST / HTTP/1.1", *who, "transfer-encoding: chunked") + b"zz\r\n"),
    "many chunks": (
        413,
        lambda who: head("POST / HTTP/1.1", *who, "transfer-encoding: chunked") + b"1\r\na\r\n" * 9 + b"0\r\n\r\n",
    ),
    "many trailers": (
        431,
        lambda who: (
            head("POST / HTTP/1.1", *who, "transfer-encoding: chunked")
            + b"1\r\na\r\n0\r\n"
            + b"origin: https://page.example\r\n" * 31
            + b"\r\n"
        ),
    ),
    "another version": (505, lambda who: head("POST / HTTP/2.0", *who)),
    "behind another": (431, lambda who: head("GET /health HTTP/1.1", *NAMED) + head("GET / HTTP/1.1", *who, *FIELDS)),
    "many at once": (429, lambda who: head("GET /health HTTP/1.1", *who) * 200),
}


ANSWERED_BEFORE = {(case, client) for case in ("many at once", "slow body") for client in ("foreign", "foreign host")}
"""Those that the application refuses itself, before the connection does."""


@pytest.mark.parametrize(
    ("case", "client"),
    [(case, client) for case in REFUSED for client in CLIENTS if (case, client) not in ANSWERED_BEFORE],
)
def test_a_refusal_has_the_fields_of_any_other_reply(server: Server, case: str, client: str) -> None:
    """A page of a named origin sees the status; others see as little as of a reply of the application."""
    status, data = REFUSED[case]
    who = CLIENTS[client]
    usual = asked(server, head("GET /nowhere HTTP/1.1", *who, "connection: close"))
    reply = asked(server, data(who))

    assert (status, shown_to_pages(usual)) == (reply.status, shown_to_pages(reply))
    assert ("access-control-allow-origin" in reply.headers) == (client == "named")


def test_a_field_that_did_not_arrive_whole_is_not_believed(server: Server) -> None:
    """An Origin that is cut off is none, whatever it begins with; nor is one of an earlier request."""
    fields = ("host: localhost", "x: " + "y" * 5000, f"origin: {PAGE}")
    cut = asked(server, head("POST / HTTP/1.1", *fields, end=""))
    stray = asked(server, head("GET /health HTTP/1.1", *NAMED) + b"\x16\x03\x01")

    assert (431, {"vary": "origin"}) == (cut.status, shown_to_pages(cut))
    assert (400, {}) == (stray.status, shown_to_pages(stray))


def test_a_refusal_has_the_id_of_its_request(server: Server) -> None:
    """That of the client, as in any other reply and in the log."""
    reply = asked(server, head("POST / HTTP/1.1", "host: localhost", "x-request-id: mine-7", *FIELDS))

    def logged() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        return [line for line in lines if line.get("request_id") == "mine-7"]

    assert (431, "mine-7") == (reply.status, reply.headers["x-request-id"])
    assert wait_until(logged)
    assert ("refused by the connection", 431) == (logged()[0]["message"], logged()[0]["status"])


def test_connections_beyond_the_limit_are_refused_unread(tmp_path: Path) -> None:
    """What comes on them is not waited for, so that nobody knows whose page it is."""
    limits = ("--max-connections", "1")
    with serving(tmp_path, "--origins", PAGE, *limits) as server, socket.create_connection(server.address):
        reply = asked(server, head("GET /health HTTP/1.1", *NAMED))

    assert (429, {}) == (reply.status, shown_to_pages(reply))
