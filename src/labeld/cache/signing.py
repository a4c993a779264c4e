"""Answer <-> the signed bytes that Redis keeps; bytes with a wrong signature are ignored. Pure."""

import hashlib
import hmac
import math
import struct

from labeld.types import Answer

MAGIC = b"labeld-answer-2\0"
FACTS = struct.Struct("<dQQQ")
"""Seconds, tokens, windows and characters left out of an answer."""
MAC_BYTES = hashlib.sha256().digest_size


def sign(key: bytes, answer: Answer, secret: bytes) -> bytes:
    """The answer with the key it belongs to, and HMAC-SHA256 over both; with an empty secret that is a checksum."""
    body = MAGIC + key + FACTS.pack(*answer[1:]) + answer.encoded
    return body + hmac.digest(secret, body, "sha256")


def verify(key: bytes, value: bytes, secret: bytes) -> Answer | None:
    """The answer; None for bytes that are not exactly those of `sign` for this key and secret."""
    body, mac = value[:-MAC_BYTES], value[-MAC_BYTES:]
    start = len(MAGIC) + len(key) + FACTS.size
    if len(body) < start or not body.startswith(MAGIC + key):
        return None
    if not hmac.compare_digest(mac, hmac.digest(secret, body, "sha256")):
        return None
    answer = Answer(body[start:], *FACTS.unpack_from(body, start - FACTS.size))
    return answer if math.isfinite(answer.seconds) else None
