"""Outages: PostgreSQL is stopped and paused while it has the access tokens, and nobody is let in, nobody kept out.

The seeded fault forgets the tokens in an outage.
"""

import time
from collections import Counter
from contextlib import suppress

import requests

from benchmarks.lib.report import Figure
from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore
from labeld.auth.token_format import new_token
from reliability.lib.databases import postgres
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.server_process import Server, wait_until

FULL = 50
OUT = 4.0
"""Seconds of one outage: known tokens count for a minute of it."""
SECRET = bytes(range(32))
BACK_WITHIN = 20.0
BAR_SECONDS = 3.0


def check(run: Run) -> list[Figure]:
    """Known, unknown and revoked tokens ask all the time; a token that is made afterwards is known again."""
    with postgres() as running:
        if running is None:
            return [Figure("outages", "PostgreSQL is not installed: left out", 0, "")]
        url = running.database()
        store = TokenStore(locate(url), SECRET)
        _, known = store.create(NewToken("known"))
        gone, revoked = store.create(NewToken("revoked"))
        store.revoke(gone.token_id)
        variables = {"LABELD_TOKENS_DB": url, "LABELD_TOKENS_SECRET": SECRET.hex()}
        tokens = {"known": known, "unknown": new_token(), "revoked": revoked}
        counts, slowest, back, rounds = Counter[str](), 0.0, 0, 0
        with serving(run, "labeld/language-20", variables=variables) as server:
            for number in run.rounds(FULL, least=2):
                rounds += 1
                (running.pause if number % 2 else running.stop)()
                slowest = max(slowest, _ask(server, tokens, counts))
                (running.go_on if number % 2 else running.start)()
                # NOTE: a token that the server cannot have known before shows that it reads the database again
                back += wait_until(lambda number=number: _counts(server, url, number), BACK_WITHIN)
        store.close()
    asked = sum(counts.values())
    return [
        Figure("outages", f"{rounds} outages: requests", asked, "", 3 * rounds, "at least", dict(counts)),
        Figure("outages", "known tokens refused", counts["known 401"] + counts["known 503"] + counts["failed"], "", 0),
        Figure("outages", "unknown and revoked tokens let in", counts["unknown 200"] + counts["revoked 200"], "", 0),
        Figure("outages", "slowest answer", slowest, "s", BAR_SECONDS),
        Figure("outages", "databases that were read again after it", back, "", rounds, "at least"),
    ]


def _ask(server: Server, tokens: dict[str, str], counts: Counter[str]) -> float:
    """Asks with every token until the outage is over; the seconds of the slowest answer."""
    end, slowest = time.monotonic() + OUT, 0.0
    while (began := time.monotonic()) < end:
        for name, token in tokens.items():
            try:
                counts[f"{name} {_status(server, token)}"] += 1
            except requests.RequestException:
                counts["failed"] += 1
        slowest = max(slowest, (time.monotonic() - began) / len(tokens))
        time.sleep(0.05)
    return slowest


def _status(server: Server, token: str) -> int:
    reply = requests.post(
        f"{server.url}/", json={"inputs": "Guten Morgen"}, headers={"authorization": f"Bearer {token}"}, timeout=10
    )
    return reply.status_code


def _counts(server: Server, url: str, number: int) -> bool:
    """Whether a token that is made now is known to the server."""
    with suppress(Exception):
        store = TokenStore(locate(url), SECRET)
        try:
            _, token = store.create(NewToken(f"after {number} {time.monotonic_ns()}"))
        finally:
            store.close()
        return wait_until(lambda: _status(server, token) == 200, 3.0)
    return False
