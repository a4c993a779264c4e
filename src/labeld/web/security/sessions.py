"""Browsers in which somebody has signed in: a signed cookie, and nothing kept here.

A session names a key and the moment when the key's present token was made, so that it ends as soon as the key is
revoked, rotated or expires (decision 11). One that began with a one-time link has no key, and simply ends.
"""

import hmac
import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping

from labeld.auth.authenticator import Keyring
from labeld.auth.errors import KeyStoreUnavailableError
from labeld.auth.records import Key

COOKIE = "labeld-session"
SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 3600.0
"""For which the link that is printed at the start counts."""
LINK = "link"
"""Who has signed in with that link."""
TRIES, TRIES_SECONDS = 10, 60.0
"""Wrong tokens and codes that a process takes in so many seconds."""

_VALUE = re.compile(r"(([0-9a-f]{12}|link)-([0-9a-f]{1,14})\.([0-9a-f]{1,10}))\.([0-9a-f]{64})", re.ASCII)
_LONGEST_HEADER, _MOST_COOKIES = 8192, 4


class Sessions:
    """Begins and recognises sessions."""

    def __init__(self, keyring: Keyring, now: Callable[[], float] = time.time) -> None:
        self._keyring, self._now = keyring, now

    def begin(self, key: Key | None, *, secure: bool) -> str:
        """The Set-Cookie header of a session of this key, or of whoever came by the link."""
        told = f"{LINK}-0" if key is None else f"{key.key_id}-{_moment(key):x}"
        told = f"{told}.{int(self._now()):x}"
        return _set_cookie(f"{told}.{self._proof(told)}", SESSION_SECONDS, secure=secure)

    def caller(self, headers: Mapping[str, str]) -> Key | None:
        """The key of who has signed in, if the headers have the cookie of a session that counts.

        Raises KeyStoreUnavailableError when nobody can tell.
        """
        # NOTE: cookies know no ports, so another server of this machine can set one of our name beside ours
        for value in _values(headers.get("cookie", ""))[:_MOST_COOKIES]:
            found = _VALUE.fullmatch(value)
            if found and hmac.compare_digest(self._proof(found[1]), found[5]):
                began = int(found[4], 16)
                if 0 <= self._now() - began < SESSION_SECONDS:
                    return self._key(found[2], int(found[3], 16), began)
        return None

    def _key(self, who: str, moment: int, began: int) -> Key | None:
        if who == LINK:
            ends, no_limit = began + float(SESSION_SECONDS), None
            return Key(LINK, "the one-time link", "admin", (), ends, no_limit, float(began), None, None)
        key = self._keyring.by_id(who)
        return key if key and key.role == "admin" and _moment(key) == moment else None

    def _proof(self, told: str) -> str:
        return self._keyring.sign(f"session {told}".encode()).hex()


class Tries:
    """How often somebody was wrong lately, so that nobody can go on guessing."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._wrong: deque[float] = deque(maxlen=TRIES)

    def wrong(self) -> None:
        """Counts one."""
        self._wrong.append(self._ticks())

    def seconds_to_wait(self) -> int:
        """How long until the next one may be tried; 0 = now."""
        if len(self._wrong) < TRIES:
            return 0
        return max(0, math.ceil(self._wrong[0] + TRIES_SECONDS - self._ticks()))


def end_session(*, secure: bool) -> str:
    """The Set-Cookie header that makes a browser forget its session."""
    return _set_cookie("", 0, secure=secure)


async def first_code(keyring: Keyring) -> str | None:
    """A code to sign in with, where no access token can be used for that; None where one can, or nobody can tell."""
    now = time.time()
    try:
        if any(key.role == "admin" and key.live(now) for key in await keyring.everything()):
            return None
        return await keyring.new_sign_in(LINK_SECONDS)
    except KeyStoreUnavailableError:
        return None  # the key ring has said so in the log


def _set_cookie(value: str, seconds: int, *, secure: bool) -> str:
    flags = "; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}{flags}"


def _values(header: str) -> list[str]:
    """Every value that a Cookie header has for our name."""
    if len(header) > _LONGEST_HEADER:
        return []
    pairs = (one.strip().partition("=") for one in header.split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


def _moment(key: Key) -> int:
    """When the key's token was made, in milliseconds."""
    return round(key.created * 1000)
