"""The lines of a file of requests, and what every one of them must be."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from io import BufferedReader
from threading import Event
from typing import Any

from labeld.errors import InvalidJsonError, InvalidRequestError
from labeld.files.streams import reading
from labeld.protocol.strict_json import decode

LONGEST_LINE = 64 << 20
"""Bytes of the longest line that is answered."""
MOST_SHOWN = 60
"""Characters of a custom_id that a sentence shows, at most."""
EXAMPLE = 'write {"custom_id": …, "method": …, "url": …, …}.'
CUSTOM_ID = re.compile(rb'^\W*"custom_id"\s*:\s*("(?:[^"\\]|\\.)*+")')
"""The first member of a line, as everybody writes it."""


class WrongLineError(InvalidRequestError):
    """A line is no request; the sentence says why. `custom_id` is the line's, where it is not read otherwise."""

    def __init__(self, sentence: str, custom_id: str | None = None) -> None:
        super().__init__(sentence)
        self.custom_id = custom_id


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


class Lines:
    """The lines of a file, in their order."""

    def __init__(self, path: str, stream: BufferedReader, stopping: Event) -> None:
        """`stopping` is what ends the stream while it is waited for."""
        self._path, self._stream, self._stopping = path, stream, stopping
        self._read = 0

    def stop(self) -> None:
        """Ends a `next` that waits on another thread."""
        self._stopping.set()

    def ids_before(self, position: int) -> CustomIds:
        """Those of the lines that an earlier run has answered; the next line begins at the position."""
        ids, size = CustomIds(), 0
        while size < position and (read := self.next()) is not None:
            size += read[1]
            with suppress(WrongLineError):
                ids.require_new(parsed(read[0], 0), 0)
        return ids

    def next(self) -> tuple[bytes | None, int] | None:
        """The next line and its bytes, None for a line that is too long to be kept; None at the end.

        Raises FileError where the file cannot be read any further.
        """
        with reading(self._path, self._read):
            line = self._stream.readline(LONGEST_LINE)
            size = len(line)
            if size == LONGEST_LINE and not line.endswith(b"\n"):
                while rest := self._stream.readline(LONGEST_LINE):
                    size += len(rest)
                    if rest.endswith(b"\n"):
                        break
        self._read += 1
        if not size:
            return None
        return (line, size) if len(line) == size else (None, size)


def parsed(line: bytes | None, number: int) -> dict[str, Any]:
    """The JSON object of a line; raises WrongLineError where it is none."""
    if line is None:
        raise WrongLineError(f"Line {number} has more than {LONGEST_LINE >> 20} MB: send fewer texts in each request.")
    try:
        given = decode(line.decode("utf-8-sig"))
    except RecursionError:
        raise WrongLineError(f"Line {number} is nested too deep: send what its path takes.", custom_id(line)) from None
    except UnicodeDecodeError:
        raise WrongLineError(f"Line {number} is not UTF-8: convert it, for example with iconv.") from None
    except InvalidJsonError as error:
        where = error.where.removeprefix("line 1, ")
        raise WrongLineError(f"Line {number} is no JSON object ({where}): {EXAMPLE}", custom_id(line)) from None
    except InvalidRequestError as error:
        raise WrongLineError(f"Line {number} cannot be read: {error}", custom_id(line)) from None
    if not isinstance(given, dict):
        raise WrongLineError(f"Line {number} is no JSON object: {EXAMPLE}")
    return given


def custom_id(line: bytes) -> str | None:
    """That of a line which is refused as a whole, as far as it is a string."""
    found = CUSTOM_ID.search(line)
    with suppress(ValueError):
        return None if found is None else str(json.loads(found[1]))
    return None
