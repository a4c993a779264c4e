"""One HTTP connection with limits: how large and how slow a request may be, and how many connections there are.

uvicorn's protocol has none of these. A refusal is written here, at once, without asking the application, whose own
business is only the size of the body. Nothing here knows what is served.

NOTE: this subclasses uvicorn's internals, so uvicorn is pinned to one minor version in pyproject.toml.
"""

import asyncio
from functools import partial
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from labeld.settings import MIB, ConnectionLimits
from labeld.web.connections import Guests, LingeringTransport, RefusedError, refusal_reply

IDLE, HEAD, BODY = 0, 1, 2
"""What of a request has arrived: nothing, a part of its head, or its head and perhaps a part of its body."""

BODY_GRACE = 2.0
"""Seconds before the rate of a body is looked at."""
LINGER_SECONDS = 2.0
LINGER_BYTES = 32 * MIB
"""What a refused client may still send while it reads the reply: closing on unread bytes would reset the connection
and the client could lose the reply."""
DRAIN_GRACE = 0.25
"""Seconds in which an idle connection may still bring the request that was on its way when the drain began."""
MAX_PIPELINED = 64
"""Requests that may wait on one connection behind the one that is being answered."""
TURNED_AWAY_AT_ONCE = 256
"""Connections over the limit that get a reply at the same time; a flood beyond that is closed without one."""


