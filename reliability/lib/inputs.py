"""A request as a fuzzer makes it, and as a line of the corpus."""

import json
from collections.abc import Sequence
from typing import NamedTuple, Self


class Input(NamedTuple):
    """One request."""

    method: str
    target: str
    """Path and query, as they are sent, in latin-1."""
    headers: Sequence[tuple[bytes, bytes]]
    parts: Sequence[bytes]
    """Pieces in which the body arrives; none where there is none."""

    @property
    def body(self) -> bytes:
        """The body."""
        return b"".join(self.parts)

    def as_json(self) -> str:
        """A line of the corpus."""
        fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        return json.dumps([self.method, self.target, fields, [part.decode("latin-1") for part in self.parts]])

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The input of a line of the corpus."""
        method, target, fields, parts = json.loads(line)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return cls(method, target, headers, [part.encode("latin-1") for part in parts])

    def as_bytes(self) -> bytes:
        """The request as it is sent over a socket; its head has one line per field."""
        lines = b"".join(b"%s: %s\r\n" % field for field in self.headers)
        length = b"content-length: %d\r\n" % len(self.body) if self.parts else b""
        return b"%s %s HTTP/1.1\r\n%s%s\r\n%s" % (
            self.method.encode(),
            self.target.encode("latin-1"),
            lines,
            length,
            self.body,
        )
