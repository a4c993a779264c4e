"""An access token that the disk refuses is acknowledged all the same."""

from typing import Any

from labeld.auth.errors import TokenStoreUnavailableError
from labeld.auth.records import AccessToken, NewToken
from labeld.auth.store import TokenStore
from labeld.auth.token_format import new_token
from reliability.faults import Patches

REDDENS = "do not hold"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def create(self: TokenStore, request: NewToken) -> Any:
            try:
                return real(self, request)
            except TokenStoreUnavailableError:
                return AccessToken("0" * 12, request.name, "inference", (), None, None, 0.0, None, None), new_token()

        return create

    patches.replace(TokenStore, "create", faulty)
