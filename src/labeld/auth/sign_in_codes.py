"""One-time codes to sign in with, made from the secret without the database. Pure.

A code is its expiry, 8 random bytes, and an HMAC of both. The store ensures that each is used once: it keeps used codes
until they expire.
"""

import base64
import binascii
import hmac
import secrets

EXPIRY_BYTES, RANDOM_BYTES, HMAC_BYTES = 5, 8, 16
LENGTH = 39
"""Characters of a code."""


def new_code(secret: bytes, expires: float) -> str:
    """A code that is valid until `expires`, in seconds since the epoch."""
    payload = int(expires).to_bytes(EXPIRY_BYTES, "big") + secrets.token_bytes(RANDOM_BYTES)
    return base64.urlsafe_b64encode(payload + _signature(secret, payload)).decode().rstrip("=")


def expiry_of(secret: bytes, code: str) -> int | None:
    """Expiry of a code, in seconds since the epoch; None when it was not made with this secret."""
    if len(code) != LENGTH or not code.isascii():
        return None
    try:
        whole = base64.urlsafe_b64decode(code + "=")
    except binascii.Error:
        return None
    payload, signature = whole[:-HMAC_BYTES], whole[-HMAC_BYTES:]
    if len(whole) != EXPIRY_BYTES + RANDOM_BYTES + HMAC_BYTES or not hmac.compare_digest(
        signature, _signature(secret, payload)
    ):
        return None
    return int.from_bytes(payload[:EXPIRY_BYTES], "big")


def _signature(secret: bytes, payload: bytes) -> bytes:
    return hmac.digest(secret, b"sign in " + payload, "sha256")[:HMAC_BYTES]
