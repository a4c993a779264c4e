"""Failure -> reply: status, header fields and `{"error": "<sentence>"}` (contract section 6). Pure.

The application and the connection both answer with it, so a client sees one form of error wherever it was refused.
"""

import json
import re
from collections.abc import Callable
from random import getrandbits
from typing import Any

from labeld.errors import HeaderField, LabeldError
from labeld.interface import Interface
from labeld.system.printable import printable

INTERNAL_ERROR = "The server failed to answer; its log has the cause under this request id."
"""The sentence for every exception that is not a LabeldError."""

SENTENCE_CHARACTERS = 2000
HEADER_CHARACTERS = 500

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SAFE_ID = re.compile(r"[A-Za-z0-9._:;=-]{1,128}")


ErrorShape = Callable[[LabeldError, str], tuple[int, Any]]
"""An error and its sentence -> status and the value of the reply's JSON, in the dialect of another server."""


def encode_error(
    error: Exception, request_id: str, shape: ErrorShape | None = None
) -> tuple[int, list[HeaderField], bytes]:
    """Status, header fields and body of the reply to a failure.

    An exception that is not a LabeldError becomes 500 with a fixed sentence: its own text is never shown.
    """
    shown = error if isinstance(error, LabeldError) else LabeldError(INTERNAL_ERROR)
    sentence = _printable(shown.sentence(Interface.DIALECT if shape else Interface.HTTP), SENTENCE_CHARACTERS)
    status, value = shape(shown, sentence) if shape else (shown.status, {"error": sentence, **shown.details()})
    body = _JSON.encode(value).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-error-message", sentence.encode("ascii", "backslashreplace")[:HEADER_CHARACTERS]),
        (b"x-request-id", request_id.encode()),
        *shown.headers(),
    ]
    return status, headers, body


def request_id(*sent: str | None) -> str:
    """The first id from the client that is short and safe to repeat, or a new one of 21 characters.

    `sent` has the values of `x-request-id` and `x-amzn-trace-id`; huggingface_hub sends the latter (contract section
    7).
    """
    for one in sent:
        if one and _SAFE_ID.fullmatch(one):
            return one
    return f"{getrandbits(84):021x}"  # NOTE: no secret; the generator is seeded anew in every process that is forked


def _printable(text: str, limit: int) -> str:
    """`text` cut to `limit` characters, with control characters and the like escaped."""
    return printable(text if len(text) <= limit else f"{text[: limit - 1]}…")
