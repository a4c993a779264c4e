"""What fails while clients ask, and what they notice of it: nothing."""

from collections.abc import Callable, Iterator
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


@pytest.fixture
def deploy(deployed: Deployed) -> Iterator[Callable[..., None]]:
    """Deploys labeld anew with other arguments, or without those that are None, for one test."""

    def change(count: int, **arguments: object) -> None:
        before, wanted = deployed.cluster.replicas(), {**deployed.arguments, **arguments}
        done = deployed.cluster.deploy({name: value for name, value in wanted.items() if value is not None})
        assert done.returncode == 0, done.stderr
        assert wait_until(
            lambda: not before & deployed.cluster.replicas() and len(deployed.cluster.replicas()) == count, 60 * BUSY
        )
        deployed.cluster.wait_ready(count)

    yield change
    change(2)


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
        assert wait_until(lambda: len(deployed.cluster.replicas()) == 2, 15 * BUSY)
        assert settled(seen, 50, 60)

    assert nothing_noticed(seen)
    assert seen.slowest < 3 * BUSY


def test_a_replica_whose_engine_hangs_is_replaced(
    deployed: Deployed, deploy: Callable[..., None], expected: dict[bytes, bytes]
) -> None:
    """A batch that runs for longer than batch_timeout: its caller is asked to retry, and nobody gets a wrong answer.

    Others are refused until it has gone. It computes on the other replica's cores: HAProxy may take that one for dead,
    too, and then ends a connection.
    """
    deploy(2, batch_timeout=1, batch_tokens=8000)
    before = deployed.cluster.replicas()
    with steady_clients(deployed.addresses[:1], expected, 4) as seen:
        assert settled(seen, 50, 60)
        reply = deployed.ask(["good " * 400] * 20, deployed.urls[0])  # 8,000 tokens, each of which sees all others
        assert 503 == reply.status_code
        assert reply.headers["retry-after"]
        assert wait_until(
            lambda: not before <= deployed.cluster.replicas() and len(deployed.cluster.replicas()) == 2, 30 * BUSY
        )
        assert settled(seen, 50, 60)

    assert 0 == seen.wrong
    assert seen.failed.keys() <= {"429", "503", "ended without a reply"}


def test_there_are_more_replicas_while_work_waits(deployed: Deployed, deploy: Callable[..., None]) -> None:
    """The queue of the one replica is longer than asked for, so another one starts."""
    deploy(1, num_replicas=None, min_replicas=1, max_replicas=2, target_queued_seconds=0.05)
    text = "good " * 200
    request = post(PATH, text, use_cache=False, headers=f"authorization: {deployed.headers['authorization']}\r\n")
    with steady_clients(deployed.addresses[:1], {request: deployed.ask(text, deployed.urls[0]).content}) as seen:
        assert wait_until(lambda: len(deployed.cluster.replicas()) == 2, 60 * BUSY)
        assert settled(seen, 50, 60)

    assert nothing_noticed(seen)


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
