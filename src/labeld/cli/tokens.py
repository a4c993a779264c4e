"""`labeld keys`: access tokens on the command line, made, seen, revoked and renewed; a running server follows."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labeld.auth.database_url import Location, locate
from labeld.auth.records import Key, Role, Wanted, read_expiry
from labeld.auth.secret import open_secret
from labeld.cli.options import with_settings
from labeld.config import settings
from labeld.config.load import load

if TYPE_CHECKING:
    from labeld.auth.store import KeyStore

keys = typer.Typer(
    help="""Make, see, revoke and renew access tokens.

    As long as none was ever made, a server on a loopback address answers everybody on this machine. From the first one
    on, requests need `Authorization: Bearer hf_…`. A running server follows within 2 seconds.
    """,
    no_args_is_help=True,
)

NO_TERMINAL = 200
"""Characters of a line where there is no terminal to fit in."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of an access token, as `labeld keys list` shows it.")]


@keys.command()
@with_settings(settings.Access)
def create(  # noqa: PLR0913  # one per flag
    name: Annotated[str, typer.Argument(help="What it is for, such as who uses it; 1 to 100 characters.")],
    *,
    role: Annotated[
        Role, typer.Option(help="inference: classify. admin: also see and change the settings page.")
    ] = "inference",
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model that it may use, org/name, or org/* for all of org; may be repeated. Default: all."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it ends: in 30d, 12h (m, h, d, w), or on a date such as 2027-01-31. Default: never."),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(help="Requests per minute; more are refused with 429. Default: as many as the server takes."),
    ] = None,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Make an access token and print it, this once: only its hash is kept.

    Nothing else goes to standard output, so this keeps it:

        TOKEN=$(labeld keys create laptop --expires 30d)
    """
    now = time.time()
    end = None if expires is None else read_expiry(expires, now)
    wanted = Wanted(name, role, tuple(model or ()), end, per_minute).checked(now)
    with _store(flags) as store:
        _tell_token(*store.create(wanted), as_json=as_json)


@keys.command(name="list")
@with_settings(settings.Access)
def show(*, as_json: AsJson = False, **flags: Any) -> None:
    """Show all access tokens, the newest first: what each may do, until when, and when it was last used.

    The tokens themselves cannot be shown: they are not kept.
    """
    found: list[Key] = []
    if _location(flags).made():
        with _store(flags) as store:
            found = store.everything()
    if as_json:
        typer.echo(json.dumps([_facts(key) for key in found], ensure_ascii=False, indent=2))
    elif found:
        _print(found)
    else:
        typer.echo("There are no access tokens yet: labeld keys create NAME makes one.")


@keys.command()
@with_settings(settings.Access)
def revoke(key_id: KeyId, *, as_json: AsJson = False, **flags: Any) -> None:
    """End an access token, for good: every server refuses it within 2 seconds.

    Revoking the last one does not open the server to everybody again.
    """
    with _store(flags) as store:
        key = store.revoke(key_id)
    typer.echo(json.dumps(_facts(key), ensure_ascii=False) if as_json else f"Revoked {key.name}, {key.key_id}.")


@keys.command()
@with_settings(settings.Access)
def rotate(key_id: KeyId, *, as_json: AsJson = False, **flags: Any) -> None:
    """Give an access token new characters and print them, this once; the old ones count no longer.

    Its name, role, models, expiry and limit stay. Nothing else goes to standard output, as with create.
    """
    with _store(flags) as store:
        _tell_token(*store.rotate(key_id), as_json=as_json)


def _location(flags: dict[str, Any]) -> Location:
    return locate(load(flags).access.keys)


@contextmanager
def _store(flags: dict[str, Any]) -> "Iterator[KeyStore]":
    from labeld.auth.store import KeyStore  # noqa: PLC0415  # loads SQLAlchemy

    location = _location(flags)
    store = KeyStore(location, open_secret(location, load(flags).access.keys_secret))
    try:
        yield store
    finally:
        store.close()


def _tell_token(key: Key, token: str, *, as_json: bool) -> None:
    """The token alone on standard output; what a person should know goes to the other one."""
    if as_json:
        typer.echo(json.dumps({"token": token, **_facts(key)}, ensure_ascii=False))
        return
    typer.echo(token)
    typer.echo(f"This is {key.name}, {key.key_id}. Keep the token: it cannot be shown again.", err=True)


def _facts(key: Key) -> dict[str, Any]:
    """What `--json` prints of a key."""
    return {
        "id": key.key_id,
        "name": key.name,
        "role": key.role,
        "models": list(key.models),
        "state": _state(key),
        "expires": _when(key.expires),
        "per_minute": key.per_minute,
        "created": _when(key.created),
        "last_used": _when(key.last_used),
        "revoked": _when(key.revoked),
    }


def _state(key: Key) -> str:
    return "revoked" if key.revoked is not None else "live" if key.live(time.time()) else "expired"


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _print(found: list[Key]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for name in ("id", "name", "role", "state", "models", "expires", "per minute", "created", "last used"):
        table.add_column(name, no_wrap=name not in {"name", "models"}, overflow="fold")
    for key in found:
        expires, created, used = (
            (_when(one) or "").replace("T", " ") for one in (key.expires, key.created, key.last_used)
        )
        may = (", ".join(key.models) or "all", expires[:16] or "never", str(key.per_minute or ""))
        table.add_row(*map(escape, (key.key_id, key.name, key.role, _state(key), *may, created[:10], used[:16])))
    console = Console()
    console = console if console.is_terminal else Console(width=NO_TERMINAL)
    console.print(table)
