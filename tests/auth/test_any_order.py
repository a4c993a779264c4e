"""Access tokens that are made, rotated, revoked and expire in any order: exactly those count that should."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labeld.auth.database_url import locate
from labeld.auth.errors import TokenRequestError
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore, digest_of

pytestmark = pytest.mark.slow

SECRET = bytes(range(32))


class Tokens(RuleBasedStateMachine):
    """Any story of one database, which several processes have open."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1e9
        self.path = Path(self.folder.name) / "tokens.sqlite3"
        self.stores = [TokenStore(locate(str(self.path)), SECRET, lambda: self.now) for _ in range(2)]
        self.live: dict[str, tuple[str, float | None]] = {}
        """Token and expiry of those that are not revoked, by id."""
        self.names: set[str] = set()
        self.dead: set[str] = set()
        """Tokens that were rotated or revoked."""

    @rule(which=some.integers(0, 1), name=some.sampled_from("abcdefgh"), days=some.none() | some.integers(1, 30))
    def create(self, which: int, name: str, days: int | None) -> None:
        """A name is given once, also after its token was revoked or has expired, unless it is free again."""
        expires = None if days is None else self.now + 86_400 * days
        try:
            made, token = self.stores[which].create(NewToken(name, expires=expires))
        except TokenRequestError:
            assert name in self.names
            return
        self.names.add(name)
        self.live[made.token_id] = (token, expires)

    @precondition(lambda self: self.live)
    @rule(which=some.integers(0, 1), number=some.integers(0, 100))
    def rotate(self, which: int, number: int) -> None:
        """The old text counts no longer; one that has expired stays as it is."""
        token_id = [*self.live][number % len(self.live)]
        old, expires = self.live[token_id]
        if expires is not None and expires <= self.now:
            with pytest.raises(TokenRequestError):
                self.stores[which].rotate(token_id)
            return
        _, new = self.stores[which].rotate(token_id)
        self.dead.add(old)
        self.live[token_id] = (new, expires)

    @precondition(lambda self: self.live)
    @rule(which=some.integers(0, 1), number=some.integers(0, 100))
    def revoke(self, which: int, number: int) -> None:
        """Its text counts no longer, however often it is revoked."""
        token_id = [*self.live][number % len(self.live)]
        for store in (self.stores[which], self.stores[1 - which]):
            assert store.revoke(token_id).revoked is not None
        self.dead.add(self.live.pop(token_id)[0])

    @precondition(lambda self: self.live)
    @rule(which=some.integers(0, 1), number=some.integers(0, 100))
    def use(self, which: int, number: int) -> None:
        """The time of last use only grows."""
        token_id = [*self.live][number % len(self.live)]
        self.stores[which].touch({token_id: self.now})
        self.stores[1 - which].touch({token_id: self.now - 100})
        [found] = [one for one in self.stores[0].everything() if one.token_id == token_id]
        assert found.last_used == self.now

    @rule(days=some.sampled_from([0.5, 7.0, 40.0]))
    def wait(self, days: float) -> None:
        """Time passes."""
        self.now += 86_400 * days

    @invariant()
    def exactly_those_count(self) -> None:
        """In every process."""
        for store in self.stores:
            snapshot = store.snapshot()
            assert snapshot is not None
            counting = {digest for digest, one in snapshot.access_tokens.items() if one.live(self.now)}
            alive = [token for token, expires in self.live.values() if expires is None or expires > self.now]
            assert {digest_of(SECRET, token) for token in alive} == counting
            assert not {digest_of(SECRET, token) for token in self.dead} & set(snapshot.access_tokens)

    def teardown(self) -> None:
        """Nothing is left open."""
        for store in self.stores:
            store.close()
        self.folder.cleanup()


Tokens.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_tokens_in_any_order = Tokens.TestCase
