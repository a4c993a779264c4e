"""The path of a request, as the routes want it."""

from starlette.types import Scope


def join_slashes(scope: Scope) -> None:
    """Makes one slash of several in front of the path, as clients write them whose endpoint ends with a slash.

    Only slashes that were sent as such count: `%2F` is a part of a name, and finds no route here. Those within the path
    stay, so that no two spellings of an id become one after somebody in front has looked at it.
    """
    if scope["path"].startswith("//"):
        raw: bytes = scope["raw_path"]
        scope["path"] = scope["path"][len(raw) - len(raw.lstrip(b"/")) - 1 :]
