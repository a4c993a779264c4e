"""SIGKILL while access tokens are made, revoked and rotated: what was acknowledged counts, nothing is half-done."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labeld.auth.database_url import Location
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore, digest_of

pytestmark = pytest.mark.slow

SECRET = bytes(range(32))
KILLS = 24

CHANGES = """
import os
import sys
import psycopg
import sqlalchemy.dialects.postgresql.psycopg
from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore


def change(where, name):
    store = TokenStore(locate(where), bytes(range(32)))
    store.snapshot()
    print("ready", os.getpid(), flush=True)
    number = 0
    while True:
        number += 1
        made, token = store.create(NewToken(f"{name} {number}"))
        print("created", made.token_id, token, flush=True)
        if number % 2:
            print("rotating", made.token_id, token, flush=True)
            _, token = store.rotate(made.token_id)
            print("rotated", made.token_id, token, flush=True)
        if number % 3 == 0:
            print("revoking", made.token_id, token, flush=True)
            store.revoke(made.token_id)
            print("revoked", made.token_id, token, flush=True)


for line in sys.stdin:
    child = os.fork()
    if not child:
        change(sys.argv[1], line.strip())
    _, status = os.waitpid(child, 0)
    print("\\0", os.waitstatus_to_exitcode(status), flush=True)
"""
"""For each name on standard input a process of its own, forked from one that has imported everything already."""


@dataclass
class Acknowledged:
    """The output of a process before it was killed."""

    tokens: dict[str, str] = field(default_factory=dict)
    """Of access tokens that count, by id."""
    refused: list[str] = field(default_factory=list)
    """Tokens that must count no longer."""
    begun: tuple[str, str] | None = None
    """A change that was begun and not acknowledged, and its access token."""
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


@pytest.fixture
def changes(token_database: Location) -> Iterator["subprocess.Popen[str]"]:
    """The context that starts the processes to be killed."""
    where = str(token_database.path or token_database.url).replace("+psycopg", "")
    command = [sys.executable, "-c", CHANGES, where]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def killed_after(changes: "subprocess.Popen[str]", name: str, seconds: float) -> list[str]:
    """The whole lines that a process printed in so many seconds after it was ready."""
    assert changes.stdin is not None
    assert changes.stdout is not None
    print(name, file=changes.stdin, flush=True)
    ready, child = changes.stdout.readline().split()
    assert ready == "ready"
    time.sleep(seconds)
    os.kill(int(child), signal.SIGKILL)
    printed: list[str] = []
    while "\0" not in (line := changes.stdout.readline()):  # what stands before it on its line was cut off
        printed.append(line)
    assert int(line.partition("\0")[2]) == -signal.SIGKILL
    return printed


def test_what_was_acknowledged_counts_after_every_kill(
    token_database: Location, changes: "subprocess.Popen[str]"
) -> None:
    """Creates are valid, revokes refused, a rotation is whole or did not happen, and the database is sound."""
    payload, moments = Acknowledged(), random.Random(6)
    store = TokenStore(token_database, SECRET)
    for kill in range(KILLS):
        payload.read(killed_after(changes, f"run {kill}", moments.uniform(0.0, 0.15)))
        snapshot = store.snapshot()
        assert snapshot is not None
        live = {one.token_id: digest for digest, one in snapshot.access_tokens.items()}
        unsure = None
        if payload.begun is not None:  # the process could not report how it ended: both ends are right
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
        assert len({one.name for one in rows}) == len(rows)
        if token_database.path is not None:
            assert integrity(token_database.path) == "ok"
    store.create(NewToken("afterwards"))
    store.close()

    assert payload.operations > KILLS


def integrity(path: Path) -> str:
    """The result of SQLite's integrity check of its file."""
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
