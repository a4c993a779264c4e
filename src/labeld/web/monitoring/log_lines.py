"""The number of log lines that could not be written, for Prometheus."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from labeld.server.logs import dropped_lines


class LogLines(Collector):
    """Collects the counter of this process's log."""

    def collect(self) -> Iterable[Metric]:
        """One counter."""
        yield CounterMetricFamily(
            "labeld_log_lines_dropped", "Lines of the log that could not be written.", value=dropped_lines()
        )
