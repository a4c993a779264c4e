"""An outage of the database makes the server forget every access token."""

from typing import Any

from labeld.auth.authenticator import Authenticator
from reliability.faults import Patches

REDDENS = "refused"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def mark_unavailable(self: Any, why: str) -> None:
            real(self, why)
            self._known = {}

        return mark_unavailable

    patches.replace(Authenticator, "_mark_unavailable", faulty)
