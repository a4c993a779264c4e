"""The access tokens that a server knows: in memory, so that a request asks no database, and never old by much."""

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
from labeld.auth.rate_limit import Limits
from labeld.auth.records import AccessToken, NewToken, Role, Snapshot
from labeld.auth.secret import open_secret
from labeld.auth.token_format import LENGTH, well_formed
from labeld.errors import SettingsError

if TYPE_CHECKING:
    from labeld.auth.store import TokenStore

REFRESH_SECONDS = 1.0
"""Between two looks at the store: what was revoked elsewhere is refused here within two seconds."""
READ_SECONDS = 3.0
"""For one look at the store; then it counts as away."""
LOOK_APART_SECONDS = 0.1
"""Between two looks for unknown tokens, however many are sent."""
TRUSTED_SECONDS = 60.0
"""For which the known keys go on counting while the store is away."""
WRITE_SECONDS = 30.0
"""Between two writes of when keys were used."""

_NOBODY = (bytes(32), AccessToken("", "", "inference", (), 0.0, None, 0.0, None, 0.0))

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Authenticator:
    """The keys of one store. For one event loop; the store is asked on threads.

    NOTE: the store, and SQLAlchemy with it (18 MB), is loaded when there is a database to look into, so a server on
    which nobody ever made a token does without.
    """

    def __init__(
        self,
        location: Location,
        secret: str | None,
        workers: int = 1,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`secret` as the setting gives it; `workers` share the limits of requests per minute."""
        self._location, self._given_secret, self._limits = location, secret, Limits(workers, ticks)
        self._now, self._ticks = now, ticks
        self.empty = False
        """Whether no key was ever made, also none that is revoked or expired by now; False until that is certain.

        Only then may a server be open to whoever reaches it: revoking the last key must not open it again.
        """
        self._secret = secrets.token_bytes(32)  # until the store is opened, which has the real one
        self._store: TokenStore | None = None
        self._opening = threading.Lock()
        self._version: str | None = None
        self._known: dict[bytes, tuple[bytes, AccessToken]] = {}
        self._by_id: dict[str, AccessToken] = {}
        self._used: dict[str, float] = {}
        self._written = self._ticks()
        self._outage: str | None = ""
        """Why the store could not be asked the last time."""
        self._trusted_until = -1.0
        self._one_at_a_time = asyncio.Lock()
        self._pending_read: asyncio.Future[Snapshot | None] | None = None
        """A look at the store that did not end in time."""
        self._next_look: asyncio.Task[None] | None = None
        self._looked = -LOOK_APART_SECONDS
        self._refresh_task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "keys")

    async def open(self) -> None:
        """Reads the keys, and goes on doing so; a store that is away is waited for meanwhile. Raises SettingsError."""
        if self._location.path is None or self._given_secret is not None:
            self._secret = open_secret(self._location, self._given_secret)
        await self.refresh(at_start=True)
        self._refresh_task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Writes down what was used last, and stops."""
        if self._refresh_task is not None:
            self._refresh_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._refresh_task
        if self._outage is None:
            await self._write_used()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    # ---- what a request asks
    def find(self, token: str) -> AccessToken:
        """The live key of this token; a few microseconds.

        Raises UnknownKeyError alike for what is malformed, unknown, revoked or expired, upon which `find_new` may still
        know it; KeyStoreUnavailableError when the store has been away for longer than a minute.
        """
        if len(token) != LENGTH or not token.isascii():
            raise UnknownTokenError
        digest = hmac.digest(self._secret, token.encode(), "sha256")
        # NOTE: what is looked up is the HMAC, of which nobody without the secret can choose a part, and the same is
        # done for every token: the time taken tells nothing
        known, access_token = self._known.get(digest, _NOBODY)
        if not (hmac.compare_digest(known, digest) and access_token.live(self._now())):
            raise UnknownTokenError
        if self._ticks() > self._trusted_until:
            raise TokenStoreUnavailableError
        return access_token

    async def find_new(self, token: str) -> AccessToken:
        """The live key of a token that `find` does not know, if it was made elsewhere a moment ago.

        Raises UnknownKeyError, or KeyStoreUnavailableError when nobody can tell. Takes up to 0.1 s, but no time for
        what is no token at all.
        """
        if not well_formed(token):
            raise UnknownTokenError
        if self._outage is None:
            await self._look_again()
        if self._outage is not None:
            raise TokenStoreUnavailableError
        return self.find(token)

    def by_id(self, token_id: str) -> AccessToken | None:
        """The live key of this id, None when there is none; raises KeyStoreUnavailableError as `find` does."""
        access_token = self._by_id.get(token_id)
        if access_token is not None and self._ticks() > self._trusted_until:
            raise TokenStoreUnavailableError
        return access_token if access_token and access_token.live(self._now()) else None

    def sign(self, message: bytes) -> bytes:
        """An HMAC of the message, the same in every process that has these keys."""
        return hmac.digest(self._secret, message, "sha256")

    def admit(self, access_token: AccessToken) -> None:
        """Counts a request; raises RateLimitedError when the key has had those of its minute."""
        self._limits.admit(access_token)

    def used(self, access_token: AccessToken) -> None:
        """Notes that the key was used just now."""
        self._used[access_token.token_id] = self._now()

    # ---- what the settings page asks
    async def create(
        self,
        name: str,
        role: Role = "inference",
        models: tuple[str, ...] = (),
        expires: float | None = None,
        per_minute: int | None = None,
    ) -> tuple[AccessToken, str]:
        """A new key and its token, which is never seen again. Raises KeyRequestError, or KeyStoreUnavailableError."""
        wanted = NewToken(name, role, models, expires, per_minute).validate(self._now())
        return await self._change(lambda store: store.create(wanted))

    async def revoke(self, token_id: str) -> AccessToken:
        """The key, which counts no longer. Raises KeyNotFoundError, or KeyStoreUnavailableError."""
        return await self._change(lambda store: store.revoke(token_id))

    async def rotate(self, token_id: str) -> tuple[AccessToken, str]:
        """The key with a new token, of which the old one counts no longer. Raises as `create` and `revoke` do."""
        return await self._change(lambda store: store.rotate(token_id))

    async def everything(self) -> list[AccessToken]:
        """All keys, the newest first, also those that count no longer. Raises KeyStoreUnavailableError."""
        if self._store is None and not self._location.made():
            return []
        return await self._ask(lambda store: store.everything())

    async def new_sign_in(self, seconds: float) -> str:
        """A code with which somebody may sign in, once, within so many seconds.

        Needs no database, but the secret: raises KeyStoreUnavailableError when that cannot be kept.
        """
        self._secret = await asyncio.to_thread(open_secret, self._location, self._given_secret)
        return sign_in_codes.new_code(self._secret, self._now() + seconds)

    async def use_sign_in(self, code: str) -> bool:
        """Whether the code is one of ours that nobody has used yet; now it is used. Raises KeyStoreUnavailableError."""
        if len(code) != sign_in_codes.LENGTH:
            return False
        return await self._ask(lambda store: store.use_sign_in(code))

    # ---- the store
    async def refresh(self, *, at_start: bool = False) -> None:
        """Looks what has changed in the store; remembers it when the store is away. Raises SettingsError at start."""
        async with self._one_at_a_time:
            if self._pending_read is not None and not await self._ends(self._pending_read):
                return
            began = self._looked = self._ticks()
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
        """Whether this look at the store ends in time."""
        done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
        self._pending_read = None if done else reading
        if not done:
            self._mark_unavailable(str(TokenStoreUnavailableError()))
        return bool(done)

    def _read(self) -> Snapshot | None:
        """On the thread: what the store has, None when that is what is known."""
        if self._store is None and not self._location.made():
            return Snapshot()
        return self._open_store().snapshot(self._version)

    def _open_store(self) -> "TokenStore":
        """On any thread: the store, of which there is one."""
        from labeld.auth.store import TokenStore  # noqa: PLC0415  # SQLAlchemy: see the NOTE of the class

        with self._opening:
            if self._store is None:
                secret = open_secret(self._location, self._given_secret)
                self._store = TokenStore(self._location, secret, self._now)
                self._secret = secret
            return self._store

    def _take(self, snapshot: Snapshot | None, began: float) -> None:
        """What the store had when this look at it began is what counts."""
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
        if self._outage != why:
            logger.warning("%s Known access tokens count for %g seconds more at most.", why, TRUSTED_SECONDS)
        self._outage = why

    async def _look_again(self) -> None:
        """A look at the store that begins after this was called; many callers share one."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look())
        await asyncio.shield(self._next_look)

    async def _look(self) -> None:
        await asyncio.sleep(min(LOOK_APART_SECONDS, max(0.0, self._looked + LOOK_APART_SECONDS - self._ticks())))
        self._next_look = None  # who comes from now on needs another
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
        """Writes down when keys were used; what cannot be written waits for the next time."""
        used, self._used, self._written = self._used, {}, self._ticks()
        if not used:
            return
        try:
            await self._ask(lambda store: store.touch(used))
        except (TokenStoreUnavailableError, SettingsError) as error:
            self._used = used | self._used
            logger.warning("%s When access tokens were used is not written down.", error)

    async def _change(self, change: "Callable[[TokenStore], T]") -> T:
        done = await self._ask(change)
        await self.refresh()
        return done

    async def _ask(self, question: "Callable[[TokenStore], T]") -> T:
        return await asyncio.to_thread(lambda: question(self._open_store()))
