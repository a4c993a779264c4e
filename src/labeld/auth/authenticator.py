"""Validation of access tokens from memory, so that no request waits for the database; refreshed every second."""

import asyncio
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from labeld.auth import sign_in_codes
from labeld.auth.database_url import Location
from labeld.auth.errors import TokenStoreUnavailableError, UnknownTokenError
from labeld.auth.rate_limit import Limits, SharedCounts
from labeld.auth.records import AccessToken, NewToken, Role, Snapshot
from labeld.auth.secret import open_secret
from labeld.auth.token_format import LENGTH, well_formed
from labeld.errors import SettingsError

if TYPE_CHECKING:
    from labeld.auth.store import TokenStore

REFRESH_SECONDS = 1.0
"""Seconds between two reads of the store: a token that was revoked elsewhere is refused here within two seconds."""
READ_SECONDS = 3.0
"""Seconds for one read of the store, after which it counts as unavailable."""
LOOKUP_INTERVAL = 0.1
"""Seconds between two reads for unknown tokens, at least, however many are sent."""
TRUSTED_SECONDS = 60.0
"""Seconds for which known tokens stay valid while the store is unavailable."""
WRITE_SECONDS = 30.0
"""Seconds between two writes of the times at which tokens were used."""

_NOBODY = (bytes(32), AccessToken("", "", "inference", (), 0.0, None, 0.0, None, 0.0))

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Authenticator:
    """The access tokens of one store. Belongs to one event loop; the store is used on threads.

    NOTE: the store is imported, and SQLAlchemy with it (18 MB), once there is a database, so that a server without
    access tokens stays smaller.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the clocks are the tests'
        self,
        location: Location,
        secret: str | None,
        workers: int = 1,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        shared: SharedCounts | None = None,
    ) -> None:
        """`secret` is the setting's value; `workers` processes share limits per minute, or who has these counts."""
        self._location, self._given_secret, self._limits = location, secret, Limits(workers, ticks, shared)
        self._now, self._ticks = now, ticks
        self.empty = False
        """True once it is certain that no access token was ever made, revoked and expired ones included.

        Only then may a server be open to everybody: revoking the last token must not open it again.
        """
        self._secret = secrets.token_bytes(32)  # replaced when the store is opened
        self._store: TokenStore | None = None
        self._opening = threading.Lock()
        self._version: str | None = None
        self._known: dict[bytes, tuple[bytes, AccessToken]] = {}
        self._by_id: dict[str, AccessToken] = {}
        self._used: dict[str, float] = {}
        self._written = self._ticks()
        self._outage: str | None = ""
        """The reason for which the last read of the store failed; None after a success, "" before the first read."""
        self._trusted_until = -1.0
        self._one_at_a_time = asyncio.Lock()
        self._pending_read: asyncio.Future[Snapshot | None] | None = None
        """A read of the store that did not end in time."""
        self._next_lookup: asyncio.Task[None] | None = None
        self._read_at = -LOOKUP_INTERVAL
        self._refresh_task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "tokens")

    async def open(self) -> None:
        """Reads the store and begins to refresh; an unavailable store is read again later. Raises SettingsError."""
        if self._location.path is None or self._given_secret is not None:
            self._secret = open_secret(self._location, self._given_secret)
        await self.refresh(at_start=True)
        self._refresh_task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Writes the last times of use, and stops."""
        if self._refresh_task is not None:
            self._refresh_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._refresh_task
        if self._outage is None:
            await self._write_used()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    # ---- for requests
    def find(self, token: str) -> AccessToken:
        """The valid access token with this text; takes a few microseconds.

        Raises UnknownTokenError when it is malformed, unknown, revoked or expired, after which `find_new` may
        find it; TokenStoreUnavailableError when the store has been unavailable for longer than a minute.
        """
        if len(token) != LENGTH or not token.isascii():
            raise UnknownTokenError
        digest = hmac.digest(self._secret, token.encode(), "sha256")
        # NOTE: the lookup is by HMAC, no part of which can be chosen without the secret, and every token takes the same
        # steps: the time taken reveals nothing
        known, access_token = self._known.get(digest, _NOBODY)
        if not (hmac.compare_digest(known, digest) and access_token.live(self._now())):
            raise UnknownTokenError
        if self._ticks() > self._trusted_until:
            raise TokenStoreUnavailableError
        return access_token

    async def find_new(self, token: str) -> AccessToken:
        """The valid access token with this text, also if it was made elsewhere a moment ago, unlike `find`.

        Raises UnknownTokenError, or TokenStoreUnavailableError when the store cannot be read. Takes up to 0.1 s for a
        well-formed token, and none for other text.
        """
        if not well_formed(token):
            raise UnknownTokenError
        if self._outage is None:
            await self._look_up()
        if self._outage is not None:
            raise TokenStoreUnavailableError
        return self.find(token)

    def by_id(self, token_id: str) -> AccessToken | None:
        """The valid access token with this id, or None; raises TokenStoreUnavailableError as `find` does."""
        access_token = self._by_id.get(token_id)
        if access_token is not None and self._ticks() > self._trusted_until:
            raise TokenStoreUnavailableError
        return access_token if access_token and access_token.live(self._now()) else None

    def sign(self, message: bytes) -> bytes:
        """An HMAC of the message, equal in every process with this store's secret."""
        return hmac.digest(self._secret, message, "sha256")

    async def admit(self, access_token: AccessToken) -> None:
        """Counts a request; raises RateLimitedError when the token's limit per minute is reached."""
        await self._limits.admit(access_token)

    def used(self, access_token: AccessToken) -> None:
        """Records that the access token was used just now."""
        self._used[access_token.token_id] = self._now()

    # ---- for the settings page
    async def create(
        self,
        name: str,
        role: Role = "inference",
        models: tuple[str, ...] = (),
        expires: float | None = None,
        per_minute: int | None = None,
    ) -> tuple[AccessToken, str]:
        """Makes a token; returns its record and its text. Raises TokenRequestError, or TokenStoreUnavailableError."""
        new_token = NewToken(name, role, models, expires, per_minute).validate(self._now())
        return await self._change(lambda store: store.create(new_token))

    async def revoke(self, token_id: str) -> AccessToken:
        """Revokes an access token and returns its record. Raises TokenNotFoundError, or TokenStoreUnavailableError."""
        return await self._change(lambda store: store.revoke(token_id))

    async def rotate(self, token_id: str) -> tuple[AccessToken, str]:
        """Replaces an access token's text, so that the old one is refused. Raises as `create` and `revoke` do."""
        return await self._change(lambda store: store.rotate(token_id))

    async def everything(self) -> list[AccessToken]:
        """All access tokens, newest first, revoked and expired ones included. Raises TokenStoreUnavailableError."""
        if self._store is None and not self._location.made():
            return []
        return await self._ask(lambda store: store.everything())

    async def new_sign_in(self, seconds: float) -> str:
        """A one-time code to sign in with, valid for so many seconds.

        Needs the secret, but no database; raises TokenStoreUnavailableError when the secret cannot be read or made.
        """
        self._secret = await asyncio.to_thread(open_secret, self._location, self._given_secret)
        return sign_in_codes.new_code(self._secret, self._now() + seconds)

    async def use_sign_in(self, code: str) -> bool:
        """Uses a sign-in code; False when it is invalid, expired or used. Raises TokenStoreUnavailableError."""
        if len(code) != sign_in_codes.LENGTH:
            return False
        return await self._ask(lambda store: store.use_sign_in(code))

    # ---- the store
    async def refresh(self, *, at_start: bool = False) -> None:
        """Reads the changes in the store, or marks it unavailable. Raises SettingsError only `at_start`."""
        async with self._one_at_a_time:
            if self._pending_read is not None and not await self._ends(self._pending_read):
                return
            began = self._read_at = self._ticks()
            reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
            if not await self._ends(reading):
                return
            try:
                snapshot = reading.result()
            except (SettingsError, TokenStoreUnavailableError) as error:
                if at_start and isinstance(error, SettingsError):
                    raise
                self._mark_unavailable(str(error))
            else:
                self._take(snapshot, began)

    async def _ends(self, reading: "asyncio.Future[Snapshot | None]") -> bool:
        """True when a read of the store ends in time; if not, the store is marked unavailable."""
        done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
        self._pending_read = None if done else reading
        if not done:
            self._mark_unavailable(str(TokenStoreUnavailableError()))
        return bool(done)

    def _read(self) -> Snapshot | None:
        """Reads the store, on the thread; None when nothing has changed."""
        if self._store is None and not self._location.made():
            return Snapshot()
        return self._open_store().snapshot(self._version)

    def _open_store(self) -> "TokenStore":
        """The store, opened at the first call; on any thread."""
        from labeld.auth.store import TokenStore  # noqa: PLC0415  # SQLAlchemy: see the NOTE of the class

        with self._opening:
            if self._store is None:
                secret = open_secret(self._location, self._given_secret)
                self._store = TokenStore(self._location, secret, self._now)
                self._secret = secret
            return self._store

    def _take(self, snapshot: Snapshot | None, began: float) -> None:
        """Takes over the state of the store, as of the time `began`."""
        if self._outage is not None and self._version is not None:
            logger.warning("The database of access tokens answers again.")
        self._outage, self._trusted_until = None, began + TRUSTED_SECONDS
        if snapshot is None:
            return
        self._version, self.empty = snapshot.version, not snapshot.any_made
        self._known = {digest: (digest, access_token) for digest, access_token in snapshot.access_tokens.items()}
        self._by_id = {access_token.token_id: access_token for access_token in snapshot.access_tokens.values()}
        self._limits.keep({access_token.token_id for access_token in snapshot.access_tokens.values()})

    def _mark_unavailable(self, why: str) -> None:
        """Records an outage of the store, and logs it when it is new."""
        if self._outage != why:
            logger.warning("%s Known access tokens stay valid for at most %g seconds more.", why, TRUSTED_SECONDS)
        self._outage = why

    async def _look_up(self) -> None:
        """Awaits a read of the store that begins after this call; concurrent callers share one."""
        if self._next_lookup is None:
            self._next_lookup = asyncio.create_task(self._look())
        await asyncio.shield(self._next_lookup)

    async def _look(self) -> None:
        await asyncio.sleep(min(LOOKUP_INTERVAL, max(0.0, self._read_at + LOOKUP_INTERVAL - self._ticks())))
        self._next_lookup = None  # later callers need another one
        await self.refresh()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
                if self._outage is None and self._ticks() - self._written >= WRITE_SECONDS:
                    await self._write_used()
            except Exception:  # the boundary of a task that must survive
                logger.exception("The access tokens could not be read.")
                self._mark_unavailable(str(TokenStoreUnavailableError()))

    async def _write_used(self) -> None:
        """Writes the times at which tokens were used; those that cannot be written are kept for the next time."""
        used, self._used, self._written = self._used, {}, self._ticks()
        if not used:
            return
        try:
            await self._ask(lambda store: store.touch(used))
        except (TokenStoreUnavailableError, SettingsError) as error:
            self._used = used | self._used
            logger.warning("%s The times at which access tokens were used are not stored yet.", error)

    async def _change(self, change: "Callable[[TokenStore], T]") -> T:
        done = await self._ask(change)
        await self.refresh()
        return done

    async def _ask(self, question: "Callable[[TokenStore], T]") -> T:
        return await asyncio.to_thread(lambda: question(self._open_store()))
