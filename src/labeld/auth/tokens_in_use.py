"""Whether access tokens are in use at all, which decides whether a server may start where others reach it."""

from labeld.auth.database_url import locate
from labeld.auth.errors import TokenStoreUnavailableError
from labeld.auth.secret import open_secret


def any_made(tokens_db: str | None, tokens_secret: str | None) -> bool:
    """Whether an access token was ever made; also when the database is away, because then nobody is let in.

    Takes the two settings; raises SettingsError naming the one that is wrong.
    """
    location = locate(tokens_db)
    if not location.made():
        return False
    from labeld.auth.store import TokenStore  # noqa: PLC0415  # loads SQLAlchemy

    store = TokenStore(location, open_secret(location, tokens_secret))
    try:
        snapshot = store.snapshot()
    except TokenStoreUnavailableError:
        return True
    finally:
        store.close()
    return snapshot is None or snapshot.any_made
