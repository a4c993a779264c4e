"""All of uvicorn that labeld relies on although uvicorn does not document it, with the reason for each name.

No other file imports from inside uvicorn; the rest of labeld uses `uvicorn.Config` and `uvicorn.Server` as documented.
tests/server/test_uvicorn_internals.py looks for every name, so that a version without one fails there with a sentence.
"""

from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

__all__ = ["HIGH_WATER_LIMIT", "STARTUP_FAILURE", "STATUS_LINE", "USED", "HttpToolsProtocol", "ServerState"]

USED: dict[str, dict[str, str]] = {
    "uvicorn": {
        "HttpToolsProtocol": "the fastest of its HTTP connections, which has no limits: http_connection adds them",
        "ServerState": "an argument of that class",
        "STATUS_LINE": "a refusal is written without the application, and looks like one of its replies",
        "HIGH_WATER_LIMIT": "bytes of a body after which reading pauses, as in the method that http_protocol replaces",
        "STARTUP_FAILURE": "the exit code of a worker whose application does not start",
    },
    "HttpToolsProtocol": {
        "connection_made": "extended: the connection is counted, or refused",
        "connection_lost": "extended: timers end, and the place is free",
        "data_received": "replaced: the time and size of what arrives are bounded",
        "shutdown": "replaced: a drain gives an idle connection a moment for a request that is on its way",
        "timeout_keep_alive_handler": "replaced: one timer for a connection instead of one for each request",
        "pause_writing": "extended: a client that does not read has a time limit",
        "resume_writing": "extended: as above",
        "on_message_begin": "extended: a request begins",
        "on_header": "replaced: the number of fields is bounded",
        "on_headers_complete": "extended: the size of the head is bounded, and the number of waiting requests",
        "on_body": "replaced: bytes are counted, without its questions about upgrades",
        "on_message_complete": "replaced: a request ends",
        "on_response_complete": "replaced: a refusal follows the last reply",
        "_start_asgi_task": "the next waiting request starts when a reply is written",
        "config": "an argument of the constructor, kept",
        "loop": "its clock and timers",
        "parser": "what httptools knows of the request",
        "server_state": "default_headers of a refusal, total_requests",
        "connections": "their number is limited",
        "client": "the address whose connections are counted",
        "flow": "reading goes on while a client is refused",
        "pipeline": "the number of waiting requests is limited",
        "cycle": "whether the reply is written",
        "headers": "fields of the head that is being read, and of the request until the next one begins",
        "url": "its size counts as a part of the head",
        "expect_100_continue": "set by the method that is replaced",
        "timeout_keep_alive_task": "the timer of an idle connection, which the base class cancels when it ends",
    },
    "RequestResponseCycle": {
        "response_complete": "whether the reply is written",
        "response_started": "a refusal cannot follow the beginning of another reply",
        "disconnected": "set: a refused request gets no reply from the application",
        "keep_alive": "cleared: the reply is the last of the connection",
        "message_event": "wakes the application that waits for the body",
        "body": "what arrived and was not taken yet",
        "more_body": "cleared at the end of a request",
        "transport": "on Ray head and body of a reply leave in one write, which uvicorn's `send` does not do",
    },
    "FlowControl": {
        "read_paused": "a client that is not read cannot be too slow",
        "pause_reading": "a body arrives faster than it is taken",
        "resume_reading": "what a refused client still sends is thrown away",
    },
    "ServerState": {
        "total_requests": "counted by the method that is replaced",
        "default_headers": "server and date of a refusal",
    },
    "Server": {
        "capture_signals": "replaced: the signal is not raised again after the drain, so that the exit code is 0",
        "shutdown": "extended: connections that wait in the kernel are taken before the listener closes",
    },
}
"""Owner -> name -> the reason for which labeld relies on it."""
