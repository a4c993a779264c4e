"""SIGKILL while access tokens are made, revoked and rotated: what was acknowledged counts, nothing is half-done."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labeld.auth.database_url import Location
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore, digest_of

SECRET = bytes(range(32))
KILLS = 24

CHANGES = """
import sys
from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore

store = TokenStore(locate(sys.argv[1]), bytes(range(32)))
store.snapshot()
print("ready", flush=True)
number = 0
while True:
    number += 1
    key, token = store.create(NewToken(f"{sys.argv[2]} {number}"))
    print("created", key.token_id, token, flush=True)
    if number % 2:
        print("rotating", key.token_id, token, flush=True)
        _, token = store.rotate(key.token_id)
        print("rotated", key.token_id, token, flush=True)
    if number % 3 == 0:
        print("revoking", key.token_id, token, flush=True)
        store.revoke(key.token_id)
        print("revoked", key.token_id, token, flush=True)
"""


@dataclass
class Acknowledged:
    """What a process said before it was killed."""

    tokens: dict[str, str] = field(default_factory=dict)
    """Of keys that count, by id."""
    refused: list[str] = field(default_factory=list)
    """Tokens that must count no longer."""
    begun: tuple[str, str] | None = None
    """A change that was begun and not acknowledged, and its key."""
    operations: int = 0

    def read(self, lines: list[str]) -> None:
        """Takes in what one process printed; a last line that was cut off is no acknowledgement."""
        self.begun = None
        for line in lines:
            done, token_id, token = line.split()
            if done in ("rotating", "revoking"):
                self.begun = (done, token_id)
                continue
            self.begun = None
            self.operations += 1
            if token_id in self.tokens:
                self.refused.append(self.tokens.pop(token_id))
            if done == "revoked":
                self.refused.append(token)
            else:
                self.tokens[token_id] = token


def killed_after(where: str, name: str, seconds: float) -> list[str]:
    """The whole lines that the process printed in so many seconds after it was ready."""
    process = subprocess.Popen([sys.executable, "-c", CHANGES, where, name], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    printed = process.communicate()[0].decode()
    assert process.returncode == -signal.SIGKILL
    return printed.split("\n")[:-1]


def test_what_was_acknowledged_counts_after_every_kill(key_location: Location) -> None:
    """Creates are valid, revokes refused, a rotation is whole or did not happen, and the database is sound."""
    where = str(key_location.path or key_location.url).replace("+psycopg", "")
    payload, moments = Acknowledged(), random.Random(6)
    store = TokenStore(key_location, SECRET)
    for kill in range(KILLS):
        payload.read(killed_after(where, f"run {kill}", moments.uniform(0.0, 0.15)))
        snapshot = store.snapshot()
        assert snapshot is not None
        live = {key.token_id: digest for digest, key in snapshot.access_tokens.items()}
        unsure = None
        if payload.begun is not None:  # nobody was told how it ended: both ends are right
            what, unsure = payload.begun
            old = payload.tokens[unsure]
            if what == "revoking" and unsure not in live:
                payload.refused.append(payload.tokens.pop(unsure))
            elif live[unsure] != digest_of(SECRET, old):
                assert what == "rotating"
                payload.refused.append(payload.tokens.pop(unsure))
        assert all(live.get(token_id) == digest_of(SECRET, token) for token_id, token in payload.tokens.items())
        assert not {digest_of(SECRET, token) for token in payload.refused} & set(snapshot.access_tokens)
        rows = store.everything()
        assert len({key.name for key in rows}) == len(rows)
        if key_location.path is not None:
            assert integrity(key_location.path) == "ok"
    store.create(NewToken("afterwards"))
    store.close()

    assert payload.operations > KILLS


def integrity(path: Path) -> str:
    """What SQLite says of its file."""
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("lines", [["created a t1", "rotating a t1", "rotated a t2", "revoking a t2", "revoked a t2"]])
def test_the_reading_of_acknowledgements(lines: list[str]) -> None:
    """The bookkeeping above, on a story whose end is known."""
    payload = Acknowledged()
    payload.read(lines)

    assert (payload.tokens, sorted(set(payload.refused)), payload.begun) == ({}, ["t1", "t2"], None)
