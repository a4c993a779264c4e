"""The text of access tokens: its making and its syntax. No database here.

A token is `hf_`, which clients expect, 28 random characters of base 62 (166 bits), and the CRC-32 of all these in 6
characters, so that garbage is refused without the database, and a scanner for leaked secrets recognises a real token
(reliability section 3.9).
"""

import secrets
import zlib

PREFIX = "hf_"
RANDOM_CHARACTERS, CHECK_CHARACTERS = 28, 6
LENGTH = len(PREFIX) + RANDOM_CHARACTERS + CHECK_CHARACTERS

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_token() -> str:
    """The text of a new access token."""
    start = PREFIX + "".join(secrets.choice(DIGITS) for _ in range(RANDOM_CHARACTERS))
    return start + _check(start)


def well_formed(token: str) -> bool:
    """True when the text has the length, the prefix and the check characters of a token."""
    if len(token) != LENGTH or not token.startswith(PREFIX) or not token.isascii():
        return False
    start = token[:-CHECK_CHARACTERS]
    return start[len(PREFIX) :].isalnum() and token[-CHECK_CHARACTERS:] == _check(start)


def _check(start: str) -> str:
    """CRC-32 of the preceding text, in base 62; it detects typing errors and is no secret."""
    rest = zlib.crc32(start.encode())
    digits = ""
    for _ in range(CHECK_CHARACTERS):
        rest, digit = divmod(rest, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
