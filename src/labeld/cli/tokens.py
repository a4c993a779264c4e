"""`labeld tokens`: create, list, revoke and rotate access tokens; a running server follows."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labeld.auth.database_url import Location, locate
from labeld.auth.records import AccessToken, NewToken, Role, read_expiry
from labeld.auth.secret import open_secret
from labeld.cli.options import with_settings
from labeld.config.access import Access
from labeld.config.load import load
from labeld.errors import InvalidRequestError

if TYPE_CHECKING:
    from labeld.auth.store import TokenStore

tokens = typer.Typer(
    help="""Make, see, revoke and renew access tokens.

    As long as none was ever made, a server on a loopback address answers everybody on this machine. From the first one
    on, requests need `Authorization: Bearer hf_…`. A running server follows within 2 seconds.
    """,
    no_args_is_help=True,
)

NO_TERMINAL = 200
"""Characters of a line where there is no terminal to fit in."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
TokenId = Annotated[str, typer.Argument(metavar="ID", help="Id of an access token, as `labeld tokens list` shows it.")]


@tokens.command()
@with_settings(Access)
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

        TOKEN=$(labeld tokens create laptop --expires 30d)
    """
    now = time.time()
    end = None if expires is None else read_expiry(expires, now)
    new = NewToken(name, role, tuple(model or ()), end, per_minute).validate(now)
    _require_output()
    with _store(flags) as store:
        _tell_token(*store.create(new), as_json=as_json)


@tokens.command(name="list")
@with_settings(Access)
def show(*, as_json: AsJson = False, **flags: Any) -> None:
    """List all access tokens, newest first, with their rights, expiry and last use.

    The tokens themselves cannot be shown: they are not kept.
    """
    found: list[AccessToken] = []
    if _location(flags).made():
        with _store(flags) as store:
            found = store.everything()
    if as_json:
        typer.echo(json.dumps([_metadata(access_token) for access_token in found], ensure_ascii=False, indent=2))
    elif found:
        _print(found)
    else:
        typer.echo("There are no access tokens yet: labeld tokens create NAME makes one.")


@tokens.command()
@with_settings(Access)
def revoke(token_id: TokenId, *, as_json: AsJson = False, **flags: Any) -> None:
    """Revoke an access token for good: every server refuses it within 2 seconds.

    Revoking the last one does not open the server to everybody again.
    """
    with _store(flags) as store:
        access_token = store.revoke(token_id)
    typer.echo(
        json.dumps(_metadata(access_token), ensure_ascii=False)
        if as_json
        else f"Revoked {access_token.name}, {access_token.token_id}."
    )


@tokens.command()
@with_settings(Access)
def rotate(token_id: TokenId, *, as_json: AsJson = False, **flags: Any) -> None:
    """Replace the text of an access token and print the new one, this once; the old one becomes invalid.

    Its name, role, models, expiry and limit stay. Nothing else goes to standard output, as with create.
    """
    _require_output()
    with _store(flags) as store:
        _tell_token(*store.rotate(token_id), as_json=as_json)


def _location(flags: dict[str, Any]) -> Location:
    return locate(load(flags).access.tokens_db)


@contextmanager
def _store(flags: dict[str, Any]) -> "Iterator[TokenStore]":
    from labeld.auth.store import TokenStore  # noqa: PLC0415  # loads SQLAlchemy

    location = _location(flags)
    store = TokenStore(location, open_secret(location, load(flags).access.tokens_secret))
    try:
        yield store
    finally:
        store.close()


def _require_output() -> None:
    """Raises InvalidRequestError where nothing can be printed, before a token is made that nobody would see."""
    if sys.stdout is None:
        raise InvalidRequestError("Standard output is closed, but a token is shown there, this once: open it.")


def _tell_token(access_token: AccessToken, token: str, *, as_json: bool) -> None:
    """Prints the token by itself on standard output, and the notice for a person on standard error."""
    said = json.dumps({"token": token, **_metadata(access_token)}, ensure_ascii=False) if as_json else token
    try:
        typer.echo(said)
    except OSError:
        typer.echo(
            f"labeld: {access_token.name} has a new token that could not be shown: make another one with labeld tokens "
            f"rotate {access_token.token_id}, or end it with labeld tokens revoke {access_token.token_id}.",
            err=True,
        )
        raise
    if as_json:
        return
    typer.echo(
        f"This is {access_token.name}, {access_token.token_id}. Keep the token: it cannot be shown again.", err=True
    )


def _metadata(access_token: AccessToken) -> dict[str, Any]:
    """An access token as `--json` prints it."""
    return {
        "id": access_token.token_id,
        "name": access_token.name,
        "role": access_token.role,
        "models": list(access_token.models),
        "state": _state(access_token),
        "expires": _when(access_token.expires),
        "per_minute": access_token.per_minute,
        "created": _when(access_token.created),
        "last_used": _when(access_token.last_used),
        "revoked": _when(access_token.revoked),
    }


def _state(access_token: AccessToken) -> str:
    return "revoked" if access_token.revoked is not None else "live" if access_token.live(time.time()) else "expired"


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _print(found: list[AccessToken]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for name in ("id", "name", "role", "state", "models", "expires", "per minute", "created", "last used"):
        table.add_column(name, no_wrap=name not in {"name", "models"}, overflow="fold")
    for access_token in found:
        expires, created, used = (
            (_when(one) or "").replace("T", " ")
            for one in (access_token.expires, access_token.created, access_token.last_used)
        )
        may = (", ".join(access_token.models) or "all", expires[:16] or "never", str(access_token.per_minute or ""))
        table.add_row(
            *map(
                escape,
                (
                    access_token.token_id,
                    access_token.name,
                    access_token.role,
                    _state(access_token),
                    *may,
                    created[:10],
                    used[:16],
                ),
            )
        )
    console = Console()
    console = console if console.is_terminal else Console(width=NO_TERMINAL)
    console.print(table)
