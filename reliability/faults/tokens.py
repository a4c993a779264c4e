"""A revoke is acknowledged before it is in the database."""

import threading
from typing import Any

from labeld.auth.store import TokenStore
from reliability.faults import Patches

REDDENS = "do not hold"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def revoke(self: Any, token_id: str) -> None:
            threading.Timer(0.1, real, (self, token_id)).start()

        return revoke

    patches.replace(TokenStore, "revoke", faulty)
