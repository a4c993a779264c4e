"""Sessions: only a cookie that this server has signed counts, for no longer than the key behind it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from labeld.auth.authenticator import TRUSTED_SECONDS, Authenticator
from labeld.auth.database_url import Location
from labeld.auth.errors import TokenStoreUnavailableError
from labeld.auth.records import AccessToken
from labeld.web.security.sessions import (
    ADDRESSES,
    ATTEMPT_SECONDS,
    COOKIE,
    LINK_SECONDS,
    MAX_ATTEMPTS,
    SESSION_SECONDS,
    LoginThrottle,
    Sessions,
    end_session,
    first_code,
)

HOUR = 3600.0


class Clock:
    """A clock in seconds that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class World:
    """An authenticator, sessions, their clock, and the one by which the store is looked at."""

    def __init__(self, authenticator: Authenticator, clock: Clock, ticks: Clock) -> None:
        self.authenticator, self.clock, self.ticks, self.sessions = (
            authenticator,
            clock,
            ticks,
            Sessions(authenticator, clock),
        )

    async def admin(self, **wanted: Any) -> AccessToken:
        """A new access token that may sign in."""
        access_token, _ = await self.authenticator.create("me", "admin", **wanted)
        return access_token

    def value(self, access_token: AccessToken | None) -> str:
        """The cookie's value of a session that begins now."""
        found = re.match(rf"{COOKIE}=([^;]+); ", self.sessions.begin(access_token, secure=False))
        assert found
        return found[1]

    def who(self, *values: str) -> str | None:
        """The name of who sends these cookies."""
        cookies = "; ".join(f"{COOKIE}={value}" for value in values)
        access_token = self.sessions.caller({"cookie": cookies})
        return access_token and access_token.name


@asynccontextmanager
async def world(folder: Path, secret: str = "0f" * 32) -> AsyncIterator[World]:
    """One whose access tokens are in this folder."""
    clock, ticks = Clock(), Clock()
    authenticator = Authenticator(Location(folder / "tokens.sqlite3"), secret, now=clock, ticks=ticks)
    await authenticator.open()
    try:
        yield World(authenticator, clock, ticks)
    finally:
        await authenticator.close()


