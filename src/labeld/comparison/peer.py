"""A server that is asked over HTTP, politely: one text a request, as many connections as were asked for.

A request is repeated only when the server says when: 503 while its model loads, and 429, for which all connections
wait. Redirects are not followed, so that the token goes to nobody else.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2

from labeld.comparison.address import PeerAddress
from labeld.comparison.answers import Answer
from labeld.comparison.dialects import Asking, ClientDialect
from labeld.comparison.errors import (
    PeerLostError,
    TextFailedError,
    TextRefusedError,
    UnreadableReplyError,
    WrongAddressError,
)
from labeld.comparison.labels import LabelMatch
from labeld.system.printable import printable
from labeld.types import Text

REPLY_LIMIT = 16_000_000
"""Bytes of a reply, at most."""
SHOWN = 200
"""Characters of a peer's own message in a sentence, at most."""
LOADING_LIMIT = 300.0
"""Seconds that a comparison waits for a peer's model to load, at most."""
DEFAULT_WAIT = 1.0
"""Seconds to wait where a server does not say for how long."""
LONGEST_WAIT = 30.0
"""Seconds after which a model that loads is asked for again, at most, whatever its estimate is."""
IDLE = 2.0
"""Seconds after which an idle connection is not used again: many servers close it after five."""
REFUSALS = 5
"""Times that one text is refused with 429, at most."""
NO_CACHE = {"X-Use-Cache": "false"}
"""Asks for answers that are computed; servers that know no such header ignore it."""


@dataclass(frozen=True, slots=True)
class PeerReply:
    """A reply's status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether the body could be JSON by its type; one without a type could."""
        return "html" not in self.headers.get("content-type", "")


