"""ClassifyReply -> the bytes and header fields of a successful reply (contract sections 3.2, 4 and 7). Pure.

Requests are read by request.py, failures are written by labeld/error_reply.py.
"""

import json
import re

from labeld.errors import HeaderField
from labeld.types import ClassifyReply, Ranking

WARNED_NAMES, WARNED_NAME_CHARACTERS = 10, 40

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_UNSAFE_IN_WARNING = re.compile(r"[^ -:<-~]")  # printable ASCII, but not the ; that ends the topic


def encode_ranking(ranking: Ranking) -> bytes:
    """The labels of one text, as compact as the recordings, scores printed in full (contract section 4).

    Raises ValueError when a score is not a finite number, which the engine should have reported.
    """
    labels = [{"label": label, "score": score} for label, score in ranking]
    # NOTE: a label may hold half a surrogate pair (config.json can); backslashreplace writes it as JSON's own \ud800
    return _JSON.encode(labels).encode("utf-8", "backslashreplace")


def encode_reply(reply: ClassifyReply) -> bytes:
    """One ranking per text (contract section 3.2)."""
    return b"[" + b",".join(reply.encoded) + b"]"


def reply_headers(reply: ClassifyReply, request_id: str, body_length: int) -> list[HeaderField]:
    """Header fields of a successful reply (contract section 7), all of them: nothing is left to the framework."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % body_length),
        (b"x-compute-time", b"%.3f" % reply.compute_seconds),
        (b"x-compute-type", reply.compute_type.encode()),
        (b"x-sha", reply.revision.encode()),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.compute_type != "cache":  # as recorded: a cache hit does not say
        headers.append((b"x-compute-characters", b"%d" % reply.characters))
    if reply.ignored:
        headers.append((b"x-hf-warning", _warning(reply.ignored)))
    return headers


def _warning(names: tuple[str, ...]) -> bytes:
    """`topic; message`, which huggingface_hub prints once per topic. NOTE: clients choose the names."""
    shown = ", ".join(_UNSAFE_IN_WARNING.sub("?", name[:WARNED_NAME_CHARACTERS]) for name in names[:WARNED_NAMES])
    more = f" and {len(names) - WARNED_NAMES} more" if len(names) > WARNED_NAMES else ""
    return f"Ignored parameters; These parameters mean nothing here and were ignored: {shown}{more}".encode()
