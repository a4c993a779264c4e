"""The access tokens that a server knows: found in memory, followed in the store, never 401 for want of a store."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from labeld.auth.authenticator import TRUSTED_SECONDS, Authenticator
from labeld.auth.database_url import Location, locate
from labeld.auth.errors import RateLimitedError, TokenRequestError, TokenStoreUnavailableError, UnknownTokenError
from labeld.auth.records import NewToken
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore
from labeld.auth.token_format import new_token
from labeld.errors import SettingsError
from tests.support.postgres_process import postgres_server

pytestmark = pytest.mark.slow

SECRET = "0f" * 32


class Clock:
    """A clock in seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@asynccontextmanager
async def authenticator_of(location: Location, **clocks: Any) -> AsyncIterator[Authenticator]:
    """An authenticator that is open."""
    authenticator = Authenticator(location, SECRET, **clocks)
    await authenticator.open()
    try:
        yield authenticator
    finally:
        await authenticator.close()


async def found(authenticator: Authenticator, token: str) -> str:
    """The outcome of a request with this token: an access token's name, `unknown`, or `away`."""
    try:
        try:
            return authenticator.find(token).name
        except UnknownTokenError:
            return (await authenticator.find_new(token)).name
    except UnknownTokenError:
        return "unknown"
    except TokenStoreUnavailableError:
        return "away"


async def becomes(expected: str, authenticator: Authenticator, token: str, seconds: float = 2.0) -> bool:
    """Whether `find` alone, without looking again, comes to this in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            now = authenticator.find(token).name
        except UnknownTokenError:
            now = "unknown"
        if now == expected:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture
def file(tmp_path: Path) -> Location:
    """A SQLite file that is not there yet."""
    return locate(str(tmp_path / "tokens.sqlite3"))


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine."""
    asyncio.run(story())


def test_an_access_token_made_here_is_found_at_once(token_database: Location) -> None:
    """A rotated one by its new token only, a revoked one no more."""

    async def story() -> None:
        async with authenticator_of(token_database) as authenticator:
            assert authenticator.empty
            access_token, token = await authenticator.create("laptop", "admin", ("org/*",), per_minute=7)
            assert not authenticator.empty
            assert authenticator.find(token) == access_token
            renewed, other = await authenticator.rotate(access_token.token_id)
            assert await found(authenticator, token) == "unknown"
            assert authenticator.find(other) == renewed
            revoked = await authenticator.revoke(access_token.token_id)
            assert await found(authenticator, other) == "unknown"
            assert await authenticator.everything() == [revoked]
            assert not authenticator.empty  # or the last revoke would open the server to everybody

    run(story)


def test_an_access_token_made_elsewhere_is_found_by_its_first_request(token_database: Location) -> None:
    """And one that is revoked elsewhere is refused within two seconds, without a request asking for it."""

    async def story() -> None:
        async with authenticator_of(token_database) as here, authenticator_of(token_database) as there:
            access_token, token = await there.create("laptop")
            assert await found(here, token) == "laptop"
            assert not here.empty
            await there.revoke(access_token.token_id)
            assert await becomes("unknown", here, token)

    run(story)


REVOKES = """
import sys
from labeld.auth.database_url import locate
from labeld.auth.store import TokenStore
TokenStore(locate(sys.argv[1]), bytes.fromhex(sys.argv[2])).revoke(sys.argv[3])
"""


def test_a_revoke_by_another_process_is_followed_within_two_seconds(token_database: Location) -> None:
    """Counted from its acknowledgement."""
    where = str(token_database.path or token_database.url).replace("+psycopg", "")

    async def story() -> None:
        async with authenticator_of(token_database) as authenticator:
            access_token, token = await authenticator.create("laptop")
            command = [sys.executable, "-c", REVOKES, where, SECRET, access_token.token_id]
            await asyncio.to_thread(subprocess.run, command, check=True)
            assert await becomes("unknown", authenticator, token)

    run(story)


