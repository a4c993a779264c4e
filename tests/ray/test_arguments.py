"""What is wrong with the arguments is a sentence of labeld, before anything has started."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from labeld.ray_serve.application import ArgumentError, app, options
from labeld.ray_serve.arguments import parse
from labeld.ray_serve.replica import shares
from tests.support.paths import ROOT
from tests.support.postgres_process import Postgres

OPEN = {"allow_anonymous": "true"}


def refusal(arguments: dict[str, Any]) -> str:
    """The sentence with which the arguments are refused."""
    with pytest.raises(ArgumentError) as caught:
        app(arguments)
    return caught.value.message


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no database of access tokens."""
    monkeypatch.delenv("LABELD_TOKENS_DB")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"modles": "a/b"}, "modles is no argument of labeld: is it models?"),
        ({"num_replicas": "many"}, "num_replicas is 'many', but must be a whole number."),
        ({"num_replicas": 0}, "num_replicas is 0, but must be at least 1."),
        ({"min_replicas": 0, "max_replicas": 2}, "min_replicas is 0, but must be at least 1."),
        ({"min_replicas": 2}, "min_replicas is given without max_replicas: give both, or num_replicas."),
        ({"min_replicas": 3, "max_replicas": 2}, "max_replicas is 2, but must be at least min_replicas, 3."),
        ({"num_replicas": 3, "max_replicas": 4}, "num_replicas and max_replicas are given: give one of them."),
        ({"num_cpus": "-1"}, "num_cpus is '-1', but must be at least 0.1."),
        ({"memory": "much"}, "memory is 'much', but must be bytes like 4GiB or a share like 70%."),
        ({"port": 80}, "port is no argument on Ray Serve: it is http_options there."),
        ({"workers": 4}, "workers is no argument on Ray Serve: it is num_replicas there."),
        ({"precision": "int4"}, "precision has 'int4', but each part must be one of float32, bfloat16, int8, auto"),
        ({"max_inputs": "x"}, "max_inputs is 'x', but must be a whole number."),
        ({"hosts": "http://x"}, "hosts has 'http://x', but must have names like labeld.example.org"),
        ({"hub": "any"}, "hub is any, but host is 0.0.0.0, where others could fill this disk"),
        ({"models": "org/none"}, "models has org/none, which cannot be found: "),
        ({"pin": "org/none"}, "pin has org/none, which cannot be found: "),
        ({"tokens_secret": "0f"}, "tokens_secret is a secret, which Ray would show: set LABELD_TOKENS_SECRET"),
        ({"cache": "http://x"}, "The setting cache is not the address of a Redis"),
        ({"tokens_db": "/tmp/tokens.sqlite3"}, "tokens_db is a file, but the replicas of several nodes"),
        ({"tokens_db": "postgresql://x@127.0.0.1:1/x"}, "which needs a secret that all its servers share"),
        ({"allow_anonymous": "no"}, "Others reach an application of Ray Serve: give tokens_db=postgresql://"),
    ],
)
def test_a_wrong_argument_is_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    """It names the argument, what it is, and what it must be."""
    assert sentence in refusal({**OPEN, **arguments})


def test_a_model_whose_files_cannot_be_served_is_found_before(tmp_path: Path) -> None:
    """Where the folder of models is here; the sentence is that of the folder."""
    (tmp_path / "org/model").mkdir(parents=True)
    (tmp_path / "org/model/config.json").write_text("{}")

    said = refusal({**OPEN, "models": "org/model", "models_dir": str(tmp_path)})

    assert said.startswith("models has org/model, which cannot be served: config.json")


def test_a_database_without_an_access_token_would_let_nobody_in(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an application that is not open does not start with it."""
    monkeypatch.setenv("LABELD_TOKENS_SECRET", "0f" * 32)

    assert "There is no access token yet" in refusal({"tokens_db": postgres.database()})


def test_serve_run_prints_the_sentence_alone() -> None:
    """After the names of misspelt variables; no traceback, exit code 1, and no cluster."""
    script = "import sys; from ray.serve.scripts import cli; sys.argv[0] = 'serve'; cli()"
    command = [sys.executable, "-c", script, "run", "labeld.ray_serve:app", "num_replicas=x"]

    environment = os.environ | {"LABELD_PRECISON": "int8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    misspelt = "The environment variable LABELD_PRECISON is no setting: is it LABELD_PRECISION?\n"

    assert (1, f"{misspelt}Error: num_replicas is 'x', but must be a whole number.\n") == (done.returncode, done.stderr)


def test_settings_come_from_the_arguments_then_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, but a replica takes nothing from its own environment, except secrets."""
    monkeypatch.setenv("LABELD_MAX_INPUTS", "7")
    monkeypatch.setenv("LABELD_UDS", "/run/x")
    monkeypatch.setenv("LABELD_TOKENS_SECRET", "0f" * 32)
    arguments = parse({**OPEN, "models": "a/b,c/d", "precision": "int8"})
    monkeypatch.setenv("LABELD_MAX_INPUTS", "8")

    settings = arguments.settings()

    assert (("a/b", "c/d"), "int8", 7) == (
        settings.folders.models,
        settings.precisions.precision,
        settings.inputs.max_inputs,
    )
    assert not settings.listen.is_loopback
    assert (None, "0f" * 32) == (settings.listen.uds, settings.access.tokens_secret)


def test_the_serve_config_is_one_that_starts() -> None:
    """The arguments of deploy/ray/serve.yaml are right, and it names the deployment by its name."""
    [application] = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())["applications"]

    built = app(application["args"])

    assert [built._bound_deployment.name] == [one["name"] for one in application["deployments"]]


def test_a_replica_takes_its_share_of_the_node() -> None:
    """Threads are its cores; its budget is 70 % of the memory Ray reserves, or of its share of the node's."""
    node = {"CPU": 16.0, "memory": 1600.0 * 2**20}
    by_cores = shares(parse({**OPEN, "num_cpus": 4}), {"CPU": 4.0}, node)
    by_memory = shares(parse({**OPEN, "num_cpus": 4}), {"CPU": 4.0, "memory": 100.0 * 2**20}, node)
    explicit = shares(parse({**OPEN, "threads": 2, "memory_budget": "50%"}), {"CPU": 4.0}, node)

    assert (4, str(280 * 2**20)) == (by_cores["threads"], by_cores["memory_budget"])
    assert str(70 * 2**20) == by_memory["memory_budget"]
    assert (2, str(200 * 2**20)) == (explicit["threads"], explicit["memory_budget"])


def test_the_options_of_the_deployment() -> None:
    """A fixed number of replicas, or one that the queues decide."""
    fixed = options(parse({**OPEN, "num_replicas": 3, "num_cpus": 8, "memory": "16GiB"}))
    free = options(parse({**OPEN, "min_replicas": 2, "max_replicas": 9}))

    assert (3, 8.0, 16 * 2**30) == (
        fixed["num_replicas"],
        fixed["ray_actor_options"]["num_cpus"],
        fixed["ray_actor_options"]["memory"],
    )
    assert (2, 9) == (free["autoscaling_config"].min_replicas, free["autoscaling_config"].max_replicas)
    assert "num_replicas" not in free
