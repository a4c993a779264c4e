"""The number of replicas follows the work that waits, and falls only where the others have time for it."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve.config import AutoscalingPolicy

from labeld.ray_serve.application import options
from labeld.ray_serve.arguments import parse
from labeld.ray_serve.autoscaling import BUSY, QUEUED, QueuePolicy


@pytest.mark.parametrize(
    ("now", "queued", "busy", "wanted"),
    [
        (2, [0.0, 0.0], [0.9, 0.9], 2),
        (2, [0.4, 0.4], [1.0, 1.0], 3),
        (2, [9.0, 9.0], [1.0, 1.0], 4),
        (4, [1.2, 0.0, 0.0, 0.0], [1.0, 0.2, 0.2, 0.2], 4),
        (4, [0.0] * 4, [0.3] * 4, 3),
        (4, [0.0] * 4, [0.5] * 4, 4),
        (1, [0.0], [0.0], 1),
        (3, [], [], 3),
    ],
)
def test_how_many_are_wanted(now: int, queued: list[float], busy: list[float], wanted: int) -> None:
    """More as the mean queue is longer than 0.3 s, at most twice as many; one less where 60 % of the rest is enough."""
    assert wanted == QueuePolicy(0.3).wanted(now, queued, busy)


def test_serve_asks_the_policy_within_its_bounds() -> None:
    """As Serve does: made anew from what the deployment's options say, with the context that it hands out."""
    policy: AutoscalingPolicy = options(parse({"min_replicas": 2, "max_replicas": 3}))["autoscaling_config"].policy
    asked = policy.get_policy()(**policy.policy_kwargs)

    def decided(queued: float) -> Any:
        metrics = {QUEUED: {"a": queued, "b": queued}, BUSY: {"a": 0.0, "b": 0.0}}
        context = SimpleNamespace(
            aggregated_metrics=metrics,
            current_num_replicas=2,
            capacity_adjusted_min_replicas=2,
            capacity_adjusted_max_replicas=3,
        )
        return asked(context)[0]

    assert (3, 2) == (decided(9.0), decided(0.0))
