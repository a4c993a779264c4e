"""The token for the server that labeld is compared with: a secret, from a file or the environment."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from labeld.errors import SettingsError

TOKEN_VARIABLE = "LABELD_AGAINST_TOKEN"  # noqa: S105  # its name


def inherited_environment(left_out: Iterable[str]) -> dict[str, str]:
    """The environment of this process without these variables and without the token: for one that it starts."""
    without = {TOKEN_VARIABLE, *left_out}
    return {name: value for name, value in os.environ.items() if name not in without}


def against_token(file: Path | None, environ: Mapping[str, str] | None = None) -> str | None:
    """The token in this file, else in the environment; None where neither has one.

    Raises SettingsError where the file cannot be read, or the token cannot be one.
    """
    environ = os.environ if environ is None else environ
    if file is None:
        source, token = TOKEN_VARIABLE, environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            return None
    else:
        source = "The file of --against-token-file"
        try:
            token = file.expanduser().read_text(encoding="ascii").strip()
        except (OSError, RuntimeError):
            raise SettingsError(f"{source} cannot be read.") from None
        except UnicodeDecodeError:
            token = ""
    if not re.fullmatch(r"[!-~]{1,8192}", token):
        raise SettingsError(f"{source} has no token, or one with characters that no token has.")
    return token
