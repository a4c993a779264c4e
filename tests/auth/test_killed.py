"""SIGKILL while access tokens are made, revoked and rotated: what was acknowledged counts, nothing is half-done."""

import random

import pytest

from labeld.auth.database_url import Location
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore
from tests.support.token_changes import SECRET, Acknowledged, changing, integrity, killed_after

pytestmark = pytest.mark.slow

KILLS = 24


def test_what_was_acknowledged_counts_after_every_kill(token_database: Location) -> None:
    """Creates are valid, revokes refused, a rotation is whole or did not happen, and the database is sound."""
    payload, moments = Acknowledged(), random.Random(6)
    store = TokenStore(token_database, SECRET)
    with changing(token_database) as changes:
        for kill in range(KILLS):
            payload.read(killed_after(changes, f"run {kill}", moments.uniform(0.0, 0.15)))
            assert [] == payload.lost(store)
            if token_database.path is not None:
                assert integrity(token_database.path) == "ok"
    store.create(NewToken("afterwards"))
    store.close()

    assert payload.operations > KILLS


@pytest.mark.parametrize("lines", [["created a t1", "rotating a t1", "rotated a t2", "revoking a t2", "revoked a t2"]])
def test_the_reading_of_acknowledgements(lines: list[str]) -> None:
    """The bookkeeping of these processes, on a story whose end is known."""
    payload = Acknowledged()
    payload.read(lines)

    assert (payload.tokens, sorted(set(payload.refused)), payload.begun) == ({}, ["t1", "t2"], None)
