"""Clock: it jumps by seconds to years, back and ahead, and nothing counts that should not, and nothing waits.

The seeded fault forgets used sign-in codes while the clock is ahead.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from unittest.mock import patch

from benchmarks.lib.report import Figure
from labeld.auth.authenticator import Authenticator
from labeld.auth.database_url import locate
from labeld.auth.errors import RateLimitedError, UnknownTokenError
from labeld.auth.records import AccessToken
from labeld.errors import FolderError
from labeld.lifecycle.errors import DeadlyFolderError
from labeld.lifecycle.load_marks import FIRST_PAUSE, LoadMarks
from labeld.web.security.sessions import COOKIE, LINK_SECONDS, SESSION_SECONDS, Sessions
from reliability.lib.run import Run

FULL, LEAST = 2000, 60
YEAR, DAY = 366 * 86_400.0, 86_400.0
JUMPS = (-10 * YEAR, -YEAR, -DAY, -3600.0, -1.0, 1.0, 59.0, 3600.0, DAY, YEAR)
"""A leap second is one of the two jumps of a second."""
START = 1_800_000_000.0
PER_MINUTE = 5
BAR_SECONDS = 10.0
"""What waited for a clock would wait for longer; all else is a few dozen writes to a disk."""
LAST = 30
"""Tokens, codes and sessions that are asked for in each round, at most."""


@dataclass
class _Clock:
    """Two clocks, of which the monotonic one does not jump."""

    now: float = START
    ticks: float = 0.0


@dataclass
class _World:
    """Access tokens, codes and sessions, and what must count of them by a clock that jumps."""

    authenticator: Authenticator
    sessions: Sessions
    clock: _Clock
    dice: random.Random
    tokens: dict[str, float | None] = field(default_factory=dict)
    """The text of each access token with its end."""
    codes: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """Each code with its end, and whether it was used."""
    cookies: dict[str, float] = field(default_factory=dict)
    """Each session's cookie with its beginning."""
    mistakes: Counter[str] = field(default_factory=Counter)

    async def round(self, number: int) -> None:
        """Makes one of each, lets the clock jump, and asks for everything."""
        end = self.dice.choice((None, 60.0, 3600.0, DAY, YEAR))
        expires = None if end is None else self.clock.now + end
        _, token = await self.authenticator.create(f"token {number}", expires=expires, per_minute=PER_MINUTE)
        self.tokens[token] = expires
        await self._new_code()
        cookie = self.sessions.begin(None, secure=False).partition(";")[0].removeprefix(f"{COOKIE}=")
        self.cookies[cookie] = float(int(self.clock.now))
        # NOTE: most often near the time at which something ends, as jumps alone would hardly ever be
        self.clock.now = (
            START + self.dice.choice((0.0, 0.0, *JUMPS)) + self.dice.choice((0.0, 59.5, 60.5, 3599.0, 3601.0))
        )
        self.clock.ticks += 0.5
        self._tokens()
        await self._codes()
        self._sessions()
        await self._limit(token, number)

    def _tokens(self) -> None:
        for token, expires in [*self.tokens.items()][-LAST:]:
            try:
                self.authenticator.find(token)
                counts = True
            except UnknownTokenError:
                counts = False
            self.mistakes["access tokens"] += counts is not (expires is None or self.clock.now < expires)

    async def _new_code(self) -> str:
        code = await self.authenticator.new_sign_in(LINK_SECONDS)
        self.codes[code] = (float(int(self.clock.now + LINK_SECONDS)), False)
        return code

    async def _codes(self) -> None:
        fresh = await self._new_code()
        for code, (expires, used) in [*self.codes.items()][-LAST:]:
            if code != fresh and not used and self.dice.random() < 0.5:
                continue  # for another time
            counts = await self.authenticator.use_sign_in(code)
            may = not used and self.clock.now < expires
            must = may and expires <= self.clock.now + LINK_SECONDS
            self.mistakes["sign-in codes"] += (counts and not may) or (must and not counts)
            self.mistakes["sign-in codes"] += counts and expires > self.clock.now + 2 * LINK_SECONDS
            self.codes[code] = (expires, used or counts)

    def _sessions(self) -> None:
        for cookie, began in [*self.cookies.items()][-LAST:]:
            headers: Mapping[str, str] = {"cookie": f"{COOKIE}={cookie}"}
            counts = self.sessions.caller(headers) is not None
            self.mistakes["sessions"] += counts is not (0 <= self.clock.now - began < SESSION_SECONDS)

    async def _limit(self, token: str, number: int) -> None:
        """As many requests a minute as the limit says, by a clock that does not jump."""
        access_token = AccessToken(f"{number:012x}", token, "inference", (), None, PER_MINUTE, 0.0, None, None)
        admitted = 0
        for jump in JUMPS:
            self.clock.now += jump
            with suppress(RateLimitedError):
                await self.authenticator.admit(access_token)
                admitted += 1
        self.mistakes["limits per minute"] += admitted != PER_MINUTE


def check(run: Run) -> list[Figure]:
    """Rounds of jumps, by the clocks that all of this is given; and a folder that crashed a process."""
    world, slowest, rounds = asyncio.run(_jump(run))
    late = sum(_waits_too_long(run, number) for number in range(len(JUMPS)))
    kinds = ("access tokens", "sign-in codes", "sessions", "limits per minute")
    return [
        Figure("clock", "jumps", rounds, "", LEAST, "at least", {"from": "-10 years", "to": "+1 year"}),
        *(Figure("clock", f"mistakes with {kind}", world.mistakes[kind], "", 0) for kind in kinds),
        Figure("clock", "folders not read again after their pause", late, "", 0, detail={"jumps": len(JUMPS)}),
        Figure("clock", "slowest round of writes and reads", slowest, "s", BAR_SECONDS),
    ]


async def _jump(run: Run) -> tuple[_World, float, int]:
    location = locate(str(run.folder / "clock" / "tokens.sqlite3"))
    clock = _Clock()
    authenticator = Authenticator(location, None, 1, lambda: clock.now, lambda: clock.ticks)
    world = _World(authenticator, Sessions(authenticator, lambda: clock.now), clock, random.Random(12))
    slowest, rounds = 0.0, 0
    await authenticator.open()
    try:
        for number in run.rounds(FULL, LEAST):
            began = time.monotonic()
            await world.round(number)
            slowest = max(slowest, time.monotonic() - began)
            rounds += 1
    finally:
        await authenticator.close()
    return world, slowest, rounds


def _waits_too_long(run: Run, number: int) -> bool:
    """Whether a folder that has crashed a process cannot be read one pause after a jump."""
    folder, now = run.folder / f"folder-{number}", START
    folder.mkdir()
    marks = LoadMarks(run.folder / "marks")
    with patch("labeld.lifecycle.load_marks.time.time", lambda: now):
        with suppress(DeadlyFolderError), marks.reading(folder):
            raise DeadlyFolderError("It crashes.")
        for after in (JUMPS[number], FIRST_PAUSE):
            now += after
            with suppress(FolderError), marks.reading(folder):
                return False
    return True
