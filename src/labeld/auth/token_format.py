"""Access tokens as text: how a new one is made, and whether a text can be one at all. No database here.

`hf_`, which clients look for, 28 random characters of base 62 (166 bits), and 6 that are the CRC-32 of those before, so
that garbage is refused without asking the database, and a scanner for leaked secrets can tell a real one (reliability
section 3.9).
"""

import secrets
import zlib

PREFIX = "hf_"
RANDOM_CHARACTERS, CHECK_CHARACTERS = 28, 6
LENGTH = len(PREFIX) + RANDOM_CHARACTERS + CHECK_CHARACTERS

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_token() -> str:
    """A token that nobody has had before."""
    start = PREFIX + "".join(secrets.choice(DIGITS) for _ in range(RANDOM_CHARACTERS))
    return start + _check(start)


def well_formed(token: str) -> bool:
    """Whether the text has the length, the beginning and the check characters of a token."""
    if len(token) != LENGTH or not token.startswith(PREFIX) or not token.isascii():
        return False
    start = token[:-CHECK_CHARACTERS]
    return start[len(PREFIX) :].isalnum() and token[-CHECK_CHARACTERS:] == _check(start)


def _check(start: str) -> str:
    """CRC-32 of what comes before, in base 62; it keeps no secret, it finds slips and garbage."""
    rest = zlib.crc32(start.encode())
    digits = ""
    for _ in range(CHECK_CHARACTERS):
        rest, digit = divmod(rest, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
