"""Answer <-> the signed bytes that Redis keeps; bytes with a wrong signature are ignored. Pure."""

import hashlib
import hmac
import math
import struct
import sys

from labeld.types import Answer

MAGIC = b"labeld-answer-3\0"
FACTS = struct.Struct("<dQQQdI")
"""Seconds, tokens, windows, characters left out, and best score of an answer; the bytes of its best label, which
follow, and 1, or 0 where it has none."""
MAC_BYTES = hashlib.sha256().digest_size


def sign(key: bytes, answer: Answer, secret: bytes) -> bytes:
    """The answer with the key it belongs to, and HMAC-SHA256 over both; with an empty secret that is a checksum."""
    label = answer.top_label
    name = b"" if label is None else label.encode("utf-8", "surrogatepass")
    facts = FACTS.pack(*answer[1:5], answer.top_score, 0 if label is None else len(name) + 1)
    body = MAGIC + key + facts + name + answer.encoded
    return body + hmac.digest(secret, body, "sha256")


def verify(key: bytes, value: bytes, secret: bytes) -> Answer | None:
    """The answer; None for bytes that are not exactly those of `sign` for this key and secret."""
    body, mac = value[:-MAC_BYTES], value[-MAC_BYTES:]
    start = len(MAGIC) + len(key) + FACTS.size
    if len(body) < start or not body.startswith(MAGIC + key):
        return None
    if not hmac.compare_digest(mac, hmac.digest(secret, body, "sha256")):
        return None
    seconds, tokens, windows, cut, score, named = FACTS.unpack_from(body, start - FACTS.size)
    end = start + max(0, named - 1)
    try:  # NOTE: interned, so that the answers of a model share its few labels
        label = sys.intern(body[start:end].decode("utf-8", "surrogatepass")) if named else None
    except UnicodeDecodeError:
        return None
    answer = Answer(body[end:], seconds, tokens, windows, cut, label, score)
    return answer if math.isfinite(seconds) and math.isfinite(score) else None
