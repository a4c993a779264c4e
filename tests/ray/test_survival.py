"""What fails while clients ask, and what they notice of it: nothing."""

from typing import Any

import pytest
import redis

from tests.ray.conftest import MODEL, Deployed
from tests.support.ray_cluster import kill
from tests.support.server_process import wait_until
from tests.support.steady_clients import Seen, post, settled, steady_clients

TEXTS = [f"{word} number {number}" for number in range(8) for word in ("good", "bad")]
PATH = f"/models/{MODEL}"
BUSY = 5.0
"""Times as many seconds as a quiet machine needs, at most: others may use this one."""


@pytest.fixture(scope="module")
def expected(deployed: Deployed) -> dict[bytes, bytes]:
    """Requests, and the bodies of their answers."""
    token = f"authorization: {deployed.headers['authorization']}\r\n"
    return {
        post(PATH, text, use_cache=False, headers=token): deployed.ask(text, deployed.urls[0]).content for text in TEXTS
    }


def nothing_noticed(seen: Seen) -> bool:
    """Whether every answer was right."""
    assert seen.right
    assert (0, {}) == (seen.wrong, dict(seen.failed))
    return True


def test_redis_that_goes_away_is_missed_by_nobody(deployed: Deployed, expected: dict[bytes, bytes]) -> None:
    """Answers are computed, limits are counted by each replica for itself."""
    with steady_clients(deployed.addresses[:1], expected, 4) as seen:
        assert settled(seen, 20, 30)
        with redis.Redis.from_url(deployed.redis) as client:
            client.shutdown(nosave=True)
        assert settled(seen, 40, 30)

    assert nothing_noticed(seen)


def test_a_replica_that_dies_is_noticed_by_nobody_and_replaced(
    deployed: Deployed, expected: dict[bytes, bytes]
) -> None:
    """Its requests are answered by the other one."""
    nodes = deployed.cluster.nodes
    victim = next(pid for one in reversed(nodes) for pid in one.replicas())
    with steady_clients(deployed.addresses[:1], expected) as seen:
        assert settled(seen, 50, 60)
        kill([victim])
        assert settled(seen, 50, 60)
        assert wait_until(lambda: sum(len(one.replicas()) for one in nodes) == 2, 15 * BUSY)
        assert settled(seen, 50, 60)

    assert nothing_noticed(seen)
    assert seen.slowest < 3 * BUSY


def test_a_node_that_dies_is_noticed_by_nobody_and_replaced(deployed: Deployed, expected: dict[bytes, bytes]) -> None:
    """Who asks at another node's proxy gets every answer, and the replica comes back elsewhere."""
    head, other = deployed.cluster.nodes
    with steady_clients(deployed.addresses[:1], expected) as seen:
        assert settled(seen, 50, 60)
        other.kill()
        assert settled(seen, 50, 60)
        assert wait_until(lambda: len(head.replicas()) == 2, 30 * BUSY)
        assert settled(seen, 50, 60)

    assert nothing_noticed(seen)
    assert seen.slowest < 3 * BUSY


def test_a_node_without_the_models_is_named_and_the_deployment_does_not_try_for_ever(deployed: Deployed) -> None:
    """The status has one sentence, with the node and the folder."""
    folder = str(deployed.folder / "gone")
    status: list[dict[str, Any]] = []
    done = deployed.cluster.deploy({**deployed.arguments, "models_dir": folder})
    assert done.returncode == 0, done.stderr

    def failed() -> bool:
        status.append(deployed.cluster.status())
        return "DEPLOY_FAILED" == status[-1]["status"]

    assert wait_until(failed, 120)

    said = status[-1]["deployment"]
    address = deployed.cluster.nodes[0].address
    assert f"The replica on the node {address} cannot start: models_dir is '{folder}', which cannot be read" in said
