"""Sessions of browsers: signed cookies without state in the server.

A session names an access token and the moment when it was made or rotated, so that it ends as soon as the token is
revoked, rotated or expires (decision 11). One that began with a one-time link has no token, and ends by time alone.
"""

import hmac
import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping

from labeld.auth.authenticator import Authenticator
from labeld.auth.errors import TokenStoreUnavailableError
from labeld.auth.records import AccessToken

COOKIE = "labeld-session"
SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 3600.0
"""Seconds for which the sign-in link that is printed at the start is valid."""
LINK = "link"
"""Name in the session of a browser that signed in with that link."""
MAX_ATTEMPTS, ATTEMPT_SECONDS = 10, 60.0
"""Wrong tokens and codes of one address in so many seconds that are answered 403; those beyond are answered 429."""
ADDRESSES = 1024
"""Addresses whose wrong attempts a process counts, at most; the one with the oldest last attempt is dropped first."""

_VALUE = re.compile(r"(([0-9a-f]{12}|link)-([0-9a-f]{1,14})\.([0-9a-f]{1,10}))\.([0-9a-f]{64})", re.ASCII)
_LONGEST_HEADER, _MOST_COOKIES = 8192, 4


class Sessions:
    """Begins and recognises sessions."""

    def __init__(self, authenticator: Authenticator, now: Callable[[], float] = time.time) -> None:
        self._authenticator, self._now = authenticator, now

    def begin(self, access_token: AccessToken | None, *, secure: bool) -> str:
        """The Set-Cookie header of a session of this access token, or of the one-time link."""
        payload = f"{LINK}-0" if access_token is None else f"{access_token.token_id}-{_moment(access_token):x}"
        payload = f"{payload}.{int(self._now()):x}"
        return _set_cookie(f"{payload}.{self._signature(payload)}", SESSION_SECONDS, secure=secure)

    def caller(self, headers: Mapping[str, str]) -> AccessToken | None:
        """The access token of a valid session's cookie; None without one.

        Raises TokenStoreUnavailableError when the database must be asked and does not answer.
        """
        # NOTE: cookies know no ports, so another server of this machine can set one of our name beside ours
        for value in _values(headers.get("cookie", ""))[:_MOST_COOKIES]:
            found = _VALUE.fullmatch(value)
            if found and hmac.compare_digest(self._signature(found[1]), found[5]):
                began = int(found[4], 16)
                if 0 <= self._now() - began < SESSION_SECONDS:
                    return self._access_token(found[2], int(found[3], 16), began)
        return None

    def _access_token(self, who: str, moment: int, began: int) -> AccessToken | None:
        if who == LINK:
            ends, no_limit = began + float(SESSION_SECONDS), None
            return AccessToken(LINK, "the one-time link", "admin", (), ends, no_limit, float(began), None, None)
        access_token = self._authenticator.by_id(who)
        return (
            access_token if access_token and access_token.role == "admin" and _moment(access_token) == moment else None
        )

    def _signature(self, payload: str) -> str:
        return self._authenticator.sign(f"session {payload}".encode()).hex()


class LoginThrottle:
    """Counts wrong attempts to sign in by the address that they come from.

    It only decides how a wrong attempt is answered: a valid token or code is never delayed, or guessing would be a
    way to keep its owner out. Both are too long to be guessed at any pace.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._wrong: dict[str, deque[float]] = {}
        """Times of wrong attempts by address, the most recent address last."""

    def wrong(self, address: str) -> int:
        """Counts a wrong attempt; returns the seconds that the address should wait, 0 below MAX_ATTEMPTS."""
        now = self._ticks()
        times = self._wrong.pop(address, None) or deque(maxlen=MAX_ATTEMPTS)
        self._wrong[address] = times
        if len(self._wrong) > ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        if len(times) == MAX_ATTEMPTS and (left := times[0] + ATTEMPT_SECONDS - now) > 0:
            return math.ceil(left)
        times.append(now)
        return 0


def end_session(*, secure: bool) -> str:
    """The Set-Cookie header that ends a browser's session."""
    return _set_cookie("", 0, secure=secure)


async def first_code(authenticator: Authenticator) -> str | None:
    """A sign-in code while no access token can be used to sign in; None if one can, or if that is unknown."""
    now = time.time()
    try:
        if any(
            access_token.role == "admin" and access_token.live(now) for access_token in await authenticator.everything()
        ):
            return None
        return await authenticator.new_sign_in(LINK_SECONDS)
    except TokenStoreUnavailableError:
        return None  # the authenticator has logged it


def _set_cookie(value: str, seconds: int, *, secure: bool) -> str:
    flags = "; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}{flags}"


def _values(header: str) -> list[str]:
    """Every value that a Cookie header has for our name."""
    if len(header) > _LONGEST_HEADER:
        return []
    pairs = (one.strip().partition("=") for one in header.split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


def _moment(access_token: AccessToken) -> int:
    """Time at which the token was made or rotated, in milliseconds."""
    return round(access_token.created * 1000)
