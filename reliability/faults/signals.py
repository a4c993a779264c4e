"""A drain closes every connection at once, also those whose request is being answered."""

from typing import Any

from labeld.server.http_connection import BoundedConnection
from reliability.faults import Patches

REDDENS = "requests lost"


def plant(patches: Patches) -> None:
    """Plants it."""

    def shutdown(self: Any) -> None:
        self._raw.abort()

    patches.replace(BoundedConnection, "shutdown", lambda _: shutdown)
