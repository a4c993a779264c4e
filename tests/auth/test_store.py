"""Access tokens in their database: the same over SQLite and PostgreSQL."""

import base64
import math
import sqlite3
import stat
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE

import pytest

from labeld.auth.database_url import Location, locate
from labeld.auth.errors import TokenNotFoundError, TokenRequestError, TokenStoreUnavailableError
from labeld.auth.records import NewToken
from labeld.auth.secret import open_secret
from labeld.auth.sign_in_codes import new_code
from labeld.auth.store import TokenStore, digest_of
from labeld.errors import LabeldError, SettingsError
from tests.support.postgres_process import Postgres

SECRET = bytes(range(32))


class Clock:
    """A clock in seconds since the epoch that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The store's clock."""
    return Clock()


@pytest.fixture
def store(token_database: Location, clock: Clock) -> Iterator[TokenStore]:
    """A store that is empty."""
    with_clock = TokenStore(token_database, SECRET, clock)
    yield with_clock
    with_clock.close()


def live(store: TokenStore) -> dict[bytes, str]:
    """Ids of the access tokens that a server would know, by digest."""
    snapshot = store.snapshot()
    assert snapshot is not None
    return {digest: access_token.token_id for digest, access_token in snapshot.access_tokens.items()}


def test_a_new_access_token_is_found_by_its_token(store: TokenStore, clock: Clock) -> None:
    """With all that was asked for, and with nothing that was not."""
    wanted = NewToken(" laptop ", "admin", ("org/*", "org/name", "org/*"), clock.now + 60, 500)
    access_token, token = store.create(wanted)
    plain, _ = store.create(NewToken("plain"))

    assert live(store)[digest_of(SECRET, token)] == access_token.token_id
    assert (access_token.name, access_token.role, access_token.models, access_token.expires) == (
        "laptop",
        "admin",
        ("org/*", "org/name"),
        clock.now + 60,
    )
    assert (access_token.per_minute, access_token.created, access_token.last_used, access_token.revoked) == (
        500,
        clock.now,
        None,
        None,
    )
    assert (plain.role, plain.models, plain.expires, plain.per_minute) == ("inference", (), None, None)
    assert sorted(store.everything(), key=repr) == sorted([access_token, plain], key=repr)


def test_a_revoked_access_token_stays_in_the_list_only(store: TokenStore, clock: Clock) -> None:
    """Revoking it once more changes nothing."""
    access_token, _ = store.create(NewToken("laptop"))
    revoked = store.revoke(access_token.token_id)
    clock.now += 5

    assert revoked.revoked == clock.now - 5
    assert store.revoke(access_token.token_id) == revoked
    assert live(store) == {}
    assert store.everything() == [revoked]


def test_rotating_changes_the_token_only(store: TokenStore, clock: Clock) -> None:
    """The old one is gone at the same moment."""
    access_token, old = store.create(NewToken("laptop", "admin", ("org/name",), clock.now + 60, 7))
    store.touch({access_token.token_id: clock.now})
    clock.now += 5
    renewed, new = store.rotate(access_token.token_id)

    assert old != new
    assert live(store) == {digest_of(SECRET, new): access_token.token_id}
    assert (renewed.name, renewed.role, renewed.models) == (access_token.name, access_token.role, access_token.models)
    assert (renewed.expires, renewed.per_minute, renewed.created) == (access_token.expires, 7, clock.now)
    assert renewed.last_used is None


def test_what_counts_no_longer_is_not_rotated(store: TokenStore, clock: Clock) -> None:
    """Neither a revoked nor an expired access token comes to life again."""
    revoked, _ = store.create(NewToken("revoked"))
    store.revoke(revoked.token_id)
    expired, _ = store.create(NewToken("expired", expires=clock.now + 1))
    clock.now += 1
    before = store.everything()

    for access_token in (revoked, expired):
        with pytest.raises(TokenRequestError, match="cannot be rotated: create another"):
            store.rotate(access_token.token_id)
    assert store.everything() == before


UNKNOWN = ["", "0" * 12, "nope", "' OR ''='", "\0", "\ud800", "٣" * 12, "a" * 1_000_000]


def test_an_unknown_id_is_said(store: TokenStore) -> None:
    """Also one that no database takes as text; nothing changes."""
    store.create(NewToken("laptop"))
    before = store.everything()

    for token_id in UNKNOWN:
        for act in (store.revoke, store.rotate):
            with pytest.raises(TokenNotFoundError, match="There is no access token with this id"):
                act(token_id)
    assert store.everything() == before


