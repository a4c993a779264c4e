"""Used sign-in codes are forgotten once they have expired, by a clock that may be ahead."""

from typing import Any

from sqlalchemy import delete

from labeld.auth.database import SIGN_INS
from labeld.auth.store import TokenStore
from reliability.faults import Patches

REDDENS = "sign-in codes"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def use_sign_in(self: Any, code: str) -> bool:
            used = bool(real(self, code))
            with self._database.writing() as connection:
                connection.execute(delete(SIGN_INS).where(SIGN_INS.c.expires <= self._now()))
            return used

        return use_sign_in

    patches.replace(TokenStore, "use_sign_in", faulty)
