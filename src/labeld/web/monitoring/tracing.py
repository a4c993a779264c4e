"""Traces of requests to classify, sent to an OpenTelemetry collector in the background.

A span has no text, no label and nothing of an access token. Spans are made when the reply is known, from the times that
the request has collected anyway, so that a request which is not sampled costs little, and nothing where there is no
collector.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from labeld.errors import SettingsError
from labeld.types import Timings
from labeld.web.request_state import RequestState

logger = logging.getLogger(__name__)

PATH = "/v1/traces"
"""Of OTLP over HTTP, below the address of a collector."""
EXPORT_SECONDS = 5.0
"""For the collector to take a batch of spans; then they are lost."""
FLUSH_SECONDS = 1.0
"""For the spans that are left when the server stops; the supervisor's KILL_GRACE is longer."""
WARN_EVERY = 60.0
"""Seconds between two warnings, at least."""
NANOSECONDS = 1_000_000_000


class Tracer:
    """Makes and sends the spans. Use it on the event loop; `close` it after the last request."""

    def __init__(self, endpoint: str) -> None:
        """Raises SettingsError where the endpoint is not an address of a collector."""
        exporter = QuietExporter(_address(endpoint))
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would say each failure, and each lost span
        own: dict[str, str | int] = {
            "service.name": "labeld",
            "service.version": version("labeld"),
            "process.pid": os.getpid(),
        }
        resource = Resource({**own}).merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME wins
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("labeld", version("labeld"))
        self._propagator = TraceContextTextMapPropagator()

    def record(self, method: str, state: RequestState, status: int, seconds: float) -> None:
        """The spans of a request that ends now, in the trace of its traceparent or in a new one."""
        end = time.time_ns()
        start = end - round(seconds * NANOSECONDS)
        name = f"{method} {state.route}"
        parent = self._propagator.extract(state.headers, Context())
        span = self._tracer.start_span(
            name, parent, SpanKind.SERVER, dict(_attributes(method, state, status)), None, start
        )
        if not span.is_recording():
            return
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        if state.reply and state.reply.timings:
            inside = set_span_in_context(span, Context())
            for step, began, ended in _steps(state.reply.timings, start, end):
                self._tracer.start_span(step, inside, start_time=began).end(ended)
        span.end(end)

    async def close(self) -> None:
        """Sends what is left, for `FLUSH_SECONDS` at most."""
        loop, flushed = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(flushed.set)

        # NOTE: a daemon, because nobody can interrupt a wait for a collector that hangs, and the process ends anyway
        threading.Thread(target=flush, name="flush-traces", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await flushed.wait()
        except TimeoutError:
            logger.warning("the last traces were not sent: the collector of the setting otlp_endpoint takes too long")


class QuietExporter(SpanExporter):
    """Sends spans to a collector, and warns once a minute at most when it does not take them."""

    def __init__(self, address: str) -> None:
        self._exporter = OTLPSpanExporter(address, timeout=EXPORT_SECONDS)
        self._warned: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends spans; called on the thread of the span processor."""
        result = self._exporter.export(spans)
        now = time.monotonic()
        if result is not SpanExportResult.SUCCESS and (self._warned is None or now - self._warned >= WARN_EVERY):
            self._warned = now
            logger.warning("the collector of the setting otlp_endpoint does not take traces: some are lost")
        return result

    def shutdown(self) -> None:
        """Ends the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _attributes(method: str, state: RequestState, status: int) -> Iterator[tuple[str, str | int | bool]]:
    """Of the span of a request; those that were never known are left out."""
    yield "http.request.method", method
    yield "http.route", state.route
    yield "http.response.status_code", status
    if state.model:
        yield "labeld.model", state.model
    if state.asked:
        yield "labeld.texts", len(state.asked.texts)
    if state.reply:
        yield "labeld.tokens", sum([answer.tokens for answer in state.reply.answers])
        yield "labeld.cache", state.reply.compute_type == "cache"


def _steps(timings: Timings, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each step that took time, one after the other up to the end of the request.

    NOTE: of several texts each step has the time of the slowest one, so together they may be longer than the request.
    """
    steps = {"inference": timings.inference, "queue": timings.queue, "tokenization": timings.tokenization}
    for name, seconds in steps.items():
        if seconds > 0:
            began = max(start, end - round(seconds * NANOSECONDS))
            yield name, began, end
            end = began


def _address(endpoint: str) -> str:
    """The address that spans are sent to; raises SettingsError."""
    try:
        parts = urlsplit(endpoint)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or parts.query or parts.fragment or not endpoint.isprintable() or " " in endpoint:
        raise SettingsError(
            f"otlp_endpoint is {endpoint!r}, but must be the address of a collector, such as http://localhost:4318."
        )
    base = endpoint.rstrip("/")
    return base if base.endswith(PATH) else base + PATH