BAD: list[tuple[NewToken, str]] = [
    (NewToken(""), "1 to 100 printable"),
    (NewToken("  "), "1 to 100 printable"),
    (NewToken("x" * 101), "1 to 100 printable"),
    (NewToken("x" * 1_000_000), "1 to 100 printable"),
    (NewToken("a\nb"), "1 to 100 printable"),
    (NewToken("a\x1b[31mb"), "1 to 100 printable"),
    (NewToken("a\0"), "1 to 100 printable"),
    (NewToken("a\u202eb"), "1 to 100 printable"),
    (NewToken("a\ud800"), "1 to 100 printable"),
    (NewToken("x", "root"), "inference or admin"),  # type: ignore[arg-type]
    (NewToken("x", models=("org/name", "../etc")), "Model 2 of"),
    (NewToken("x", models=("*",)), "Model 1 of"),
    (NewToken("x", models=("org/*/x",)), "Model 1 of"),
    (NewToken("x", models=("",)), "Model 1 of"),
    (NewToken("x", models=("org/name",) * 101), "at most 100 models"),
    (NewToken("x", expires=1_800_000_000.0), "in the future"),
    (NewToken("x", expires=math.nan), "in the future"),
    (NewToken("x", expires=math.inf), "in the future"),
    (NewToken("x", per_minute=0), "1 to 1000000 requests"),
    (NewToken("x", per_minute=10**30), "1 to 1000000 requests"),
]


def test_an_access_token_that_cannot_be_is_refused_with_a_sentence(store: TokenStore) -> None:
    """And none is made."""
    for wanted, sentence in BAD:
        with pytest.raises(TokenRequestError, match=sentence) as caught:
            store.create(wanted)
        assert len(str(caught.value)) < 200

    assert store.everything() == []


def test_a_name_comes_back_as_it_was_given(store: TokenStore) -> None:
    """Whatever it looks like."""
    names = ["x", "x" * 100, "日本語", "<b>&'\"</b>", "'; DROP TABLE labeld_tokens; --", "🙂 é"]
    for name in names:
        store.create(NewToken(name))

    assert sorted(names) == sorted(access_token.name for access_token in store.everything())


def test_a_name_is_free_again_once_its_access_token_is_revoked(store: TokenStore) -> None:
    """Two access tokens that count never have the same."""
    access_token, _ = store.create(NewToken("laptop"))
    with pytest.raises(TokenRequestError, match="the name laptop already"):
        store.create(NewToken("laptop "))
    store.revoke(access_token.token_id)
    store.create(NewToken("laptop"))

    assert [one.name for one in store.everything()] == ["laptop", "laptop"]


def test_only_one_of_many_at_once_gets_a_name(store: TokenStore) -> None:
    """The others get a TokenRequestError."""

    def create(_: int) -> bool:
        try:
            store.create(NewToken("laptop"))
        except TokenRequestError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(create, range(12)))

    assert made.count(True) == 1
    assert len(store.everything()) == 1


def test_nothing_is_lost_when_many_create_revoke_and_rotate_at_once(store: TokenStore) -> None:
    """Each access token ends as its own thread left it."""

    def live_through(number: int) -> tuple[str, str | None]:
        access_token, token = store.create(NewToken(f"token {number}"))
        if number % 3 == 1:
            _, token = store.rotate(access_token.token_id)
        if number % 3 == 2:
            store.revoke(access_token.token_id)
            return access_token.token_id, None
        return access_token.token_id, token

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(live_through, range(24)))

    assert live(store) == {digest_of(SECRET, token): token_id for token_id, token in ended if token}
    assert len(store.everything()) == 24


def test_a_snapshot_is_read_again_only_after_a_change(store: TokenStore) -> None:
    """Create, rotate and revoke are changes; when an access token was used is none."""
    first = store.snapshot()
    assert first is not None
    assert (dict(first.access_tokens), first.any_made) == ({}, False)
    assert store.snapshot(first.version) is None

    seen = {first.version}
    access_token, _ = store.create(NewToken("laptop"))
    for change in (
        lambda: None,
        lambda: store.rotate(access_token.token_id),
        lambda: store.revoke(access_token.token_id),
    ):
        change()
        snapshot = store.snapshot(first.version)
        assert snapshot is not None
        assert snapshot.any_made
        assert snapshot.version not in seen
        seen.add(snapshot.version)
        store.touch({access_token.token_id: 1.0})
        assert store.snapshot(snapshot.version) is None


def test_last_used_never_goes_back(store: TokenStore) -> None:
    """Workers write it in any order."""
    access_token, _ = store.create(NewToken("laptop"))
    for when in (20.0, 10.0):
        store.touch({access_token.token_id: when, "0" * 12: when})

    assert [one.last_used for one in store.everything()] == [20.0]


