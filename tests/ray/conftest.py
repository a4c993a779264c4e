"""One cluster of two nodes for all tests that need one, with access tokens in PostgreSQL and a Redis."""

import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from labeld.auth.database_url import locate
from labeld.auth.records import NewToken
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore
from tests.support.postgres_process import Postgres
from tests.support.ray_cluster import Cluster, cluster
from tests.support.redis_process import redis_server

REQUIRED = "TESTS_REQUIRE_RAY"
"""Environment variable; 1, as .ci/clusters sets it, makes a failure of Ray's absence."""
SECRET = "0f" * 32
MODEL = "labeld/sentiment-en"
BROKEN = "org/broken"

collect_ignore_glob = [] if find_spec("ray") and "PYTEST_XDIST_WORKER" not in os.environ else ["test_*.py"]
"""NOTE: they have one cluster, which some of them break, so they run in one process: `pytest tests/ray -n 0`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests need Ray."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("ray")


if find_spec("ray"):
    with warnings.catch_warnings(action="ignore"):  # Ray's own, of the libraries that it uses
        import_module("ray.serve")
elif os.environ.get(REQUIRED) == "1":
    pytest.exit(f"Ray is not installed, and {REQUIRED} is 1", 1)


@dataclass
class Deployed:
    """labeld on a cluster."""

    cluster: Cluster
    database: str
    redis: str
    folder: Path
    headers: dict[str, str]
    """With an access token."""

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Of the proxies of the nodes that live, the head's first."""
        return [(one.address, one.port) for one in self.cluster.nodes if one.process]

    @property
    def urls(self) -> list[str]:
        """The same as URLs."""
        return [f"http://{address}:{port}" for address, port in self.addresses]

    @property
    def arguments(self) -> dict[str, object]:
        """Of the application."""
        return {
            "models": [MODEL, BROKEN],
            "models_dir": str(self.folder / "models"),
            "tokens_db": self.database,
            "cache": self.redis,
            "num_replicas": 2,
            "max_body_bytes": 100_000,
            "body_timeout": 2,
            "keep_alive_timeout": 75,
        }

    def token(self, name: str, **wanted: object) -> dict[str, str]:
        """The header with a new access token."""
        location = locate(self.database)
        store = TokenStore(location, open_secret(location, SECRET))
        try:
            _, text = store.create(NewToken(name, **wanted))  # type: ignore[arg-type]  # its fields
        finally:
            store.close()
        return {"authorization": f"Bearer {text}"}

    def ask(self, inputs: str | list[str], url: str, headers: dict[str, str] | None = None) -> requests.Response:
        """Classifies a text, or several, computed anew."""
        own = {"x-use-cache": "0", "x-wait-for-model": "1", **(headers or self.headers)}
        return requests.post(f"{url}/models/{MODEL}", json={"inputs": inputs}, headers=own, timeout=60)


@pytest.fixture(scope="session")
def deployed(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Labeld with two replicas, of whose models one cannot be loaded."""
    folder = tmp_path_factory.mktemp("ray")
    broken = folder / "models" / BROKEN
    broken.mkdir(parents=True)
    bundled = Path(__file__).parents[2] / "src/labeld/bundled" / MODEL
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (broken / name).write_bytes((bundled / name).read_bytes())
    (broken / "model.safetensors").write_bytes(b"no weights")
    quick = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1"}
    with redis_server(folder) as redis, cluster(cpus=2, LABELD_TOKENS_SECRET=SECRET, **quick) as running:
        found = Deployed(running, postgres.database(), redis, folder, {})
        found.headers = found.token("tests")
        done = running.deploy(found.arguments)
        assert done.returncode == 0, done.stderr
        running.wait_ready(2)
        yield found


def sentence(reply: requests.Response) -> str:
    """The sentence of an error."""
    return str(json.loads(reply.content)["error"])
