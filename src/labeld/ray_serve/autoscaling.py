"""How many replicas: as many as keep the work that waits in each of them short. Pure."""

import math
from collections.abc import Mapping
from typing import Any

QUEUED, BUSY = "queued_seconds", "busy"
"""What a replica reports: seconds of work in its fullest queue, and the share of the time in which it computed."""
GROWTH = 2.0
"""How many times as many replicas, at most, one decision may ask for."""
BUSY_ENOUGH = 0.6
"""The share of the time for which the replicas that are left may compute, when one leaves."""


class QueuePolicy:
    """A policy of Serve's autoscaling."""

    def __init__(self, target: float) -> None:
        """`target` is the seconds of work that may wait in a replica."""
        self._target = target

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """How many replicas there should be, given Serve's AutoscalingContext, and no state."""
        metrics: Mapping[str, Mapping[Any, float]] = context.aggregated_metrics or {}
        queued, busy = (list(metrics.get(name, {}).values()) for name in (QUEUED, BUSY))
        wanted = self.wanted(context.current_num_replicas, queued, busy)
        least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
        return min(max(wanted, least, 1), most), {}

    def wanted(self, now: int, queued: list[float], busy: list[float]) -> int:
        """How many replicas there should be where there are `now`, which have reported this, each."""
        if not queued or now < 1:
            return now
        waiting = sum(queued) / len(queued)
        if waiting > self._target:
            return math.ceil(now * min(GROWTH, waiting / self._target))
        if now > 1 and busy and max(queued) <= self._target and sum(busy) / len(busy) * now / (now - 1) < BUSY_ENOUGH:
            return now - 1
        return now