def test_unknown_revoked_expired_and_malformed_are_told_alike(file: Location) -> None:
    """All such tokens are refused with one error and one sentence."""
    clock = Clock()

    async def story() -> None:
        async with authenticator_of(file, now=clock) as authenticator:
            revoked, of_revoked = await authenticator.create("revoked")
            await authenticator.revoke(revoked.token_id)
            _, of_expired = await authenticator.create("expired", expires=clock.now + 60)
            assert authenticator.find(of_expired).name == "expired"
            clock.now += 60
            payload = set()
            for token in (of_revoked, of_expired, new_token(), "", "hf_***", "hf_" + "é" * 34, "hf_" + "\ud800" * 34):
                with pytest.raises(UnknownTokenError) as caught:
                    authenticator.find(token)
                payload.add((type(caught.value), str(caught.value)))
                with pytest.raises(UnknownTokenError) as caught:
                    await authenticator.find_new(token)
                payload.add((type(caught.value), str(caught.value)))
            assert payload == {(UnknownTokenError, "Invalid username or password.")}
            assert not authenticator.empty

    run(story)


def test_garbage_asks_no_database(tmp_path: Path) -> None:
    """With a database that is away, a real token cannot be judged, but what is none is refused."""
    broken = tmp_path / "tokens.sqlite3"
    broken.write_bytes(b"no database " * 1000)

    async def story() -> None:
        async with authenticator_of(locate(str(broken))) as authenticator:
            garbage = ["", "hf_***", "hf_" + "a" * 34, "x" * 16_000, new_token()[:-1], new_token() + "a"]
            assert [await found(authenticator, token) for token in garbage] == ["unknown"] * len(garbage)
            assert await found(authenticator, new_token()) == "away"
            assert not authenticator.empty

    run(story)


