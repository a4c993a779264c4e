"""A small OpenTelemetry collector: takes spans by OTLP over HTTP and keeps them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """A running collector."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    """As they were sent."""
    wrong: list[str] = field(default_factory=list)
    """Paths that are none of OTLP's."""

    def spans(self) -> list[Span]:
        """All spans so far."""
        return [span for one in self._requests() for scope in one.scope_spans for span in scope.spans]

    def resource(self) -> dict[str, Any]:
        """The attributes of the server that the first spans are of."""
        return plain(self._requests()[0].resource.attributes)

    def _requests(self) -> list[Any]:
        return [one for body in self.bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            (collector.bodies.append(body) if self.path == "/v1/traces" else collector.wrong.append(self.path))
            reply = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as Python's values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
