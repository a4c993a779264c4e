"""The plots of the suites."""

from collections.abc import Sequence
from typing import Any

from benchmarks.suites import evictions, growth, lengths, stages


def plots(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """SVG by name, from the JSON lines of runs; of several that measured the same figure the last counts."""
    return {**stages.plots(lines), **growth.plots(lines), **lengths.plots(lines), **evictions.plots(lines)}
