"""`labeld tokens` makes, shows, revokes and renews access tokens: within this process, and once as a real command."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labeld.auth.database_url import locate
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore, digest_of
from labeld.auth.token_format import well_formed
from tests.support.command_line import labeld
from tests.support.postgres_process import Postgres
from tests.support.server_process import LABELD

SECRET = "0f" * 32


class Commands:
    """`labeld tokens` on one database."""

    def __init__(self, database: str, **variables: str) -> None:
        self.database = database
        self.variables = {"LABELD_TOKENS_DB": database, "COLUMNS": "120", **variables}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One command, however it ends."""
        return labeld("tokens", *arguments, **self.variables)

    def says(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, *arguments: str) -> str:
        """The one sentence of a command that must fail."""
        done = self.run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"labeld: [^\n]+\.\n", done.stderr), done.stderr
        assert len(done.stderr) < 300
        return done.stderr.removeprefix("labeld: ").strip()

    def listed(self) -> list[dict[str, Any]]:
        """The parsed output of `list --json`."""
        found: list[dict[str, Any]] = json.loads(self.says("list", "--json"))
        return found


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """On a file that is not there yet."""
    return Commands(str(tmp_path / "new" / "tokens.sqlite3"))


def counts(commands: Commands, token: str) -> bool:
    """Whether a server would know the token."""
    location = locate(commands.database)
    secret = open_secret(location, None)
    store = TokenStore(location, secret)
    snapshot = store.snapshot()
    store.close()
    return snapshot is not None and digest_of(secret, token) in snapshot.access_tokens


def test_create_prints_the_token_and_nothing_else(commands: Commands) -> None:
    """On standard output, so that a shell can keep it; it counts, and is never shown again."""
    done = commands.run("create", "laptop")
    token = done.stdout.removesuffix("\n")
    (made,) = commands.listed()

    assert well_formed(token)
    assert token not in done.stderr
    assert f"This is laptop, {made['id']}. Keep the token" in done.stderr
    assert counts(commands, token)
    assert token[3:] not in commands.says("list") + commands.says("list", "--json")


def test_a_process_does_what_its_entry_does(commands: Commands) -> None:
    """The installed command makes a token and shows it, and an error is one sentence with exit code 1."""

    def process(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command, environment = [LABELD, "tokens", *arguments], {**os.environ, **commands.variables}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    made, shown, refused = process("create", "laptop"), process("list", "--json"), process("create", "laptop")
    again = commands.run("create", "laptop")

    assert counts(commands, made.stdout.removesuffix("\n"))
    assert json.loads(shown.stdout) == commands.listed()
    assert (refused.returncode, refused.stdout, refused.stderr) == (again.returncode, again.stdout, again.stderr)
    assert refused.stderr.startswith("labeld: ")


def test_create_keeps_what_was_asked_for(commands: Commands) -> None:
    """Role, models, expiry and limit, as --json tells them."""
    wanted = ["--role", "admin", "--model", "org/*", "--model", "org/name", "--expires", "30d", "--per-minute", "500"]
    payload = json.loads(commands.says("create", "laptop", *wanted, "--json"))
    token = payload.pop("token")

    assert counts(commands, token)
    assert commands.listed() == [payload]
    assert (payload["role"], payload["models"], payload["per_minute"]) == ("admin", ["org/*", "org/name"], 500)
    assert (payload["state"], payload["last_used"], payload["revoked"]) == ("live", None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", payload["expires"])


def test_revoke_ends_a_token(commands: Commands) -> None:
    """Its row stays, so that one can see what there was."""
    token = commands.says("create", "laptop").strip()
    token_id = commands.listed()[0]["id"]

    assert commands.says("revoke", token_id) == f"Revoked laptop, {token_id}.\n"
    assert not counts(commands, token)
    assert [one["state"] for one in commands.listed()] == ["revoked"]
    assert json.loads(commands.says("revoke", token_id, "--json")) == commands.listed()[0]


def test_rotate_gives_new_characters(commands: Commands) -> None:
    """The old ones end at the same moment."""
    old = commands.says("create", "laptop", "--per-minute", "7").strip()
    before = commands.listed()[0]
    new = commands.says("rotate", before["id"]).strip()
    newer = json.loads(commands.says("rotate", before["id"], "--json"))["token"]

    assert [counts(commands, token) for token in (old, new, newer)] == [False, False, True]
    assert len(commands.listed()) == 1
    assert commands.listed()[0] | {"created": before["created"]} == before


def test_list_is_a_table_for_people(commands: Commands) -> None:
    """With names as they are, and a sentence when there are none."""
    assert commands.says("list") == "There are no access tokens yet: labeld tokens create NAME makes one.\n"
    assert commands.listed() == []
    assert not Path(commands.database).exists()

    commands.says("create", "[bold]my laptop[/bold]", "--model", "org/name", "--expires", "2099-01-31")
    shown = commands.says("list")
    assert all(
        word in shown for word in ("[bold]my laptop[/bold]", "org/name", "2099-01-31 00:00", "live", "inference")
    )


REFUSED = [
    (["create", ""], "The name of an access token must be 1 to 100 printable characters."),
    (["create", "x" * 100_000], "The name of an access token must be 1 to 100 printable characters."),
    (["create", "a\x1b[31mb"], "The name of an access token must be 1 to 100 printable characters."),
    (["create", "a\nb"], "The name of an access token must be 1 to 100 printable characters."),
    (["create", "x", "--expires", "2001-01-01"], "The expiry of an access token must be in the future."),
    (["create", "x", "--expires", "0d"], "The expiry of an access token must be in the future."),
    (["create", "x", "--expires", "soon"], "must be a duration like 30d or 12h"),
    (["create", "x", "--expires", "999999w"], "must be a duration like 30d or 12h"),
    (["create", "x", "--expires", "30d" * 1000], "must be a duration like 30d or 12h"),
    (["create", "x", "--per-minute", "0"], "The limit of an access token must be 1 to 1000000 requests per minute"),
    (["create", "x", "--model", "../../etc/passwd"], "Model 1 of the access token is neither an id like org/name"),
    (["revoke", "laptop"], "There is no access token with this id: `labeld tokens list` shows the ids."),
    (["revoke", "\x1b[31m"], "There is no access token with this id: `labeld tokens list` shows the ids."),
    (["rotate", "0" * 12], "There is no access token with this id: `labeld tokens list` shows the ids."),
]


def test_what_cannot_be_is_refused_with_one_sentence(commands: Commands) -> None:
    """Exit code 1, and nothing is changed."""
    commands.says("create", "laptop")
    before = commands.listed()
    for arguments, sentence in REFUSED:
        assert sentence in commands.refuses(*arguments)
    assert "the name laptop already: take another name, or revoke that one." in commands.refuses("create", "laptop")

    assert commands.listed() == before


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("12h", 43200), ("30d", 2_592_000), ("2w", 1_209_600), (" 1d ", 86400)]
)
def test_an_expiry_is_a_duration(text: str, seconds: int) -> None:
    """From now on."""
    from labeld.auth.records import read_expiry

    assert read_expiry(text, 1_800_000_000.0) == 1_800_000_000.0 + seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-31", 1_801_353_600.0),
        ("2027-01-31T18:00", 1_801_418_400.0),
        ("2027-01-31T18:00+01:00", 1_801_414_800.0),
        ("2027-01-31 18:00:30Z", 1_801_418_430.0),
    ],
)
def test_an_expiry_is_a_date(text: str, expected: float) -> None:
    """In UTC unless it says otherwise."""
    from labeld.auth.records import read_expiry

    assert read_expiry(text, 1_800_000_000.0) == expected


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path, commands: Commands) -> None:
    """A folder, a file that is no database, a folder that is a file, a URL of something else, a lost secret."""
    (tmp_path / "text").write_text("no database " * 1000)
    (tmp_path / "text.secret").write_text(SECRET)
    assert "tokens_db is a folder" in commands.refuses("list", "--tokens-db", str(tmp_path))
    assert "tokens_db is a device or a pipe" in commands.refuses("list", "--tokens-db", "/dev/null")
    assert "is no SQLite database" in commands.refuses("list", "--tokens-db", str(tmp_path / "text"))
    assert "cannot be" in commands.refuses("create", "x", "--tokens-db", str(tmp_path / "text" / "keys"))
    assert "must be a file, or postgresql://" in commands.refuses(
        "list", "--tokens-db", "mysql://user:password@host/db"
    )
    commands.says("create", "laptop")
    Path(f"{commands.database}.secret").unlink()
    assert "tokens.sqlite3.secret is missing" in commands.refuses("create", "x")
    assert "must be 64 hexadecimal digits" in Commands(commands.database, LABELD_TOKENS_SECRET="short").refuses("list")
    assert "made with another secret" in Commands(commands.database, LABELD_TOKENS_SECRET=SECRET).refuses("list")


