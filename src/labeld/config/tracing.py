"""The setting of traces."""

from dataclasses import dataclass

from labeld.config.fields import setting


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where traces of requests go."""

    otlp_endpoint: str | None = setting(
        None,
        "OpenTelemetry collector that gets a trace of each request to classify, by OTLP over HTTP, such as "
        "http://localhost:4318. Needs labeld[otel].",
    )
