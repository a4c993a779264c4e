"""Processes that change access tokens until they are killed, and what their output says of the tokens that count.

As a script it makes a process for each name on standard input, forked from one that has imported everything already:
`python -m tests.support.token_changes DATABASE`.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labeld.auth.database_url import Location, locate
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore, digest_of

SECRET = bytes(range(32))
COMMAND = (sys.executable, "-m", "tests.support.token_changes")


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

    def lost(self, store: TokenStore) -> list[str]:
        """What the database says otherwise: a change that was acknowledged, or one that is half-done."""
        snapshot = store.snapshot()
        assert snapshot is not None
        live = {one.token_id: digest for digest, one in snapshot.access_tokens.items()}
        found = []
        if self.begun is not None:  # the process could not report how it ended: both ends are right
            what, unsure = self.begun
            old = self.tokens[unsure]
            if what == "revoking" and unsure not in live:
                self.refused.append(self.tokens.pop(unsure))
            elif live.get(unsure) != digest_of(SECRET, old):
                if what != "rotating" or unsure not in live:
                    found.append(f"{unsure} after {what}")
                self.refused.append(self.tokens.pop(unsure))
        found += [one for one, token in self.tokens.items() if live.get(one) != digest_of(SECRET, token)]
        found += [token for token in self.refused if digest_of(SECRET, token) in snapshot.access_tokens]
        names = [one.name for one in store.everything()]
        return found + [name for name in set(names) if names.count(name) > 1]


@contextmanager
def changing(location: Location, command: tuple[str, ...] = COMMAND) -> Iterator["subprocess.Popen[str]"]:
    """The process that starts those to be killed; `command` is one that runs this module."""
    where = str(location.path or location.url).replace("+psycopg", "")
    with subprocess.Popen([*command, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def killed_after(process: "subprocess.Popen[str]", name: str, seconds: float) -> list[str]:
    """The whole lines that a process printed in so many seconds after it was ready."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(name, file=process.stdin, flush=True)
    ready, child = process.stdout.readline().split()
    assert ready == "ready"
    time.sleep(seconds)
    os.kill(int(child), signal.SIGKILL)
    printed: list[str] = []
    while "\0" not in (line := process.stdout.readline()):  # what stands before it on its line was cut off
        printed.append(line)
    assert int(line.partition("\0")[2]) == -signal.SIGKILL
    return printed


def integrity(path: Path) -> str:
    """The result of SQLite's integrity check of its file."""
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def _change(where: str, name: str) -> None:
    store = TokenStore(locate(where), SECRET)
    store.create(NewToken(f"{name} at first"))  # what is done for the first time takes long
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


def main() -> None:
    """Forks for each name."""
    import psycopg  # noqa: F401  # what a child would import for seconds
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            _change(sys.argv[1], line.strip())
        _, status = os.waitpid(child, 0)
        print("\0", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