def limited_protocol(limits: ConnectionLimits) -> Any:
    """What uvicorn's `Config.http` wants: a maker of connections that share one count of guests."""
    return partial(LimitedProtocol, limits=limits, guests=Guests(limits))


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP connection, bounded by `ConnectionLimits`. Runs on the event loop.

    A request that arrives whole in one read creates no timer; anything slower has one running at a time.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        guests: Guests,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._guests = limits, guests
        self._max_head, self._max_fields = limits.max_header_bytes, limits.max_header_fields
        self.timeout_keep_alive = limits.keep_alive_timeout  # type: ignore[assignment]  # call_later takes a float
        self._raw: asyncio.Transport
        self._ours: LingeringTransport
        self._address = ""
        self._admitted = False
        self._phase = self._watched = IDLE
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        """When the watched phase began, by the loop's clock."""
        self._fed = 0
        """Bytes read since the request began, and at most one read more if others came in the same read."""
        self._begun = 0
        """Requests that had a part in the latest read."""
        self._body_bytes = self._chunks = self._discarded = 0
        self._deaf = self._draining = False
        self._last_words = b""

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Admit the connection, or turn it away with a 429."""
        self._raw, self._ours = transport, LingeringTransport(transport, self._leave)
        super().connection_made(self._ours)
        self._address = self.client[0] if self.client else ""
        refused = self._guests.enter(self._address, len(self.connections))
        if refused is None:
            self._admitted = True
            self._wait_for_request()
            return
        self.connections.discard(self)
        if self._guests.turned_away > TURNED_AWAY_AT_ONCE:
            transport.abort()
        else:
            self._refuse(refused)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every timer, and let the next guest in."""
        self._ours.closing = self._deaf = True
        self._stop_timer()
        self._stop_write_timer()
        self._unset_keepalive_if_required()
        self._guests.leave(self._address, admitted=self._admitted)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Drain: the request in hand is the last one; an idle connection ends after `DRAIN_GRACE`."""
        self._draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._phase == IDLE and not self._ours.closing:
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        """Close the connection if nothing comes; uvicorn cancels this timer when something does."""
        self._unset_keepalive_if_required()
        seconds = self._limits.keep_alive_timeout if self.cycle else self._limits.header_timeout
        seconds = DRAIN_GRACE if self._draining else seconds
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    # ---- reading

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and watch the clock if the request is not complete with it."""
        if self._deaf:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        self._begun = 1 if self._phase else 0
        self._fed = self._fed + len(data) if self._phase else len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                # NOTE: nothing but HTTP/1.1 is spoken, so the offer is passed over, as the standard allows. Java's
                # client makes it with every first request; the parser would take the body for another request.
                data = self._head_without_offer() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                why = error.__context__
                self._refuse(why if isinstance(why, RefusedError) else RefusedError(400, "This is not valid HTTP/1.1."))
                return
        self._after_read()

    def _after_read(self) -> None:
        if self._phase == IDLE:
            if self.cycle is None or self.cycle.response_complete:  # a stray line, or the rest of an answered request
                self._wait_for_request()
            return
        if self._phase == HEAD and self._fed > self._max_head:
            if self._begun > 1:
                self._fed = self._head_bytes()
            if self._fed > self._max_head:
                self._refuse(self._head_too_large())
                return
        elif self._chunks and self._fed - self._body_bytes > 2 * self._max_head + 32 * self._chunks + MIB:
            self._refuse(RefusedError(413, "The chunked body has more framing than data: send a Content-Length."))
            return
        if self._phase != self._watched:
            self._stop_timer()
            self._watched, self._since = self._phase, self.loop.time()
            limits = self._limits
            if self._phase == HEAD:
                self._timer = self.loop.call_later(limits.header_timeout, self._check_head)
            else:
                self._timer = self.loop.call_later(min(BODY_GRACE, limits.body_timeout), self._check_body)

    def on_message_begin(self) -> None:
        """httptools: the first byte of a request."""
        self._phase = HEAD
        self._begun += 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header or trailer field. The base class's own few lines, and the limit."""
        if len(self.headers) >= self._max_fields:
            limit = self._max_fields
            raise RefusedError(431, f"The request has more than {limit} header fields (setting max_header_fields).")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        if self._fed > self._max_head and self._head_bytes() > self._max_head:
            raise self._head_too_large()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RefusedError(400, "This is no proxy: CONNECT is not supported.")
            return  # the parser stops here, and gets the head again without the offer
        if len(self.pipeline) >= MAX_PIPELINED:
            raise RefusedError(
                429, f"More than {MAX_PIPELINED} requests wait on this connection: read the replies first."
            )
        super().on_headers_complete()
        self._phase = BODY
        self._body_bytes = self._chunks = 0
        self.headers = []  # NOTE: trailers land here, where nobody reads them; the scope keeps the list of the head
        if self._draining:
            self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        """httptools: the size of one more chunk; the closing one of size 0 counts too, hence the one more."""
        self._chunks += 1
        if self._chunks > self._limits.max_chunks + 1:
            limit = self._limits.max_chunks
            raise RefusedError(413, f"The body has more than {limit} chunks (setting max_chunks): send larger ones.")

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        if self._phase == HEAD:  # it offers an upgrade
            return
        self._phase = IDLE
        if self._timer is not None:
            self._stop_timer()
        super().on_message_complete()

    def _head_without_offer(self) -> bytes:
        fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        return b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, fields)

    def _head_bytes(self) -> int:
        """Bytes of the head as far as it was parsed, counted as `name: value` lines."""
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.parser.get_method()) + 1 + len(self.url) + len(" HTTP/1.1\r\n") + fields + 2

    def _head_too_large(self) -> RefusedError:
        limit = self._max_head
        return RefusedError(431, f"The request line and headers exceed {limit} bytes (setting max_header_bytes).")

    # ---- the clock

    def _check_head(self) -> None:
        if self.flow.read_paused:  # NOTE: it is we who do not read, because of an earlier request on this connection
            self._timer = self.loop.call_later(self._limits.header_timeout, self._check_head)
            return
        limit = self._limits.header_timeout
        late = f"The headers did not arrive within {limit:g} seconds (setting header_timeout)."
        self._refuse(RefusedError(408, late))

    def _check_body(self) -> None:
        """Refuse the body if it is late or too slow; else look again when it could be."""
        limits, now = self._limits, self.loop.time()
        if self.flow.read_paused:
            self._since = now
        elapsed = now - self._since
        rate = limits.min_body_rate
        if elapsed >= limits.body_timeout:
            limit = limits.body_timeout
            late = f"The body did not arrive within {limit:g} seconds (setting body_timeout)."
            self._refuse(RefusedError(408, late))
        elif elapsed >= BODY_GRACE and self._body_bytes < rate * elapsed:
            slow = f"The body arrives with less than {rate} bytes per second (setting min_body_rate)."
            self._refuse(RefusedError(408, slow))
        else:
            next_look = max(BODY_GRACE, self._body_bytes / rate if rate else limits.body_timeout, elapsed + 0.25)
            self._timer = self.loop.call_later(min(next_look, limits.body_timeout) - elapsed, self._check_body)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._watched = IDLE

    def pause_writing(self) -> None:
        """The client does not read its reply: it has as long as a body has."""
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(self._limits.body_timeout, self._raw.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_write_timer()
        super().resume_writing()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # ---- refusing and leaving

    def _refuse(self, refused: RefusedError) -> None:
        """Answer `refused` once the earlier requests of this connection are answered, and end the connection."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        self._deaf = True
        self._last_words = refusal_reply(refused, self.server_state.default_headers)
        cycle = self.cycle
        if self._phase == BODY and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # not started yet, and never will be
            return
        if cycle is not None and not cycle.response_complete:
            if self._phase != BODY:
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if self._phase == BODY and cycle.response_started:
            self._last_words = b""
        self._linger()

    def on_response_complete(self) -> None:
        """uvicorn: a reply is written. With nothing left to answer, a waiting refusal follows."""
        super().on_response_complete()
        if self._deaf and self.timeout_keep_alive_task is not None:  # set by uvicorn where no request is waiting
            self._unset_keepalive_if_required()
            self._linger()

    def _leave(self) -> None:
        """End the connection: at once, or after what the client is still sending."""
        if self._ours.closing:
            return
        if self._phase == IDLE and not self.flow.read_paused:
            self._hang_up()
        else:
            self._linger()

    def _linger(self) -> None:
        """Say the last words and that nothing follows, and read on until the client is done or its time is over."""
        self._ours.closing = self._deaf = True
        self._stop_timer()
        if self._last_words:
            self._raw.write(self._last_words)
        self._raw.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self._hang_up)

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > LINGER_BYTES:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close; a client that does not even take what is already written has as long as a body has."""
        self._ours.closing = self._deaf = True
        self._stop_timer()
        self._raw.close()
        self._timer = self.loop.call_later(self._limits.body_timeout, self._raw.abort)
