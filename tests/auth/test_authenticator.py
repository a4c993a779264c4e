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

from labeld.auth.authenticator import TRUSTED_SECONDS, Keyring
from labeld.auth.database_url import Location, locate
from labeld.auth.errors import KeyRequestError, KeyStoreUnavailableError, RateLimitedError, UnknownKeyError
from labeld.auth.records import Wanted
from labeld.auth.secret import open_secret
from labeld.auth.store import KeyStore
from labeld.auth.token_format import new_token
from labeld.errors import SettingsError
from tests.support.postgres_process import postgres_server

SECRET = "0f" * 32


class Clock:
    """Seconds, which pass when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@asynccontextmanager
async def keyring_of(location: Location, **clocks: Any) -> AsyncIterator[Keyring]:
    """A key ring that is open."""
    keyring = Keyring(location, SECRET, **clocks)
    await keyring.open()
    try:
        yield keyring
    finally:
        await keyring.close()


async def found(keyring: Keyring, token: str) -> str:
    """What a request with this token comes to: a key's name, `unknown`, or `away`."""
    try:
        try:
            return keyring.find(token).name
        except UnknownKeyError:
            return (await keyring.find_new(token)).name
    except UnknownKeyError:
        return "unknown"
    except KeyStoreUnavailableError:
        return "away"


async def becomes(expected: str, keyring: Keyring, token: str, seconds: float = 2.0) -> bool:
    """Whether `find` alone, without looking again, comes to this in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            now = keyring.find(token).name
        except UnknownKeyError:
            now = "unknown"
        if now == expected:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture
def file(tmp_path: Path) -> Location:
    """A SQLite file that is not there yet."""
    return locate(str(tmp_path / "keys.sqlite3"))


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine."""
    asyncio.run(story())


def test_a_key_made_here_is_found_at_once(key_location: Location) -> None:
    """A rotated one by its new token only, a revoked one no more."""

    async def story() -> None:
        async with keyring_of(key_location) as keyring:
            assert keyring.empty
            key, token = await keyring.create("laptop", "admin", ("org/*",), per_minute=7)
            assert not keyring.empty
            assert keyring.find(token) == key
            renewed, other = await keyring.rotate(key.key_id)
            assert await found(keyring, token) == "unknown"
            assert keyring.find(other) == renewed
            revoked = await keyring.revoke(key.key_id)
            assert await found(keyring, other) == "unknown"
            assert await keyring.everything() == [revoked]
            assert not keyring.empty  # or the last revoke would open the server to everybody

    run(story)


def test_a_key_made_elsewhere_is_found_by_its_first_request(key_location: Location) -> None:
    """And one that is revoked elsewhere is refused within two seconds, without a request asking for it."""

    async def story() -> None:
        async with keyring_of(key_location) as here, keyring_of(key_location) as there:
            key, token = await there.create("laptop")
            assert await found(here, token) == "laptop"
            assert not here.empty
            await there.revoke(key.key_id)
            assert await becomes("unknown", here, token)

    run(story)


REVOKES = """
import sys
from labeld.auth.location import locate
from labeld.auth.store import KeyStore
KeyStore(locate(sys.argv[1]), bytes.fromhex(sys.argv[2])).revoke(sys.argv[3])
"""


def test_a_revoke_by_another_process_is_followed_within_two_seconds(key_location: Location) -> None:
    """Counted from its acknowledgement."""
    where = str(key_location.path or key_location.url).replace("+psycopg", "")

    async def story() -> None:
        async with keyring_of(key_location) as keyring:
            key, token = await keyring.create("laptop")
            command = [sys.executable, "-c", REVOKES, where, SECRET, key.key_id]
            await asyncio.to_thread(subprocess.run, command, check=True)
            assert await becomes("unknown", keyring, token)

    run(story)


def test_unknown_revoked_expired_and_malformed_are_told_alike(file: Location) -> None:
    """The same error, the same sentence."""
    clock = Clock()

    async def story() -> None:
        async with keyring_of(file, now=clock) as keyring:
            revoked, of_revoked = await keyring.create("revoked")
            await keyring.revoke(revoked.key_id)
            _, of_expired = await keyring.create("expired", expires=clock.now + 60)
            assert keyring.find(of_expired).name == "expired"
            clock.now += 60
            told = set()
            for token in (of_revoked, of_expired, new_token(), "", "hf_***", "hf_" + "é" * 34, "hf_" + "\ud800" * 34):
                with pytest.raises(UnknownKeyError) as caught:
                    keyring.find(token)
                told.add((type(caught.value), str(caught.value)))
                with pytest.raises(UnknownKeyError) as caught:
                    await keyring.find_new(token)
                told.add((type(caught.value), str(caught.value)))
            assert told == {(UnknownKeyError, "Invalid username or password.")}
            assert not keyring.empty

    run(story)