def tell(tmp_path: Path, story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """Runs a story in a new world."""

    async def run() -> None:
        async with world(tmp_path) as new:
            await story(new)

    asyncio.run(run())


def test_who_has_signed_in_is_known_for_twelve_hours(tmp_path: Path) -> None:
    """With a token or by the link, and not a second longer."""

    async def story(world: World) -> None:
        by_token, by_link = world.value(await world.admin()), world.value(None)
        world.clock.now += SESSION_SECONDS - 1

        assert ("me", "the one-time link") == (world.who(by_token), world.who(by_link))
        world.clock.now += 1
        assert (None, None) == (world.who(by_token), world.who(by_link))

    tell(tmp_path, story)


def test_a_forged_cookie_is_nobody(tmp_path: Path) -> None:
    """Any character changed, cut, doubled, of another secret, or of a time that has not come."""

    async def story(new: World) -> None:
        access_token = await new.admin()
        value = new.value(access_token)
        changed = [f"{value[:at]}{'1' if one != '1' else '2'}{value[at + 1 :]}" for at, one in enumerate(value)]
        others = ["", "x", value[:-1], value + "0", value.upper(), f"{value}.{value}", "\N{SNOWMAN}", value * 100]
        new.clock.now += 10
        late = new.value(access_token)
        new.clock.now -= 10

        assert [] == [one for one in [*changed, *others, late] if new.who(one) is not None]
        assert "me" == new.who(value)

    async def elsewhere() -> None:
        async with world(tmp_path / "one", "1f" * 32) as one, world(tmp_path / "two", "2f" * 32) as two:
            assert two.who(one.value(None)) is None

    tell(tmp_path, story)
    asyncio.run(elsewhere())


@pytest.mark.parametrize("end", ["revoke", "rotate", "expire"])
def test_a_session_ends_with_its_token(tmp_path: Path, end: str) -> None:
    """At once when it is revoked or rotated here, and at the moment when it expires."""

    async def story(world: World) -> None:
        access_token = await world.admin(expires=world.clock.now + HOUR)
        value = world.value(access_token)
        assert "me" == world.who(value)
        if end == "revoke":
            await world.authenticator.revoke(access_token.token_id)
        elif end == "rotate":
            world.clock.now += 1
            await world.authenticator.rotate(access_token.token_id)
        else:
            world.clock.now += HOUR

        assert world.who(value) is None

    tell(tmp_path, story)


def test_a_rotated_access_token_has_new_sessions(tmp_path: Path) -> None:
    """Signing in with the new token counts."""

    async def story(world: World) -> None:
        access_token = await world.admin()
        world.clock.now += 1
        rotated, _ = await world.authenticator.rotate(access_token.token_id)

        assert (None, "me") == (world.who(world.value(access_token)), world.who(world.value(rotated)))

    tell(tmp_path, story)


def test_an_inference_access_token_has_no_session(tmp_path: Path) -> None:
    """Not even one that is signed."""

    async def story(world: World) -> None:
        access_token, _ = await world.authenticator.create("program", "inference")

        assert world.who(world.value(access_token)) is None

    tell(tmp_path, story)


def test_other_cookies_are_overlooked(tmp_path: Path) -> None:
    """A server on another port may have set one of our name; what is endless is not read."""

    async def story(world: World) -> None:
        value = world.value(None)

        assert world.who("other", value) == "the one-time link"
        assert world.sessions.caller({"cookie": f"a=b; {COOKIE}={value}; theme=dark"})
        assert world.sessions.caller({"cookie": f"{COOKIE}-2={value}"}) is None
        assert world.sessions.caller({"cookie": f"a={'x' * 9000}; {COOKIE}={value}"}) is None
        assert world.sessions.caller({}) is None

    tell(tmp_path, story)


def test_a_store_that_is_away_ends_no_session(tmp_path: Path) -> None:
    """While the database is unavailable nobody is asked to sign in again."""

    async def story(world: World) -> None:
        value = world.value(await world.admin())
        world.ticks.now += TRUSTED_SECONDS + 1
        with pytest.raises(TokenStoreUnavailableError):
            world.who(value)

    tell(tmp_path, story)


def test_the_cookie_is_for_this_server_only(tmp_path: Path) -> None:
    """No script reads it, no other site sends it, and over https it never leaves https."""

    async def story(world: World) -> None:
        plain, secure = (world.sessions.begin(None, secure=one) for one in (False, True))

        assert plain.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict")
        assert secure.endswith("; HttpOnly; SameSite=Strict; Secure")
        assert f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict" == end_session(secure=False)

    tell(tmp_path, story)


def test_a_code_is_for_a_server_without_an_admin(tmp_path: Path) -> None:
    """None as soon as somebody can sign in with a token; another one when that token is revoked."""

    async def story(world: World) -> None:
        first = await first_code(world.authenticator)
        assert first
        await world.authenticator.create("program", "inference")
        assert await first_code(world.authenticator)
        access_token = await world.admin()
        assert await first_code(world.authenticator) is None
        await world.authenticator.revoke(access_token.token_id)
        assert await first_code(world.authenticator)
        assert await world.authenticator.use_sign_in(first)
        assert not await world.authenticator.use_sign_in(first)
        late = await world.authenticator.new_sign_in(LINK_SECONDS)
        world.clock.now += LINK_SECONDS
        assert not await world.authenticator.use_sign_in(late)

    tell(tmp_path, story)


def test_guessing_is_slow() -> None:
    """Ten wrong ones within a minute, then the oldest must be a minute old."""
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(MAX_ATTEMPTS):
        assert 0 == throttle.wrong("192.0.2.1")
        clock.now += 1

    assert ATTEMPT_SECONDS - MAX_ATTEMPTS == throttle.wrong("192.0.2.1")
    clock.now += ATTEMPT_SECONDS - MAX_ATTEMPTS
    assert 0 == throttle.wrong("192.0.2.1")
    assert 1 == throttle.wrong("192.0.2.1")


def test_guessing_slows_down_nobody_else() -> None:
    """Each address has its own ten, and of many addresses only the latest are kept."""
    throttle = LoginThrottle(Clock())
    for _ in range(MAX_ATTEMPTS):
        throttle.wrong("192.0.2.1")

    assert 0 == throttle.wrong("192.0.2.2")
    assert 0 < throttle.wrong("192.0.2.1")
    for number in range(ADDRESSES):
        assert 0 == throttle.wrong(f"2001:db8::{number:x}")
    assert 0 == throttle.wrong("192.0.2.1")