def test_a_sign_in_code_counts_once(store: TokenStore, token_database: Location, clock: Clock) -> None:
    """In all processes together, and not after its end; two that are used at once do not both count."""
    code, late = new_code(SECRET, clock.now + 60), new_code(SECRET, clock.now + 60)
    other = TokenStore(token_database, SECRET, clock)
    with ThreadPoolExecutor(4) as pool:
        counted = list(pool.map(lambda one: one.use_sign_in(code), [store, other] * 4))
    clock.now += 60

    assert counted.count(True) == 1
    assert not other.use_sign_in(late)
    other.close()


def test_a_sign_in_code_counts_once_whatever_the_clock_does(store: TokenStore, clock: Clock) -> None:
    """A used one is not forgotten while the clock is a year ahead, and one of the future is no code of an hour."""
    used, unused, start = new_code(SECRET, clock.now + 3600), new_code(SECRET, clock.now + 3600), clock.now
    assert store.use_sign_in(used)
    clock.now += 366 * 86_400
    assert store.use_sign_in(new_code(SECRET, clock.now + 3600))
    clock.now = start

    assert not store.use_sign_in(used)
    clock.now -= 3653 * 86_400
    assert not store.use_sign_in(unused)


def test_a_sign_in_code_has_one_spelling(store: TokenStore, clock: Clock) -> None:
    """No other text that decodes to the bytes of a code counts, neither before nor after the code was used."""
    code = new_code(SECRET, clock.now + 60)
    whole = base64.urlsafe_b64decode(code + "=")
    alphabet = string.ascii_letters + string.digits + "-_+/= \n."
    spellings = {code[:-1] + one for one in alphabet} | {code.replace("-", "+").replace("_", "/")}
    others = [one for one in spellings - {code} if base64.urlsafe_b64decode(one + "==")[:29] == whole]
    assert len(others) >= 3

    assert not any(store.use_sign_in(one) for one in others)
    assert store.use_sign_in(code)
    assert not any(store.use_sign_in(one) for one in [code, *others])


def test_a_made_up_sign_in_code_does_not_count(store: TokenStore, clock: Clock) -> None:
    """Nor one that was made with another secret, or with one letter changed."""
    code = new_code(SECRET, clock.now + 60)
    made_up = ["", "x", "A" * 39, "é" * 39, "-" * 39, code + "A", code[:-1], new_code(bytes(32), clock.now + 60)]
    changed = [code[:at] + ("A" if code[at] != "A" else "B") + code[at + 1 :] for at in range(len(code))]

    assert not any(store.use_sign_in(one) for one in made_up + changed)
    assert store.use_sign_in(code)


def test_no_token_is_in_the_database(tmp_path: Path) -> None:
    """Neither it nor a part of it."""
    store = TokenStore(locate(str(tmp_path / "tokens.sqlite3")), SECRET)
    _, token = store.create(NewToken("laptop"))

    assert token[3:20].encode() not in (tmp_path / "tokens.sqlite3").read_bytes()
    store.close()


def test_another_secret_is_noticed(store: TokenStore, token_database: Location) -> None:
    """Instead of refusing every token."""
    store.create(NewToken("laptop"))
    other = TokenStore(token_database, bytes(32))

    with pytest.raises(SettingsError, match="made with another secret"):
        other.snapshot()
    with pytest.raises(SettingsError, match="made with another secret"):
        other.create(NewToken("x"))
    other.close()
    assert len(store.everything()) == 1


OPENS = """
import sys
from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.store import TokenStore
store = TokenStore(locate(sys.argv[1]), bytes(range(32)))
print(flush=True)
sys.stdin.readline()
store.create(NewToken(sys.argv[2]))
"""


