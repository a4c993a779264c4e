"""The secret with which access tokens are hashed, so that a stolen database without it is useless."""

import os
import re
import secrets
from pathlib import Path

from labeld.auth.database_url import Location
from labeld.auth.errors import TokenStoreUnavailableError
from labeld.errors import SettingsError

BYTES = 32
"""Length of a secret."""
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{64}")


def open_secret(location: Location, given: str | None) -> bytes:
    """The secret, 32 bytes: from the setting tokens_secret, else from the file beside the SQLite file, made if missing.

    Raises SettingsError when it is malformed, or missing beside an existing database, and TokenStoreUnavailableError
    when the file cannot be read or written.
    """
    if given is not None:
        if not _HEXADECIMAL.fullmatch(given.strip()):
            raise SettingsError("LABELD_TOKENS_SECRET must be 64 hexadecimal digits, as `openssl rand -hex 32` prints.")
        return bytes.fromhex(given.strip())
    if location.path is None:
        raise SettingsError(
            "tokens_db names PostgreSQL, which needs a secret that all its servers share: set LABELD_TOKENS_SECRET to "
            "64 hexadecimal digits, as `openssl rand -hex 32` prints."
        )
    file = location.path.with_name(f"{location.path.name}.secret")
    try:
        if not file.exists():
            if location.path.exists() and location.path.stat().st_size:
                raise SettingsError(
                    f"The file {file.name} is missing beside the access tokens, which are valid only with it: bring it "
                    "back, or move the access tokens away to begin anew."
                )
            _make(file)
        held = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        why = f"cannot be used, because its secret, the file {file.name} beside it, cannot be read or made"
        raise TokenStoreUnavailableError(f"{why}: {error.strerror}") from error
    if not _HEXADECIMAL.fullmatch(held):
        raise SettingsError(
            f"The file {file.name} beside the access tokens is damaged: bring back 64 hexadecimal digits."
        )
    return bytes.fromhex(held)


def _make(file: Path) -> None:
    """Writes a new secret, unless another process was faster; the file gets its name only when it is complete."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(f"{secrets.token_hex(BYTES)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            file.hardlink_to(unfinished)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
