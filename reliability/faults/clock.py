"""A token's expiry is not looked at."""

from typing import Any

from labeld.auth.records import AccessToken
from reliability.faults import Patches

REDDENS = "expired"


def plant(patches: Patches) -> None:
    """Plants it."""

    def live(self: Any, _: float) -> bool:
        return self.revoked is None

    patches.replace(AccessToken, "live", lambda _: live)