def test_processes_that_open_it_first_at_the_same_moment(
    token_database: Location, postgres: Postgres, store: TokenStore
) -> None:
    """Make one set of tables between them."""
    where = str(token_database.path or token_database.url).replace("+psycopg", "")
    command = [sys.executable, "-c", OPENS, where]
    processes = [
        subprocess.Popen([*command, f"token {number}"], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    failures = [process.communicate()[1] for process in processes]

    assert failures == [""] * 4
    assert len(store.everything()) == 4


# ---- what only a file has


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite file with one access token, made with the secret beside it."""
    path = tmp_path / "tokens.sqlite3"
    location = locate(str(path))
    store = TokenStore(location, open_secret(location, None))
    store.create(NewToken("laptop"))
    store.close()
    return path


def opened(path: Path) -> TokenStore:
    """The store of a file, by the secret beside it."""
    return TokenStore(locate(str(path)), open_secret(locate(str(path)), None))


def test_the_files_are_for_their_owner_only(file: Path) -> None:
    """The database and its secret; a folder that was made for them too."""
    made = file.parent / "new" / "tokens.sqlite3"
    opened(made).snapshot()

    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, made, made.parent)] == [0o600, 0o600, 0o700]
    assert stat.S_IMODE(file.with_name("tokens.sqlite3.secret").stat().st_mode) == 0o600


def test_the_journal_is_no_wal(file: Path) -> None:
    """Even when somebody had made it one, because SQLite before 3.51.3 can lose what is in it."""
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA journal_mode=WAL")
    other.close()
    store = opened(file)
    store.create(NewToken("second"))

    with sqlite3.connect(file) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    other.close()


def remove(file: Path) -> None:
    """It is gone."""
    file.unlink()


def folder(file: Path) -> None:
    """A folder has its name."""
    file.unlink()
    file.mkdir()


def garbage(file: Path) -> None:
    """Something else is in it."""
    file.write_bytes(b"no database " * 1000)


def half(file: Path) -> None:
    """A part is overwritten."""
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def emptied(file: Path) -> None:
    """Nothing is in it."""
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [remove, folder, garbage, half, emptied])
def test_a_file_that_is_harmed_is_unavailable_and_not_made_anew(file: Path, harm: Callable[[Path], None]) -> None:
    """Whoever had it open gets no access tokens from it, and no empty list either."""
    store = opened(file)
    store.snapshot()
    harm(file)

    with pytest.raises(TokenStoreUnavailableError):
        store.snapshot()
    with pytest.raises(TokenStoreUnavailableError):
        store.create(NewToken("second"))
    assert harm is not remove or not file.exists()


def test_a_file_that_is_locked_is_unavailable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the wait is over."""
    monkeypatch.setattr("labeld.auth.database.LOCK_SECONDS", 0.3)
    store = opened(file)
    other = sqlite3.connect(file)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(TokenStoreUnavailableError, match="locked by another program"):
        store.snapshot()
    other.close()
    assert store.snapshot() is not None


def test_a_lost_secret_is_said_and_none_is_made(file: Path) -> None:
    """A new one would make all tokens worthless in silence."""
    secret = file.with_name("tokens.sqlite3.secret")
    secret.unlink()

    with pytest.raises(SettingsError, match=r"tokens\.sqlite3\.secret is missing"):
        opened(file)
    assert not secret.exists()


@pytest.mark.parametrize("content", ["", "x" * 64, "00" * 31, "é"])
def test_a_damaged_secret_is_said(file: Path, content: str) -> None:
    """By its file's name."""
    file.with_name("tokens.sqlite3.secret").write_text(content)

    with pytest.raises(SettingsError, match=r"tokens\.sqlite3\.secret .* is damaged"):
        opened(file)


def test_many_threads_make_one_secret(tmp_path: Path) -> None:
    """Whoever comes first; nothing else is left beside it."""
    location = locate(str(tmp_path / "new" / "tokens.sqlite3"))
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: open_secret(location, None), range(32)))

    assert len(found) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["tokens.sqlite3.secret"]


# ---- where it is


def test_a_url_without_a_secret_is_refused(postgres: Postgres) -> None:
    """All servers of one database need the same."""
    with pytest.raises(SettingsError, match="set LABELD_TOKENS_SECRET"):
        open_secret(locate(postgres.database()), None)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("mysql://host/db", "must be a file, or postgresql://"),
        ("postgresql://", "must be a file, or postgresql://"),
        ("/", "is a folder"),
        ("", "is a folder"),
        ("postgresql://user:secret@host:port/db", "cannot be read"),
    ],
)
def test_a_place_that_cannot_be_one_is_said(place: str, sentence: str) -> None:
    """Without the URL, which may have a password."""
    with pytest.raises(SettingsError, match=sentence) as caught:
        TokenStore(locate(place), SECRET)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "00", "x" * 64, "00" * 33])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, secret: str) -> None:
    """Without saying it."""
    with pytest.raises(SettingsError, match="LABELD_TOKENS_SECRET must be 64 hexadecimal digits"):
        open_secret(locate(str(tmp_path / "tokens")), secret)


def test_a_postgres_that_refuses_is_said(postgres: Postgres) -> None:
    """A database that is not there, and a server that is not."""
    there = postgres.database()
    missing, away = there.rsplit("/", 1)[0] + "/nothing", there.replace(str(postgres.port), "1")
    with pytest.raises(TokenStoreUnavailableError) as caught:
        TokenStore(locate(missing), SECRET).snapshot()
    with pytest.raises(TokenStoreUnavailableError, match="does not answer") as refused:
        TokenStore(locate(away), SECRET).snapshot()

    assert all("nothing" not in str(one.value) and isinstance(one.value, LabeldError) for one in (caught, refused))
