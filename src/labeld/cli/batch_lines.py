"""The lines of a file of requests, and what every one of them must be."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any, BinaryIO

from labeld.errors import InvalidRequestError

LONGEST_LINE = 64 << 20
"""Bytes of the longest line that is answered."""
MOST_SHOWN = 60
"""Characters of a custom_id that a sentence shows, at most."""


class WrongLineError(InvalidRequestError):
    """A line is no request; the sentence says why."""


class CustomIds:
    """The custom_id of the lines so far, as digests: by it callers tell the answers apart."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def require_new(self, given: Mapping[str, Any], number: int) -> None:
        """Raises WrongLineError where an earlier line has the custom_id; a line without one is like no other."""
        if given.get("custom_id") is None:
            return
        name = json.dumps(given["custom_id"], sort_keys=True)
        digest = blake2b(name.encode(), digest_size=16).digest()
        if digest in self._digests:
            shown = name if len(name) <= MOST_SHOWN else f"{name[:MOST_SHOWN]}…"
            raise WrongLineError(
                f"The custom_id of line {number}, {shown}, is that of an earlier line: give each line one of its own."
            )
        self._digests.add(digest)


def ids_before(source: BinaryIO, position: int) -> CustomIds:
    """Those of the lines that an earlier run has answered; what is read next begins at the position."""
    ids, lines, read = CustomIds(), lines_of(source), 0
    while read < position:
        line, size = next(lines)
        read += size
        with suppress(WrongLineError):
            ids.require_new(parsed(line, 0), 0)
    return ids


def lines_of(source: BinaryIO) -> Iterator[tuple[bytes | None, int]]:
    """The lines of a file, each with its bytes; None for one that is too long to be kept."""
    while line := source.readline(LONGEST_LINE):
        size = len(line)
        if size < LONGEST_LINE or line.endswith(b"\n"):
            yield line, size
            continue
        while rest := source.readline(LONGEST_LINE):
            size += len(rest)
            if rest.endswith(b"\n"):
                break
        yield None, size


def parsed(line: bytes | None, number: int) -> dict[str, Any]:
    """The JSON object of a line; raises WrongLineError where it is none."""
    if line is None:
        raise WrongLineError(f"Line {number} has more than {LONGEST_LINE >> 20} MB: send fewer texts in each request.")
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise WrongLineError(f'Line {number} is no JSON object: write {{"custom_id": …, "method": …, "url": …, …}}.')
    return given
