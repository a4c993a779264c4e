"""Clock: it jumps by years in both directions, and tokens expire when they should, and nobody waits.

The seeded fault does not look at when a token expires.
"""

import os
import time
from collections import Counter
from pathlib import Path

import requests

from benchmarks.lib.report import Figure
from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.server_process import Server

FULL = 40
DAY = 86_400.0
JUMPS = {"10 years back": -3652, "now": 0, "2 days": 2, "40 days": 40, "a year": 365, "to a leap day": None}
"""Days from now."""
EXPIRIES = {"for ever": None, "in a day": 1, "in 30 days": 30}
VARIABLE = "LIBFAKETIME"
BAR_SECONDS = 8.0
"""Whoever waits for a time that has jumped waits for hours, or for ever."""
SETTLE = 0.5
"""Seconds after a jump, in which nothing that waits for a time may stand still."""


def check(run: Run) -> list[Figure]:
    """Needs libfaketime, from its Debian package or where the environment variable LIBFAKETIME says."""
    library = _library()
    if library is None:
        return [Figure("clock", "libfaketime is not installed: left out", 0, "")]
    began = time.time()
    location = locate(str(run.folder / "tokens" / "tokens.sqlite3"))
    store = TokenStore(location, open_secret(location, None))
    tokens = {name: _made(store, name, began, days) for name, days in EXPIRIES.items()}
    store.close()
    file = run.folder / "time"
    variables = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    variables |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
    file.write_text("+0")
    counts, slowest = Counter[str](), 0.0
    with serving(run, "labeld/language-20", variables=variables) as server:
        for number in run.rounds(FULL, least=len(JUMPS)):
            days = _days([*JUMPS.values()][number % len(JUMPS)], began)
            new = file.with_suffix(".new")
            new.write_text(f"{days * DAY:+.0f}")
            new.replace(file)
            time.sleep(SETTLE)
            for name, token in tokens.items():
                asked = time.monotonic()
                status = _status(server, token)
                slowest = max(slowest, time.monotonic() - asked)
                expiry = EXPIRIES[name]
                expected = 200 if expiry is None or days < expiry else 401
                counts["right" if status == expected else f"{expected} was {status}"] += 1
        alive = server.get("/health").status_code == 200
    late = sum(count for name, count in counts.items() if name.startswith("401"))
    early = sum(count for name, count in counts.items() if name.startswith("200"))
    return [
        Figure("clock", f"{len(JUMPS)} jumps: expired tokens that count", late, "", 0, detail=dict(counts)),
        Figure("clock", "tokens that are refused and have not expired", early, "", 0),
        Figure("clock", "slowest answer", slowest, "s", BAR_SECONDS),
        Figure("clock", "alive at the end", float(alive), "", 1, "at least"),
    ]


def _library() -> Path | None:
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def _made(store: TokenStore, name: str, began: float, days: int | None) -> str:
    _, token = store.create(NewToken(name, expires=None if days is None else began + days * DAY))
    return token


def _days(days: int | None, began: float) -> float:
    """Days from now to the jump's end; None is the next 29 February, at noon."""
    if days is not None:
        return days
    year = time.gmtime(began).tm_year + 1
    while year % 4:
        year += 1
    return (time.mktime((year, 2, 29, 12, 0, 0, 0, 60, -1)) - began) / DAY


def _status(server: Server, token: str) -> int:
    reply = requests.post(
        f"{server.url}/", json={"inputs": "Guten Morgen"}, headers={"authorization": f"Bearer {token}"}, timeout=20
    )
    return reply.status_code
