"""Outages: PostgreSQL is stopped, paused, restarted and failed over while it has the access tokens.

Nobody is let in, nobody kept out. The seeded fault forgets the tokens in an outage.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
import requests

from benchmarks.lib.report import Figure
from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore
from labeld.auth.token_format import new_token
from reliability.lib.databases import Standby, postgres, standby_of
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.postgres_process import USER, Postgres
from tests.support.server_process import Server, wait_until

FULL = 50
OUT = 4.0
"""Seconds of one outage: known tokens count for a minute of it."""
SECRET = bytes(range(32))
BACK_WITHIN = 20.0
BAR_SECONDS = 3.0


WAYS = ("stopped", "paused", "restarted")


@dataclass
class _Seen:
    """By the server's clients, over all outages."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    back: int = 0
    """Databases that were read again after an outage."""
    rounds: int = 0


def check(run: Run) -> list[Figure]:
    """Known, unknown and revoked tokens ask all the time; a token that is made afterwards is known again."""
    seen = _Seen()
    with postgres() as running:
        if running is None:
            return [Figure("outages", "PostgreSQL is not installed: left out", 0, "")]
        _broken(run, running, seen)
        for _ in run.rounds(FULL // 10, part=0.3):
            with standby_of(running) as standby:
                _failed_over(run, running, standby, seen)
            running.start()
    counts = seen.counts
    kept_out = counts["known 401"] + counts["known 503"] + counts["failed"]
    return [
        Figure(
            "outages", f"{seen.rounds} outages: requests", counts.total(), "", 3 * seen.rounds, "at least", dict(counts)
        ),
        Figure("outages", "known tokens refused", kept_out, "", 0),
        Figure("outages", "unknown and revoked tokens let in", counts["unknown 200"] + counts["revoked 200"], "", 0),
        Figure("outages", "slowest answer", seen.slowest, "s", BAR_SECONDS),
        Figure("outages", "databases that were read again after it", seen.back, "", seen.rounds, "at least"),
    ]


def _broken(run: Run, running: Postgres, seen: _Seen) -> None:
    """One server, which is stopped, paused, and stopped and started at once."""
    url = running.database()
    with _tokens(url) as tokens, serving(run, "labeld/language-20", variables=_variables(url)) as server:
        for number in run.rounds(FULL, least=len(WAYS), part=0.7):
            seen.rounds += 1
            way = WAYS[number % len(WAYS)]
            (running.pause if way == "paused" else running.stop)()
            if way == "restarted":
                running.start()
            _ask(server, tokens, seen)
            if way == "paused":
                running.go_on()
            elif way == "stopped":
                running.start()
            # NOTE: a token that the server cannot have known before shows that it reads the database again
            seen.back += wait_until(lambda: _counts(server, url), BACK_WITHIN)


def _failed_over(run: Run, primary: Postgres, standby: Standby, seen: _Seen) -> None:
    """The primary is killed, and half of the outage later its standby is promoted."""
    url = primary.database()
    hosts = "&".join(f"host=127.0.0.1:{one.port}" for one in (primary, standby))
    both = f"postgresql://{USER}@/{url.rpartition('/')[2]}?{hosts}&target_session_attrs=read-write"
    with _tokens(both) as tokens, serving(run, "labeld/language-20", variables=_variables(both)) as server:
        seen.rounds += 1
        wait_until(lambda: _follows(url, standby), BACK_WITHIN)
        primary.stop()
        _ask(server, tokens, seen)
        standby.promote()
        _ask(server, tokens, seen)
        seen.back += wait_until(lambda: _counts(server, both), BACK_WITHIN)


def _follows(url: str, standby: Standby) -> bool:
    """Whether the standby has all that its primary has."""
    primary = psycopg.connect(url)
    copy = psycopg.connect(f"postgresql://{USER}@127.0.0.1:{standby.port}/{url.rpartition('/')[2]}")
    with primary, copy:
        found = [one.execute("SELECT value FROM labeld_metadata ORDER BY name").fetchall() for one in (primary, copy)]
    return found[0] == found[1]


@contextmanager
def _tokens(url: str) -> Iterator[dict[str, str]]:
    """A known, an unknown and a revoked access token of a database that has none yet."""
    store = TokenStore(locate(url), SECRET)
    _, known = store.create(NewToken("known"))
    gone, revoked = store.create(NewToken("revoked"))
    store.revoke(gone.token_id)
    try:
        yield {"known": known, "unknown": new_token(), "revoked": revoked}
    finally:
        store.close()


def _variables(url: str) -> dict[str, str]:
    return {"LABELD_TOKENS_DB": url, "LABELD_TOKENS_SECRET": SECRET.hex()}


def _ask(server: Server, tokens: dict[str, str], seen: _Seen) -> None:
    """Asks with every token until the outage is over."""
    end = time.monotonic() + OUT
    while (began := time.monotonic()) < end:
        for name, token in tokens.items():
            try:
                seen.counts[f"{name} {_status(server, token)}"] += 1
            except requests.RequestException:
                seen.counts["failed"] += 1
        seen.slowest = max(seen.slowest, (time.monotonic() - began) / len(tokens))
        time.sleep(0.05)


def _status(server: Server, token: str) -> int:
    reply = requests.post(
        f"{server.url}/", json={"inputs": "Guten Morgen"}, headers={"authorization": f"Bearer {token}"}, timeout=10
    )
    return reply.status_code


def _counts(server: Server, url: str) -> bool:
    """Whether a token that is made now is known to the server."""
    with suppress(Exception):
        store = TokenStore(locate(url), SECRET)
        try:
            _, token = store.create(NewToken(f"after {time.monotonic_ns()}"))
        finally:
            store.close()
        return wait_until(lambda: _status(server, token) == 200, 3.0)
    return False
