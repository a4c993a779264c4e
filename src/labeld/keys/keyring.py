"""The access tokens that a server knows."""

from labeld.access_errors import UnknownKeyError
from labeld.keys.records import Key, Role


class Keyring:
    """The live keys, in memory, refreshed from their store every second. For one event loop."""

    def __init__(self) -> None:
        self.empty = True
        """Whether no key was ever made, also none that is revoked or expired by now.

        Only then may a server be open to whoever reaches it: revoking the last key must not open it again.
        """

    async def open(self) -> None:
        """Reads the keys for the first time, and goes on doing so. Raises SettingsError, or KeyStoreUnavailableError."""

    async def close(self) -> None:
        """Writes down what was used last, and stops."""

    def find(self, token: str) -> Key:
        """The live key of this token; a few microseconds.

        Raises UnknownKeyError alike for what is malformed, unknown, revoked or expired, upon which `find_new` may still
        know it; KeyStoreUnavailableError when the store has been away for longer than a minute.
        """
        raise UnknownKeyError

    async def find_new(self, token: str) -> Key:
        """The live key of a token that `find` does not know, if it was made elsewhere a moment ago.

        Raises UnknownKeyError, or KeyStoreUnavailableError when nobody can tell.
        """
        raise UnknownKeyError

    def admit(self, key: Key) -> None:
        """Counts a request; raises RateLimitedError when the key has had its requests of this minute."""

    def used(self, key: Key) -> None:
        """Notes that the key was used just now."""

    async def create(
        self,
        name: str,
        role: Role = "inference",
        models: tuple[str, ...] = (),
        expires: float | None = None,
        per_minute: int | None = None,
    ) -> tuple[Key, str]:
        """A new key and its token, which is never seen again. Raises KeyRequestError, or KeyStoreUnavailableError."""
        raise NotImplementedError

    async def revoke(self, key_id: str) -> Key:
        """The key, which counts no longer. Raises KeyNotFoundError, or KeyStoreUnavailableError."""
        raise NotImplementedError

    async def rotate(self, key_id: str) -> tuple[Key, str]:
        """The key with a new token, of which the old one counts no longer. Raises as `create` and `revoke` do."""
        raise NotImplementedError

    async def everything(self) -> list[Key]:
        """All keys, the newest first, also those that count no longer. Raises KeyStoreUnavailableError."""
        raise NotImplementedError

    async def new_sign_in(self, seconds: float) -> str:
        """A code with which somebody may sign in, once, within so many seconds."""
        raise NotImplementedError

    async def use_sign_in(self, code: str) -> bool:
        """Whether the code is one of ours that nobody has used yet; now it is used. Raises KeyStoreUnavailableError."""
        raise NotImplementedError