class HttpPeer:
    """One server, as an async context manager. `name` is how sentences call it."""

    def __init__(
        self,
        address: PeerAddress,
        *,
        name: str = "The peer",
        token: str | None = None,
        connections: int = 1,
        timeout: float = 30.0,
    ) -> None:
        """`timeout` is in seconds of one request."""
        self.address, self.name = address, name
        self._token, self._timeout = token, timeout
        headers = {"user-agent": f"labeld/{version('labeld')}", "accept": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=timeout,
            follow_redirects=False,
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE
            ),
            trust_env=not address.is_loopback,  # a proxy of the environment does not know this machine's loopback
        )
        self._may_ask_at = 0.0
        self._loading_until: float | None = None
        self.deadline = time.monotonic() + LOADING_LIMIT
        """The monotonic time after which nothing is waited for."""
        self.refusals = 0
        """Replies with 429 so far."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> PeerReply | None:
        """The reply to a GET below the address, whatever its status; None where there is no whole one.

        Raises PeerLostError where the server cannot be reached.
        """
        try:
            return await self._send("GET", self.address.url(path))
        except TextFailedError:
            return None

    async def get_json(self, path: str) -> dict[str, Any]:
        """The object in the reply to a GET; an empty one where there is none."""
        reply = await self.get(path)
        try:
            value = json.loads(reply.body) if reply is not None and reply.status == 200 else None
        except (ValueError, RecursionError):
            value = None
        return value if isinstance(value, dict) else {}

    async def ask(self, url: str, dialect: ClientDialect, asking: Asking, text: Text) -> Answer:
        """The answer to one text, with the peer's labels.

        Raises TextFailedError where this text has none, PeerLostError where no other will have one.
        """
        body = json.dumps(dialect.body(text, asking)).encode()
        refused = 0
        while True:
            await self._pause()
            began = time.perf_counter()
            reply = await self._send("POST", url, body)
            seconds = time.perf_counter() - began
            if reply.status == 429 and refused < REFUSALS:
                refused += 1
                self.refusals += 1
                self._wait(_retry_after(reply), "has too many requests (429)")
            elif reply.status == 503 and (estimate := _loading(reply)) is not None:
                self._wait_for_model(estimate)
            else:
                return Answer(self._read(reply, dialect), seconds, _tokens(reply))

    def _read(self, reply: PeerReply, dialect: ClientDialect) -> Any:
        self._require_success(reply)
        if not reply.is_json:
            raise UnreadableReplyError("is HTML, not JSON: give the address of the API")
        try:
            return dialect.read(json.loads(reply.body))
        except (ValueError, RecursionError):
            raise UnreadableReplyError("is no JSON") from None

    def _require_success(self, reply: PeerReply) -> None:
        status = reply.status
        if status == 200:
            return
        said = self._message(reply)
        if 300 <= status < 400:
            raise PeerLostError(f"{self.name} redirects to {self._target(reply)}: give that address.")
        if status in {401, 403}:
            way = "another token" if self._token else "a token"
            raise PeerLostError(
                f"{self.name} does not let this in ({status}){said}: give {way} by --against-token-file."
            )
        if status in {404, 405, 410}:
            raise WrongAddressError(f"{self.name} does not answer at this address ({status}){said}.")
        failure = TextRefusedError if status in {400, 413, 422} else TextFailedError
        raise failure(f"{self.name} answers with status {status}{said}.")

    def _target(self, reply: PeerReply) -> str:
        """Where a redirect leads, without what may be a secret."""
        try:
            target = urlsplit(urljoin(self.address.url("/"), reply.headers.get("location", "")))
        except ValueError:
            return "what is no address"
        return printable(f"{target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"[:SHOWN])

    def _message(self, reply: PeerReply) -> str:
        """The peer's own words, without the token that it may repeat; empty where it has none."""
        try:
            value = json.loads(reply.body) if reply.is_json else None
        except (ValueError, RecursionError):
            value = None
        for member in ("error", "message", "detail", "error"):
            if isinstance(value, dict) and value.get(member):
                value = value[member]
        if not isinstance(value, str):
            return ""
        if self._token:
            value = value.replace(self._token, "…")
        return f": {printable(value[:SHOWN].strip().rstrip('.'))}"

    async def _send(self, method: str, url: str, body: bytes | None = None) -> PeerReply:
        headers = {"content-type": "application/json", **NO_CACHE} if body else {}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(method, url, content=body, headers=headers) as response,
            ):
                parts, size = [], 0
                async for part in response.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > REPLY_LIMIT:
                        raise TextFailedError(f"{self.name} sends more than {REPLY_LIMIT} bytes for one text.")
                return PeerReply(response.status_code, response.headers, b"".join(parts))
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise self._unreachable(error) from None
        except (httpx2.TimeoutException, TimeoutError):
            raise TextFailedError(f"{self.name} gives no answer within {self._timeout:g} s (--timeout).") from None
        except httpx2.DecodingError:
            raise TextFailedError(f"{self.name} sends a reply whose compression is broken.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise TextFailedError(f"{self.name} breaks off the connection before its reply is whole.") from None

    def _unreachable(self, error: BaseException) -> PeerLostError:
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, ssl.SSLError):
                return PeerLostError(
                    f"{self.name} at {self.address.origin} has no certificate that this machine trusts: name its "
                    "authority's file in SSL_CERT_FILE."
                )
            seen = seen.__cause__ or seen.__context__
        return PeerLostError(f"{self.name} at {self.address.origin} cannot be reached: is it running?")

    async def _pause(self) -> None:
        """Waits for as long as the peer has asked to, on every connection."""
        while (seconds := self._may_ask_at - time.monotonic()) > 0:
            await asyncio.sleep(seconds)

    def _wait(self, seconds: float, why: str) -> None:
        until = time.monotonic() + seconds
        if until > self.deadline:
            raise PeerLostError(
                f"{self.name} {why} and asks to wait {seconds:.0f} s, which is longer than is left of --max-seconds."
            )
        self._may_ask_at = max(self._may_ask_at, until)

    def _wait_for_model(self, estimate: float) -> None:
        if self._loading_until is None:
            self._loading_until = time.monotonic() + LOADING_LIMIT
        if time.monotonic() + estimate > self._loading_until:
            raise PeerLostError(f"{self.name} is still loading its model after {LOADING_LIMIT:g} s: try again later.")
        self._wait(estimate, "is loading its model (503)")


@dataclass(slots=True)
class AskedPeer:
    """A peer with the way in which it is asked, and the match of its labels with the model's."""

    peer: HttpPeer
    dialect: ClientDialect
    asking: Asking
    match: LabelMatch | None = None
    """None where the labels are the model's own."""

    async def __call__(self, text: Text) -> Answer:
        """The answer to one text with the model's labels; raises as `HttpPeer.ask`, and OtherLabelsError."""
        url = self.peer.address.url_of(self.dialect, self.asking.model)
        answer = await self.peer.ask(url, self.dialect, self.asking, text)
        return answer if self.match is None else replace(answer, ranking=self.match.ranking(answer.ranking))


def _retry_after(reply: PeerReply) -> float:
    """Seconds to wait, which the header gives as such or as a date (RFC 9110)."""
    value = reply.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 9:
        return float(value)
    try:
        until = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return DEFAULT_WAIT
    return max(0.0, until - time.time())


def _loading(reply: PeerReply) -> float | None:
    """Seconds to wait for a model that loads; None where the reply does not say that one does."""
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        value = None
    estimate = value.get("estimated_time") if isinstance(value, dict) else None
    if b"loading" not in reply.body.lower() and estimate is None:
        return None
    if "retry-after" in reply.headers:
        return max(DEFAULT_WAIT, _retry_after(reply))
    seconds = estimate if isinstance(estimate, int | float) else DEFAULT_WAIT
    return float(min(max(DEFAULT_WAIT, seconds), LONGEST_WAIT))


def _tokens(reply: PeerReply) -> int | None:
    value = reply.headers.get("x-compute-tokens", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else None
