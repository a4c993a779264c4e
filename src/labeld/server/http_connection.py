"""The life of a connection: admission or rejection, idle time, and a close that loses no reply.

The states are those of `connection_state`. What a request may bring is the business of `http_protocol`; this half
knows no HTTP beyond where a request begins.
"""

import asyncio
from typing import Any

from labeld.config.settings import MIB
from labeld.errors import LabeldError
from labeld.server.connection_limits import ConnectionLimiter, LingeringTransport, Scope, no_request, refusal_bytes
from labeld.server.connection_state import BODY, CLOSE, CLOSING, FINISH, IDLE, NEXT, REFUSE, REFUSED, Event, State
from labeld.server.uvicorn_internals import HttpToolsProtocol

LINGER_SECONDS = 2.0
LINGER_BYTES = 32 * MIB
"""Bytes that a refused client may still send while it reads the reply, at most: closing on unread bytes would reset the
connection, and the client could lose the reply."""
DRAIN_GRACE = 0.25
"""Seconds in which an idle connection may still bring the request that was on its way when the drain began."""
REJECTED_AT_ONCE = 256
"""Connections over the limit that get a reply at the same time; a flood beyond that is closed without one."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's HTTP connection, bounded in number and in idle time. Runs on the event loop."""

    def __init__(self, *, limiter: ConnectionLimiter, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._limiter, self._limits = limiter, limiter.limits
        self._raw: asyncio.Transport
        self._lingering: LingeringTransport
        self._state: State = IDLE
        self._timer: asyncio.TimerHandle | None = None
        """Of `_timed_state`, or of the end."""
        self._timed_state: State = IDLE
        """HEAD or BODY while their time runs."""
        self._write_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._discarded = 0
        self._draining = False
        self._final_response = b""
        """Follows the replies to earlier requests when the connection is refused."""

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Admit the connection, or reject it with a 429."""
        self._raw = transport
        self._lingering = LingeringTransport(transport, self._leave, self._is_closing)
        super().connection_made(self._lingering)
        refused = self._limiter.acquire(self._address, len(self.connections))
        if refused is None:
            self._wait_for_request()
            return
        self.connections.discard(self)
        if self._limiter.rejected > REJECTED_AT_ONCE:
            self._limiter.refuse(refused, no_request())
            transport.abort()
        else:
            self._refuse(refused, no_request())

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every timer, and give the connection's place to another."""
        self._move(CLOSE)
        self._stop_timer()
        self._stop_write_timer()
        self._stop_idle_timer()
        self._limiter.release(self._address, admitted=self in self.connections)
        super().connection_lost(exc)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _move(self, event: Event) -> None:
        self._state = NEXT[self._state][event]

    def _is_closing(self) -> bool:
        return self._state in CLOSING

    def shutdown(self) -> None:
        """Drain: the request in hand is the last one; an idle connection ends after `DRAIN_GRACE`."""
        self._draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._state is IDLE:
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        """Close the connection if nothing comes within the time that an idle one has."""
        self._stop_idle_timer()
        self._idle_since = self.loop.time()
        self.timeout_keep_alive_task = self.loop.call_later(self._idle_seconds(), self.timeout_keep_alive_handler)

    def _idle_seconds(self) -> float:
        if self._draining:
            return DRAIN_GRACE
        return self._limits.keep_alive_timeout if self.cycle else self._limits.header_timeout

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for its time; else look again when that could be.

        NOTE: uvicorn sets and cancels this timer with every request. Once per connection and then as needed is 2 of
        its 25 microseconds per request, which pays for the limits.
        """
        self.timeout_keep_alive_task = None
        if self._state is not IDLE or (self.cycle is not None and not self.cycle.response_complete):
            return  # something came; the end of its reply starts this again
        left = self._idle_since + self._idle_seconds() - self.loop.time()
        if left <= 0.001:
            self._leave()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed_state = IDLE

    def _stop_idle_timer(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

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

    def _refuse(self, refused: LabeldError, request: Scope) -> None:
        """Answer `refused` once the earlier requests of this connection are answered, and end the connection."""
        reply = self._limiter.refuse(refused, request)
        self._stop_timer()
        self._stop_idle_timer()
        in_body, cycle = self._state is BODY, self.cycle
        self._move(REFUSE)
        self._final_response = refusal_bytes(reply, self.server_state.default_headers)
        if in_body and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # not started yet, and never will be
            return
        if cycle is not None and not cycle.response_complete:
            if not in_body:
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if in_body and cycle.response_started:
            self._final_response = b""
        self._linger()

    def on_response_complete(self) -> None:
        """uvicorn: a reply is written. With nothing left to answer, a waiting refusal follows."""
        self.server_state.total_requests += 1
        self._lingering.end_reply()
        if self._state in CLOSING:
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._state is REFUSED:
            self._linger()
        else:
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._wait_for_request()

    def _leave(self) -> None:
        """End the connection: at once, or after what the client is still sending."""
        if self._state in CLOSING:
            return
        if self._state is IDLE and not self.flow.read_paused:
            self._hang_up()
        else:
            self._linger()

    def _linger(self) -> None:
        """Write the final response and the end of the stream; read on until the client is done or its time is over."""
        self._move(FINISH)
        self._stop_timer()
        if self._final_response:
            self._raw.write(self._final_response)
        self._raw.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self._hang_up)

    def _discard(self, count: int) -> None:
        self._discarded += count
        if self._discarded > LINGER_BYTES:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close; a client that does not even take what is already written has as long as a body has."""
        self._move(CLOSE)
        self._stop_timer()
        self._raw.close()
        self._timer = self.loop.call_later(self._limits.body_timeout, self._raw.abort)