def test_a_flood_of_unknown_tokens_shares_its_looks_at_the_store(
    file: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most ten per second, and each is answered."""
    looks = 0
    snapshot = TokenStore.snapshot

    def counted(self: TokenStore, version: str | None = None) -> Any:
        nonlocal looks
        looks += 1
        return snapshot(self, version)

    monkeypatch.setattr(TokenStore, "snapshot", counted)

    async def story() -> None:
        async with authenticator_of(file) as authenticator:
            await authenticator.create("laptop")
            began, before = time.monotonic(), looks
            for _ in range(5):
                answers = await asyncio.gather(*(found(authenticator, new_token()) for _ in range(400)))
                assert set(answers) == {"unknown"}
            seconds = time.monotonic() - began
            assert looks - before <= 2 + seconds * 11  # ten, and the one that is made anyway

    run(story)


def break_file(location: Location) -> Callable[[], None]:
    """A folder takes the file's place; the answer brings the file back."""
    assert location.path is not None
    path, kept = location.path, location.path.with_suffix(".kept")
    path.rename(kept)
    path.mkdir()

    def mend() -> None:
        path.rmdir()
        kept.rename(path)

    return mend


def lock_file(location: Location) -> Callable[[], None]:
    """Another program has the file for itself; the answer ends that."""
    assert location.path is not None
    other = sqlite3.connect(location.path)
    other.execute("BEGIN EXCLUSIVE")
    return other.close


def remove_file(location: Location) -> Callable[[], None]:
    """The file is gone; the answer brings it back."""
    assert location.path is not None
    path, kept = location.path, location.path.with_suffix(".kept")
    path.rename(kept)
    return lambda: (path.unlink(missing_ok=True), kept.rename(path))[0]


def damage_row(location: Location) -> Callable[[], None]:
    """Somebody has written what cannot be read; the answer mends it."""
    assert location.path is not None
    path = location.path

    def write(models: str, version: str) -> None:
        other = sqlite3.connect(path)
        with other:
            other.execute("UPDATE labeld_tokens SET models = ?", (models,))
            other.execute("UPDATE labeld_metadata SET value = ? WHERE name = 'version'", (version,))
        other.close()

    write("[", "damaged")
    return lambda: write("[]", "mended")


async def survives(location: Location, harm: Callable[[], Callable[[], None]], log: pytest.LogCaptureFixture) -> None:
    """The story of a store that goes and comes back while a server runs."""
    ticks = Clock()
    async with authenticator_of(location, ticks=ticks) as authenticator:
        access_token, known = await authenticator.create("laptop")
        mend = harm()
        try:
            await authenticator.refresh()
            began = time.monotonic()
            assert await found(authenticator, new_token()) == "away"
            assert time.monotonic() - began < 1.5  # who waited for the store would wait 2 seconds
            assert await found(authenticator, "hf_***") == "unknown"
            for seconds in (0.0, TRUSTED_SECONDS - 1):
                ticks.now += seconds
                assert await found(authenticator, known) == "laptop"
            ticks.now += 2
            assert await found(authenticator, known) == "away"
            assert not authenticator.empty
            with pytest.raises(TokenStoreUnavailableError):
                await authenticator.rotate(access_token.token_id)
        finally:
            mend()
        await authenticator.refresh()
        assert await found(authenticator, known) == "laptop"
        assert await found(authenticator, new_token()) == "unknown"
        await authenticator.revoke(access_token.token_id)
        assert await found(authenticator, known) == "unknown"
    said = [record.getMessage() for record in log.records if record.levelno >= logging.WARNING]
    assert len(said) >= 2
    assert "Known access tokens stay valid for at most 60 seconds more." in said[0]
    assert said[-1] == "The database of access tokens answers again."
    assert known not in "".join(said)


@pytest.mark.parametrize("harm", [break_file, lock_file, remove_file, damage_row])
def test_a_file_that_goes_away_and_comes_back(
    file: Location,
    harm: Callable[[Location], Callable[[], None]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Known tokens stay valid for a minute, unknown ones are never refused as such, and nothing is lost."""
    monkeypatch.setattr("labeld.auth.database.LOCK_SECONDS", 1.6)  # a lock outlasts a read, as it does by default
    monkeypatch.setattr("labeld.auth.authenticator.READ_SECONDS", 0.6)
    run(lambda: survives(file, lambda: harm(file), caplog))


@pytest.mark.postgres
def test_a_postgres_that_stops_and_starts(caplog: pytest.LogCaptureFixture) -> None:
    """Known tokens stay valid for a minute, unknown ones are never refused as such, and nothing is lost."""
    with postgres_server() as own:

        def stop() -> Callable[[], None]:
            own.stop()
            return own.start

        run(lambda: survives(locate(own.database()), stop, caplog))


@pytest.mark.postgres
def test_a_server_that_starts_without_its_store_is_closed_until_it_is_back() -> None:
    """It does not open itself to everybody, and follows once the store answers."""
    with postgres_server() as own:
        url = own.database()
        with closing(TokenStore(locate(url), bytes.fromhex(SECRET))) as store:
            _, token = store.create(NewToken("laptop"))
        own.stop()

        async def story() -> None:
            async with authenticator_of(locate(url)) as authenticator:
                assert not authenticator.empty
                assert await found(authenticator, token) == "away"
                await asyncio.to_thread(own.start)
                assert await becomes("laptop", authenticator, token, 10.0)

        run(story)


def test_a_database_of_another_secret_ends_the_start(token_database: Location) -> None:
    """With a sentence, and no second server changes it."""
    with closing(TokenStore(token_database, bytes(32))) as store:
        store.snapshot()

    async def story() -> None:
        authenticator = Authenticator(token_database, SECRET)
        with pytest.raises(SettingsError, match="made with another secret"):
            await authenticator.open()
        await authenticator.close()

    run(story)


def test_nobodys_server_loads_no_database(tmp_path: Path) -> None:
    """Without a file of tokens a server needs 18 MB less; making a sign-in code leaves it so."""
    script = f"""
import asyncio, sys
from labeld.auth.authenticator import Authenticator
from labeld.auth.database_url import locate

async def story():
    authenticator = Authenticator(locate({str(tmp_path / "tokens.sqlite3")!r}), None)
    await authenticator.open()
    code = await authenticator.new_sign_in(60)
    assert "sqlalchemy" not in sys.modules and authenticator.empty
    assert await authenticator.everything() == []
    assert "sqlalchemy" not in sys.modules
    assert [await authenticator.use_sign_in(code), await authenticator.use_sign_in(code)] == [True, False]
    assert "sqlalchemy" in sys.modules and authenticator.empty
    await authenticator.close()

asyncio.run(story())
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.sqlite3", "tokens.sqlite3.secret"]


def test_last_use_is_written_every_thirty_seconds(file: Location) -> None:
    """Not sooner, and once more at the end."""
    now, ticks = Clock(), Clock()

    async def written(authenticator: Authenticator, expected: float | None) -> bool:
        await asyncio.sleep(1.5)  # for the round that is made every second
        return [access_token.last_used for access_token in await authenticator.everything()] == [expected]

    async def story() -> None:
        async with authenticator_of(file, now=now, ticks=ticks) as authenticator:
            access_token, _ = await authenticator.create("laptop")
            authenticator.used(access_token)
            now.now += 5
            authenticator.used(access_token)
            ticks.now += 29
            assert await written(authenticator, None)
            ticks.now += 1
            assert await written(authenticator, now.now)
            first = now.now
            now.now += 7
            authenticator.used(access_token)
            assert await written(authenticator, first)
        store = TokenStore(file, open_secret(file, SECRET))
        assert [access_token.last_used for access_token in store.everything()] == [now.now]

    run(story)


def test_requests_per_minute_are_counted(file: Location) -> None:
    """In windows of a minute that the first request begins, each access token for itself."""
    ticks = Clock()

    async def story() -> None:
        async with authenticator_of(file, ticks=ticks) as authenticator:
            limited, _ = await authenticator.create("limited", per_minute=3)
            other, _ = await authenticator.create("other", per_minute=1)
            free, _ = await authenticator.create("free")
            for _ in range(3):
                await authenticator.admit(limited)
                await authenticator.admit(free)
                ticks.now += 10
            with pytest.raises(RateLimitedError) as caught:
                await authenticator.admit(limited)
            assert (caught.value.per_minute, caught.value.retry_after) == (3, 30.0)
            await authenticator.admit(other)
            await authenticator.admit(free)
            await authenticator.create("another")  # the access tokens are read anew, the count stays
            ticks.now += 29.9
            with pytest.raises(RateLimitedError):
                await authenticator.admit(limited)
            ticks.now += 0.1
            for _ in range(3):
                await authenticator.admit(limited)
            with pytest.raises(RateLimitedError):
                await authenticator.admit(limited)

    run(story)


def test_workers_share_a_limit(file: Location) -> None:
    """Each has its part, rounded up."""

    async def story() -> None:
        async with authenticator_of(file, workers=4) as authenticator:
            access_token, _ = await authenticator.create("limited", per_minute=9)
            for _ in range(3):
                await authenticator.admit(access_token)
            with pytest.raises(RateLimitedError, match="may send 9 requests per minute; try again in 60 seconds"):
                await authenticator.admit(access_token)

    run(story)


def test_a_bad_request_makes_no_database(file: Location) -> None:
    """It is refused before the store is asked."""

    async def story() -> None:
        async with authenticator_of(file) as authenticator:
            with pytest.raises(TokenRequestError):
                await authenticator.create("x" * 101)
            assert not await authenticator.use_sign_in("x")
            assert authenticator.empty

    run(story)

    assert file.path is not None
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("models", "allowed", "refused"),
    [
        ((), ["org/name", "name", "org/name@main"], []),
        (
            ("org/name",),
            ["org/name", "org/name@main"],
            ["org/other@org/name", "org/other", "org/name2", "name", "other/name", "ORG/name"],
        ),
        (("org/*",), ["org/name", "org/other"], ["other/name", "org2/name", "org"]),
        (("name", "a/*"), ["name", "a/b"], ["a", "b/a"]),
    ],
)
def test_models_that_an_access_token_may_use(
    file: Location, models: Any, allowed: list[str], refused: list[str]
) -> None:
    """An id is that model, org/* is all of org, none is all."""
    store = TokenStore(file, bytes(32))
    access_token, _ = store.create(NewToken("laptop", models=models))

    assert all(map(access_token.allows, allowed))
    assert not any(map(access_token.allows, refused))
