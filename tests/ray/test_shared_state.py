"""What all replicas share: access tokens in PostgreSQL, and answers and limits per minute in Redis."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from labeld.auth.database_url import locate
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore
from tests.ray.conftest import MODEL, SECRET, Deployed, sentence
from tests.support.server_process import wait_until


@pytest.fixture
def store(deployed: Deployed) -> Iterator[TokenStore]:
    """The access tokens."""
    location = locate(deployed.database)
    opened = TokenStore(location, open_secret(location, SECRET))
    yield opened
    opened.close()


def test_a_token_counts_at_every_replica_and_no_longer_when_it_is_revoked(
    deployed: Deployed, store: TokenStore
) -> None:
    """It was made a moment ago, elsewhere; a revoked one is refused everywhere within seconds."""
    headers = deployed.token("passing")
    [token_id] = [one.token_id for one in store.everything() if one.name == "passing"]
    assert {200} == {deployed.ask("good", url, headers).status_code for _ in range(4) for url in deployed.urls}

    store.revoke(token_id)

    def refused() -> bool:
        return {401} == {deployed.ask("good", url, headers).status_code for _ in range(4) for url in deployed.urls}

    assert wait_until(refused, 20)
    assert 401 == requests.post(f"{deployed.urls[0]}/models/{MODEL}", data="x", timeout=10).status_code


def test_a_limit_per_minute_is_one_limit_for_all_replicas(deployed: Deployed) -> None:
    """Whichever replicas the requests reach, so many are answered and the others are told when to come back."""
    headers = deployed.token("limited", per_minute=20)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: deployed.ask("good", deployed.urls[number % 2], headers), range(60)))

    assert 20 == [one.status_code for one in replies].count(200)
    refused = [one for one in replies if one.status_code != 200]
    assert {(429, '"fixed window";"api";q=20;w=60')} == {
        (one.status_code, one.headers["ratelimit-policy"]) for one in refused
    }
    assert "may send 20 requests per minute" in sentence(refused[0])


def test_an_answer_that_one_replica_has_computed_is_cached_for_the_other(deployed: Deployed) -> None:
    """It is in Redis a moment later, so nobody computes it again."""
    url = f"{deployed.urls[0]}/models/{MODEL}"
    text = f"a text of {time.time()}"

    def kinds() -> list[str]:
        asked = [
            requests.post(url, json={"inputs": text}, headers={**deployed.headers, "connection": "close"}, timeout=30)
            for _ in range(16)
        ]
        return [one.headers["x-compute-type"] for one in asked]

    first = kinds()
    assert "cpu" == first[0]
    assert 16 == kinds().count("cache")


def test_metrics_are_exported_by_ray(deployed: Deployed) -> None:
    """With those of Serve, on each node, one series for each replica."""
    ports = [
        argument.partition("=")[2]
        for one in deployed.cluster.nodes
        for argument in one.arguments
        if "export" in argument
    ]
    nodes = [one.address for one in deployed.cluster.nodes]

    def exported() -> bool:
        pages = [
            requests.get(f"http://{address}:{port}/metrics", timeout=10).text
            for address, port in zip(nodes, ports, strict=True)
        ]
        return all("labeld_requests" in page and "labeld_queued_seconds" in page for page in pages)

    assert wait_until(exported, 30)
