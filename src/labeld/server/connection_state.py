"""The states of a connection's input, and every way from one to another.

What comes from the client moves a connection through a request and back: IDLE, HEAD, BODY, IDLE. Replies are written
beside that, possibly later and of several requests (pipelining), by uvicorn's request cycle. An end has one direction:

    IDLE, HEAD, BODY --refuse--> REFUSED --finish--> LINGERING --close--> CLOSED

Rules that the table does not show:

- REFUSED is left when the replies to earlier requests are written; then the refusal follows as the final response.
- LINGERING exists because closing a socket with unread bytes resets it, and the client could lose the reply.
- From REFUSED on, what the client sends is read and thrown away (`DISCARDING`); from LINGERING on nothing more is
  written (`CLOSING`).
- The parser meets HEAD twice for a request that offers an upgrade: the head is parsed again without the offer.
- A drain is no state of the input, since it may begin in any: it only shortens IDLE and makes the next reply the last.
"""

from enum import Enum


class State(Enum):
    """The state of a connection's input."""

    __hash__ = object.__hash__  # NOTE: Enum's own is written in Python, and every request looks up states a dozen times

    IDLE = "idle"
    """Nothing of the next request has arrived."""
    HEAD = "head"
    """A part of a request's head has arrived."""
    BODY = "body"
    """A request's head has arrived, and perhaps a part of its body."""
    REFUSED = "refused"
    """The request is not let through; earlier ones are still being answered."""
    LINGERING = "lingering"
    """All is written and the client knows that nothing follows; it has a moment to read it."""
    CLOSED = "closed"
    """The socket is closed, or closes as soon as what is written has left."""


class Event(Enum):
    """An event that moves a connection to another state."""

    __hash__ = object.__hash__  # NOTE: as above

    BEGIN = "begin"
    """The first byte of a request."""
    HEAD_COMPLETE = "head complete"
    """The last byte of its head."""
    COMPLETE = "complete"
    """The last byte of the request."""
    REFUSE = "refuse"
    """The request, or the connection, is refused."""
    FINISH = "finish"
    """Nothing more will be written."""
    CLOSE = "close"
    """The socket is given up, by this server or by the client."""


IDLE, HEAD, BODY, REFUSED, LINGERING, CLOSED = State
BEGIN, HEAD_COMPLETE, COMPLETE, REFUSE, FINISH, CLOSE = Event

NEXT: dict[State, dict[Event, State]] = {
    IDLE: {BEGIN: HEAD, REFUSE: REFUSED, FINISH: LINGERING, CLOSE: CLOSED},
    HEAD: {BEGIN: HEAD, HEAD_COMPLETE: BODY, REFUSE: REFUSED, FINISH: LINGERING, CLOSE: CLOSED},
    BODY: {COMPLETE: IDLE, REFUSE: REFUSED, FINISH: LINGERING, CLOSE: CLOSED},
    REFUSED: {FINISH: LINGERING, CLOSE: CLOSED},
    LINGERING: {CLOSE: CLOSED},
    CLOSED: {CLOSE: CLOSED},
}
"""Where each event leads from each state. A pair that is missing cannot happen: KeyError, a mistake of this server."""

DISCARDING = frozenset({REFUSED, LINGERING, CLOSED})
"""States in which what the client sends is thrown away."""
CLOSING = frozenset({LINGERING, CLOSED})
"""States in which no further reply can be written."""
