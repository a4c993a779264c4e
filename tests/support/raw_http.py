"""Requests that no client library would send, on a connection of their own."""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.support.server_process import Server


@dataclass
class RawReply:
    """A reply; headers by lower-cased name, several of one name joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        """The sentence of an error."""
        return json.loads(self.body)["error"]


def raw(server: Server, line: str, *fields: str, body: bytes = b"") -> RawReply:
    """Sends a request line (HTTP/1.1 if it does not say), exactly these header fields and, if there is one, a body."""
    first = line if " HTTP/" in line else f"{line} HTTP/1.1"
    lines = [first, *fields, *([f"content-length: {len(body)}"] if body else [])]
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body)
        reply = http.client.HTTPResponse(connection, method=line.partition(" ")[0])
        reply.begin()
        content = reply.read()
        headers: dict[str, str] = {}
        for name, value in ((name.lower(), value) for name, value in reply.getheaders()):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return RawReply(reply.status, headers, content)