def test_garbage_asks_no_database(tmp_path: Path) -> None:
    """With a database that is away, a real token cannot be judged, but what is none is refused."""
    broken = tmp_path / "keys.sqlite3"
    broken.write_bytes(b"no database " * 1000)

    async def story() -> None:
        async with keyring_of(locate(str(broken))) as keyring:
            garbage = ["", "hf_***", "hf_" + "a" * 34, "x" * 16_000, new_token()[:-1], new_token() + "a"]
            assert [await found(keyring, token) for token in garbage] == ["unknown"] * len(garbage)
            assert await found(keyring, new_token()) == "away"
            assert not keyring.empty

    run(story)


def test_a_flood_of_unknown_tokens_shares_its_looks_at_the_store(
    file: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most ten per second, and each is answered."""
    looks = 0
    snapshot = KeyStore.snapshot

    def counted(self: KeyStore, mark: str | None = None) -> Any:
        nonlocal looks
        looks += 1
        return snapshot(self, mark)

    monkeypatch.setattr(KeyStore, "snapshot", counted)

    async def story() -> None:
        async with keyring_of(file) as keyring:
            await keyring.create("laptop")
            began, before = time.monotonic(), looks
            for _ in range(5):
                answers = await asyncio.gather(*(found(keyring, new_token()) for _ in range(400)))
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

    def write(models: str, mark: str) -> None:
        other = sqlite3.connect(path)
        with other:
            other.execute("UPDATE labeld_keys SET models = ?", (models,))
            other.execute("UPDATE labeld_facts SET value = ? WHERE name = 'mark'", (mark,))
        other.close()

    write("[", "damaged")
    return lambda: write("[]", "mended")


async def survives(location: Location, harm: Callable[[], Callable[[], None]], log: pytest.LogCaptureFixture) -> None:
    """The story of a store that goes and comes back while a server runs."""
    ticks = Clock()
    async with keyring_of(location, ticks=ticks) as keyring:
        key, known = await keyring.create("laptop")
        mend = harm()
        try:
            await keyring.refresh()
            began = time.monotonic()
            assert await found(keyring, new_token()) == "away"
            assert time.monotonic() - began < 0.5
            assert await found(keyring, "hf_***") == "unknown"
            for seconds in (0.0, TRUSTED_SECONDS - 1):
                ticks.now += seconds
                assert await found(keyring, known) == "laptop"
            ticks.now += 2
            assert await found(keyring, known) == "away"
            assert not keyring.empty
            with pytest.raises(KeyStoreUnavailableError):
                await keyring.rotate(key.key_id)
        finally:
            mend()
        await keyring.refresh()
        assert await found(keyring, known) == "laptop"
        assert await found(keyring, new_token()) == "unknown"
        await keyring.revoke(key.key_id)
        assert await found(keyring, known) == "unknown"
    said = [record.getMessage() for record in log.records if record.levelno >= logging.WARNING]
    assert len(said) >= 2
    assert "Known access tokens count for 60 seconds more at most." in said[0]
    assert said[-1] == "The database of access tokens answers again."
    assert known not in "".join(said)


@pytest.mark.parametrize("harm", [break_file, lock_file, remove_file, damage_row])
def test_a_file_that_goes_away_and_comes_back(
    file: Location, harm: Callable[[Location], Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Known tokens count for a minute, unknown ones are never refused as such, and nothing is lost."""
    run(lambda: survives(file, lambda: harm(file), caplog))


def test_a_postgres_that_stops_and_starts(caplog: pytest.LogCaptureFixture) -> None:
    """Known tokens count for a minute, unknown ones are never refused as such, and nothing is lost."""
    with postgres_server() as own:

        def stop() -> Callable[[], None]:
            own.stop()
            return own.start

        run(lambda: survives(locate(own.database()), stop, caplog))


def test_a_server_that_starts_without_its_store_is_closed_until_it_is_back() -> None:
    """It does not open itself to everybody, and follows once the store answers."""
    with postgres_server() as own:
        url = own.database()
        with closing(KeyStore(locate(url), bytes.fromhex(SECRET))) as store:
            _, token = store.create(Wanted("laptop"))
        own.stop()

        async def story() -> None:
            async with keyring_of(locate(url)) as keyring:
                assert not keyring.empty
                assert await found(keyring, token) == "away"
                await asyncio.to_thread(own.start)
                assert await becomes("laptop", keyring, token, 10.0)

        run(story)


def test_a_database_of_another_secret_ends_the_start(key_location: Location) -> None:
    """With a sentence, and no second server changes it."""
    with closing(KeyStore(key_location, bytes(32))) as store:
        store.snapshot()

    async def story() -> None:
        keyring = Keyring(key_location, SECRET)
        with pytest.raises(SettingsError, match="made with another secret"):
            await keyring.open()
        await keyring.close()

    run(story)


def test_nobodys_server_loads_no_database(tmp_path: Path) -> None:
    """Without a file of tokens a server needs 18 MB less; making a sign-in code leaves it so."""
    script = f"""
import asyncio, sys
from labeld.auth.keyring import Keyring
from labeld.auth.location import locate

async def story():
    keyring = Keyring(locate({str(tmp_path / "keys.sqlite3")!r}), None)
    await keyring.open()
    code = await keyring.new_sign_in(60)
    assert "sqlalchemy" not in sys.modules and keyring.empty
    assert await keyring.everything() == []
    assert "sqlalchemy" not in sys.modules
    assert [await keyring.use_sign_in(code), await keyring.use_sign_in(code)] == [True, False]
    assert "sqlalchemy" in sys.modules and keyring.empty
    await keyring.close()

asyncio.run(story())
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.sqlite3", "keys.sqlite3.secret"]


def test_last_use_is_written_every_thirty_seconds(file: Location) -> None:
    """Not sooner, and once more at the end."""
    now, ticks = Clock(), Clock()

    async def written(keyring: Keyring, expected: float | None) -> bool:
        await asyncio.sleep(1.5)  # for the round that is made every second
        return [key.last_used for key in await keyring.everything()] == [expected]

    async def story() -> None:
        async with keyring_of(file, now=now, ticks=ticks) as keyring:
            key, _ = await keyring.create("laptop")
            keyring.used(key)
            now.now += 5
            keyring.used(key)
            ticks.now += 29
            assert await written(keyring, None)
            ticks.now += 1
            assert await written(keyring, now.now)
            first = now.now
            now.now += 7
            keyring.used(key)
            assert await written(keyring, first)
        store = KeyStore(file, open_secret(file, SECRET))
        assert [key.last_used for key in store.everything()] == [now.now]

    run(story)


def test_requests_per_minute_are_counted(file: Location) -> None:
    """In windows of a minute that the first request begins, each key for itself."""
    ticks = Clock()

    async def story() -> None:
        async with keyring_of(file, ticks=ticks) as keyring:
            limited, _ = await keyring.create("limited", per_minute=3)
            other, _ = await keyring.create("other", per_minute=1)
            free, _ = await keyring.create("free")
            for _ in range(3):
                keyring.admit(limited)
                keyring.admit(free)
                ticks.now += 10
            with pytest.raises(RateLimitedError) as caught:
                keyring.admit(limited)
            assert (caught.value.limit, caught.value.retry_after) == (3, 30.0)
            keyring.admit(other)
            keyring.admit(free)
            await keyring.create("another")  # the keys are read anew, the count stays
            ticks.now += 29.9
            with pytest.raises(RateLimitedError):
                keyring.admit(limited)
            ticks.now += 0.1
            for _ in range(3):
                keyring.admit(limited)
            with pytest.raises(RateLimitedError):
                keyring.admit(limited)

    run(story)


def test_workers_share_a_limit(file: Location) -> None:
    """Each has its part, rounded up."""

    async def story() -> None:
        async with keyring_of(file, workers=4) as keyring:
            key, _ = await keyring.create("limited", per_minute=9)
            for _ in range(3):
                keyring.admit(key)
            with pytest.raises(RateLimitedError, match="may send 9 requests per minute; try again in 60 seconds"):
                keyring.admit(key)

    run(story)


def test_a_bad_request_makes_no_database(file: Location) -> None:
    """It is refused before the store is asked."""

    async def story() -> None:
        async with keyring_of(file) as keyring:
            with pytest.raises(KeyRequestError):
                await keyring.create("x" * 101)
            assert not await keyring.use_sign_in("x")
            assert keyring.empty

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
def test_models_that_a_key_may_use(file: Location, models: Any, allowed: list[str], refused: list[str]) -> None:
    """An id is that model, org/* is all of org, none is all."""
    store = KeyStore(file, bytes(32))
    key, _ = store.create(Wanted("laptop", models=models))

    assert all(map(key.allows, allowed))
    assert not any(map(key.allows, refused))
