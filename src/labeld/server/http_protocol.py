"""Bounds of a request: how large its head and how slow each of its parts may be.

uvicorn's protocol has none of these. A refusal is written here, at once, without asking the application, whose own
business is only the size of the body. Nothing here knows what is served.
"""

from contextlib import suppress
from functools import partial
from typing import Any

import httptools

from labeld.config.settings import ConnectionLimits
from labeld.errors import LabeldError, OverloadedError
from labeld.server.connection_limits import ConnectionLimiter, Refuse, no_request, plain_refusal
from labeld.server.connection_state import (
    BEGIN,
    COMPLETE,
    DISCARDING,
    HEAD,
    HEAD_COMPLETE,
    IDLE,
    NEXT,
)
from labeld.server.errors import (
    BODY_GRACE,
    BodyFramingError,
    MalformedRequestError,
    ProtocolVersionError,
    SlowRequestError,
    head_too_large,
    too_late,
    too_many_fields,
    too_slow,
)
from labeld.server.http_connection import BoundedConnection
from labeld.server.uvicorn_internals import HIGH_WATER_LIMIT

READ_BYTES = 256 * 1024
"""Bytes of one read, at most, of which some may belong to the request before."""
MAX_PIPELINED = 64
"""Requests that may wait on one connection behind the one that is being answered."""


def limited_protocol(limits: ConnectionLimits, refuse: Refuse = plain_refusal) -> Any:
    """A value for uvicorn's `Config.http`: it makes connections that share one count of connections."""
    return partial(LimitedProtocol, limiter=ConnectionLimiter(limits, refuse))


