"""One-time codes to sign in with, made from the secret without the database. Pure.

A code is its expiry, 8 random bytes, and an HMAC of both. The store ensures that each is used once: it keeps used
codes.
"""

import base64
import binascii
import hmac
import secrets
from typing import NamedTuple

EXPIRY_BYTES, RANDOM_BYTES, HMAC_BYTES = 5, 8, 16
LENGTH = 39
"""Characters of a code."""
LONGEST_SECONDS = 7200.0
"""Seconds for which a code is valid, at most, twice those of a link because the clocks of two servers may differ: one
that would be valid for longer was made before the clock was set back."""


def new_code(secret: bytes, expires: float) -> str:
    """A code that is valid until `expires`, in seconds since the epoch."""
    payload = int(expires).to_bytes(EXPIRY_BYTES, "big") + secrets.token_bytes(RANDOM_BYTES)
    return _text(payload + _signature(secret, payload))


class SignInCode(NamedTuple):
    """A code that was made with this secret, whether or not it has expired."""

    payload: bytes
    """Its bytes without the signature, by which used codes are recorded: unlike the text they have one spelling."""
    expires: int
    """End of its validity, in seconds since the epoch."""


def read_code(secret: bytes, code: str) -> SignInCode | None:
    """The code of this text; None when it was not made with this secret, or is not spelt as `new_code` spells it."""
    if len(code) != LENGTH or not code.isascii():
        return None
    try:
        whole = base64.urlsafe_b64decode(code + "=")
    except binascii.Error:
        return None
    payload, signature = whole[:-HMAC_BYTES], whole[-HMAC_BYTES:]
    # NOTE: the last character has two bits that mean nothing, and the decoder takes +, / and strange characters
    if _text(whole) != code or not hmac.compare_digest(signature, _signature(secret, payload)):
        return None
    return SignInCode(payload, int.from_bytes(payload[:EXPIRY_BYTES], "big"))


def _text(whole: bytes) -> str:
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def _signature(secret: bytes, payload: bytes) -> bytes:
    return hmac.digest(secret, b"sign in " + payload, "sha256")[:HMAC_BYTES]