@pytest.mark.parametrize("closes", [True, False])
def test_a_token_that_cannot_be_shown_is_said_to_be_there(commands: Commands, closes: bool) -> None:
    """With a closed standard output none is made; on a full disk the sentence says how to get or end it."""
    place = ("--tokens-db", str(commands.database))
    redirection = ">&-" if closes else ">/dev/full"
    script = f'exec "$0" -m labeld tokens create laptop "$@" {redirection}'
    done = subprocess.run(["sh", "-c", script, sys.executable, *place], capture_output=True, text=True, check=False)
    there = "laptop" in commands.says("list")

    assert (1, not closes) == (done.returncode, there)
    expected = (
        "Standard output is closed" if closes else "could not be shown: make another one with labeld tokens rotate"
    )
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_postgres_keeps_tokens_too(postgres: Postgres) -> None:
    """With a secret that all servers share, and not without."""
    url = postgres.database()
    commands = Commands(url, LABELD_TOKENS_SECRET=SECRET)
    token = commands.says("create", "laptop").strip()

    assert well_formed(token)
    assert [one["name"] for one in commands.listed()] == ["laptop"]
    assert "set LABELD_TOKENS_SECRET to 64 hexadecimal digits" in Commands(url).refuses("list")
    away = Commands(url.replace(str(postgres.port), "1"), LABELD_TOKENS_SECRET=SECRET)
    assert away.refuses("list") == "The database of access tokens does not answer: try again in a moment."


def test_postgres_without_its_package_says_what_to_install(tmp_path: Path) -> None:
    """As it is after `pip install labeld`."""
    script = """
import sys
sys.modules["psycopg"] = None
from labeld.cli.main import run
sys.argv = ["labeld", "tokens", "list", "--tokens-db", "postgresql://user:password@host/db"]
run()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.endswith("which needs psycopg: pip install 'labeld[postgres]'.\n")
    assert "password" not in done.stderr


def test_help_teaches(commands: Commands) -> None:
    """The help lists the commands, and says how to keep a token and when tokens become required."""
    every = commands.says("--help")
    one = commands.says("create", "--help")

    assert all(name in every for name in ("create", "list", "revoke", "rotate", "Authorization: Bearer"))
    assert "TOKEN=$(labeld tokens create laptop" in one
    assert all(
        name in one for name in ("--role", "--model", "--expires", "--per-minute", "LABELD_TOKENS_DB", "30d", "org/*")
    )