class LimitedProtocol(BoundedConnection):
    """uvicorn's HTTP connection, bounded by `ConnectionLimits`. Runs on the event loop.

    A request that arrives whole in one read creates no timer; anything slower has one running at a time.
    """

    def __init__(self, *, limiter: ConnectionLimiter, **of_uvicorn: Any) -> None:
        super().__init__(limiter=limiter, **of_uvicorn)
        limits = limiter.limits
        self._max_head, self._max_fields = limits.max_header_bytes, limits.max_header_fields
        self._since = 0.0
        """When `_timed_state` began, by the loop's clock."""
        self._fed = 0
        """Bytes read since the request began, and at most one read more if others came in the same read."""
        self._begun = 0
        """Requests that had a part in the latest read."""
        self._reads = b""
        """The reads that the current head arrives in."""
        self._heads = 0
        """Heads that had a part in these reads: the first of them begins where they begin."""
        self._body_bytes = self._chunks = self._trailers = 0

    # ---- reading

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and watch the clock if the request is not complete with it."""
        if self._state in DISCARDING:
            self._discard(len(data))
            return
        if self._state is IDLE:
            self._begun, self._fed, self._reads, self._heads = 0, len(data), data, 0
        else:
            self._begun, self._fed = 1, self._fed + len(data)
            if self._state is HEAD:
                self._reads += data
            else:
                self._reads, self._heads = data, 1
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
                self._refuse_request(
                    why if isinstance(why, LabeldError) else MalformedRequestError("This is not valid HTTP/1.1.")
                )
                return
        if self._state is not HEAD:
            self._reads = b""
        if self._state is not IDLE:
            self._after_part()
        elif self._begun and self.cycle.response_complete:  # NOTE: not after a stray line, which no time counts from
            self._wait_for_request()

    def _after_part(self) -> None:
        """A read ended within a request: look at its size and start its clock."""
        if self._state is HEAD and len(self.headers) > self._max_fields:
            self._refuse_request(too_many_fields(self._max_fields))
            return
        if self._state is HEAD and self._fed > self._max_head:
            if self._begun > 1:
                self._fed = self._head_bytes()
            if self._fed > self._max_head:
                self._refuse_request(head_too_large(self._max_head))
                return
        elif self._fed - self._body_bytes > 2 * self._max_head + 32 * self._chunks + READ_BYTES:
            self._refuse_request(
                BodyFramingError("The chunked body has more framing than data: send a Content-Length.")
            )
            return
        if self._state is not self._timed_state:
            self._stop_timer()
            self._timed_state, self._since = self._state, self.loop.time()
            limits = self._limits
            if self._state is HEAD:
                self._timer = self.loop.call_later(limits.header_timeout, self._check_head)
            else:
                self._timer = self.loop.call_later(min(BODY_GRACE, limits.body_timeout), self._check_body)

    def on_message_begin(self) -> None:
        """httptools: the first byte of a request."""
        self._state = NEXT[self._state][BEGIN]
        self._begun += 1
        self._heads += 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header or trailer field; of a header the base class's own few lines.

        NOTE: those beyond the limit are kept too, as many as one read has, so that a refusal knows their Origin.
        """
        if self._state is not HEAD:  # a trailer, which nobody reads
            self._trailers += 1
            if self._trailers > self._max_fields:
                raise too_many_fields(self._max_fields)
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        if self._fed > self._max_head and self._head_bytes() > self._max_head:
            raise head_too_large(self._max_head)
        if len(self.headers) > self._max_fields:
            raise too_many_fields(self._max_fields)
        if self.parser.get_http_version() not in {"1.1", "1.0"} or self._is_foreign():
            raise ProtocolVersionError
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise MalformedRequestError("This is no proxy: CONNECT is not supported.")
            return  # the parser stops here, and gets the head again without the offer
        if len(self.pipeline) >= MAX_PIPELINED:
            raise OverloadedError(
                f"More than {MAX_PIPELINED} requests wait on this connection: read the replies first.", 1.0, "pipelined"
            )
        if self.cycle is None:  # the first request ends the time of a fresh connection, which may be the longer one
            self._stop_idle_timer()
        super().on_headers_complete()
        self._state = NEXT[self._state][HEAD_COMPLETE]
        self._body_bytes = self._chunks = self._trailers = 0
        if self._draining:
            self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        """httptools: the size of one more chunk; the closing one of size 0 counts too, hence the one more."""
        self._chunks += 1
        if self._chunks > self._limits.max_chunks + 1:
            limit = self._limits.max_chunks
            raise BodyFramingError(f"The body has more than {limit} chunks (setting max_chunks): send larger ones.")

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body. As the base class, without its questions about upgrades."""
        cycle = self.cycle
        self._body_bytes += len(body)
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        if self._state is HEAD:  # it offers an upgrade
            return
        self._state = NEXT[self._state][COMPLETE]
        if self._timer is not None:
            self._stop_timer()
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def _head_without_offer(self) -> bytes:
        fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        return b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, fields)

    def _is_foreign(self) -> bool:
        """True when the request line ends in another protocol's name; the parser accepts two such names as HTTP."""
        if b"RTSP/" not in self._reads and b"ICE/" not in self._reads:
            return False
        begin = b"%s %s " % (self.parser.get_method(), self.url)
        lines = begin + b"RTSP/", begin + b"ICE/"
        if self._heads == 1:
            return self._reads.lstrip(b"\r\n").startswith(lines)
        return any(line in self._reads for line in lines)  # where it begins is unknown, so a text may stop it, too

    def _head_bytes(self) -> int:
        """Bytes of the head as far as it was parsed, counted as `name: value` lines."""
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.parser.get_method()) + 1 + len(self.url) + len(" HTTP/1.1\r\n") + fields + 2

    def _refuse_request(self, refused: LabeldError) -> None:
        """Refuse the request that is being read, of which the fields count that have arrived whole."""
        request = no_request()
        if self._state is not IDLE:
            with suppress(httptools.HttpParserError):
                if self._state is HEAD:  # NOTE: the parser reports a field when it sees the begin of the next one
                    self.parser.feed_data(b"x")
            request |= {"http_version": self.parser.get_http_version(), "method": self.parser.get_method().decode()}
            request["headers"] = self.headers
        self._refuse(refused, request)

    # ---- the clock

    def _check_head(self) -> None:
        if self.flow.read_paused:  # NOTE: it is we who do not read, because of an earlier request on this connection
            self._timer = self.loop.call_later(self._limits.header_timeout, self._check_head)
            return
        limit = self._limits.header_timeout
        late = f"The headers did not arrive within {limit:g} seconds (setting header_timeout)."
        self._refuse_request(SlowRequestError(late))

    def _check_body(self) -> None:
        """Refuse the body if it is late or too slow; else look again when it could be."""
        limits, now = self._limits, self.loop.time()
        if self.flow.read_paused:
            self._since = now
        elapsed = now - self._since
        rate = limits.min_body_rate
        if elapsed >= limits.body_timeout:
            self._refuse_request(too_late(limits.body_timeout))
        elif elapsed >= BODY_GRACE and self._body_bytes < rate * elapsed:
            self._refuse_request(too_slow(rate))
        else:
            next_look = max(BODY_GRACE, self._body_bytes / rate if rate else limits.body_timeout, elapsed + 0.25)
            self._timer = self.loop.call_later(min(next_look, limits.body_timeout) - elapsed, self._check_body)
