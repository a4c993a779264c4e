"""Normalisation of a request's path: the prefix of a reverse proxy, and doubled slashes."""

import re
from contextvars import ContextVar

from starlette.types import Scope

from labeld.config.access import Sites
from labeld.errors import SettingsError

PREFIX: ContextVar[str] = ContextVar("path_prefix", default="")
"""The path at which a reverse proxy serves the server that answers the current request (setting root_path); its pages
put it in front of every path of their own."""

_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


class Paths:
    """Normalises paths of requests."""

    def __init__(self, sites: Sites) -> None:
        """Raises SettingsError when root_path is no path."""
        if not _ROOT_PATH.fullmatch(sites.root_path):
            raise SettingsError(f"root_path is {sites.root_path!r}, but must be a path like /labeld, or nothing.")
        self.prefix = sites.root_path

    def prepare(self, scope: Scope) -> None:
        """Sets the path, and the root path that ASGI has for a prefix, of a request that begins.

        Several slashes in front of a route are one, as clients write them whose endpoint ends with a slash. Only
        slashes that were sent as such count: `%2F` is a part of a name, and finds no route here. Those within the path
        stay, so that no two spellings of an id become one after somebody in front has looked at it.
        """
        path: str = scope["path"]
        if path.startswith("//"):
            path = _single_slash(path, scope["raw_path"])
        if self.prefix:
            rest = path.removeprefix(self.prefix)
            if rest != path and (not rest or rest.startswith("/")):
                path = _single_slash(rest, scope["raw_path"].lstrip(b"/")[len(self.prefix) - 1 :]) or "/"
            path = self.prefix + path
            scope["root_path"] = self.prefix
            PREFIX.set(self.prefix)
        scope["path"] = path


def _single_slash(path: str, raw: bytes) -> str:
    return path[max(0, len(raw) - len(raw.lstrip(b"/")) - 1) :]
