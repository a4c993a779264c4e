"""The files of deploy/ and the guide name settings, metrics and times that labeld really has."""

import re
import shlex
from typing import Any

import pytest
import yaml

from labeld.config.load import load
from labeld.config.names import every_setting, flag, variable
from labeld.config.settings import Settings
from labeld.server.supervisor import KILL_GRACE
from tests.support.deployment import (
    BASE,
    DEPLOY,
    FILES,
    UNIT,
    assignments,
    document,
    documents,
    image_variables,
    ray_pods,
    ray_service,
    unit,
)
from tests.support.paths import PACKAGE, ROOT

GUIDE = ROOT / "docs/guides/deploying.md"
VARIABLES = {variable(one.name) for _, one, _ in every_setting()}
FLAGS = {flag(one.name) for _, one, _ in every_setting() if not one.metadata["secret"]}
REPLICAS = {"num_replicas", "num_cpus"}
"""Arguments of labeld.ray_serve:app that are no settings."""
EXAMPLE = {
    "LABELD_TOKENS_DB": "postgresql://labeld@postgres/labeld",
    "LABELD_TOKENS_SECRET": "0" * 64,
    "LABELD_CACHE_SECRET": "secret",
}
"""What a Secret has."""


def compose_variables() -> dict[str, str]:
    """The environment of the service, with the secrets filled in."""
    given = document(DEPLOY / "compose.yaml")["services"]["labeld"]["environment"]
    return {name: "0" * 64 if value.startswith("${") else value for name, value in given.items()}


def unit_variables() -> dict[str, str]:
    """The environment of the systemd unit."""
    return dict(word.split("=", 1) for word in unit("Environment"))


def cluster_variables() -> dict[str, str]:
    """The ConfigMap of the base, what the example adds to it, and a Secret."""
    (more,) = document(DEPLOY / "kubernetes/example/kustomization.yaml")["configMapGenerator"]
    return {**assignments(BASE / "settings.env"), **dict(one.split("=", 1) for one in more["literals"]), **EXAMPLE}


def environment(place: str) -> dict[str, str]:
    """All variables of a process that is started in one of the ways."""
    own = {"compose": compose_variables, "kubernetes": cluster_variables, "systemd": unit_variables, "image": dict}
    return own[place]() if place == "systemd" else {**image_variables(), **own[place]()}


PLACES = ("compose", "image", "kubernetes", "systemd")


@pytest.mark.parametrize("path", [*FILES, GUIDE], ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Any) -> None:
    """Each LABELD_… or HF_… of the file."""
    named = set(re.findall(r"\b(?:LABELD|HF)_[A-Z0-9_]*[A-Z0-9]\b", path.read_text()))

    assert named <= VARIABLES


def test_every_flag_is_a_setting() -> None:
    """Each flag of a `labeld serve` of the guide, the unit and the notes."""
    commands = [
        command
        for path in (GUIDE, UNIT, DEPLOY / "README.md")
        for command in re.findall(r"labeld serve\b[^`\n]*", path.read_text().replace("\\\n", " "))
    ]
    named = {name for command in commands for name in re.findall(r"--[a-z][a-z-]+", command)}

    assert commands
    assert named <= FLAGS
    prose = set(re.findall(r"`(--[a-z][a-z-]+)", GUIDE.read_text()))
    others = {"--cpus", "--format", "--memory", "--stop-timeout"}  # of podman
    assert prose <= FLAGS | others


@pytest.mark.parametrize("place", PLACES)
def test_the_variables_have_possible_values(place: str) -> None:
    """Labeld reads them without a complaint; only the systemd unit stays on the loopback address."""
    settings = load({}, environment(place))

    assert settings.listen.is_loopback == (place == "systemd")
    assert settings.hub_policy() == ("any" if place == "systemd" else "allowlist")


@pytest.mark.parametrize("place", PLACES)
def test_nobody_may_ask_without_an_access_token(place: str) -> None:
    """No file says that anybody may."""
    assert not load({}, environment(place)).listen.allow_anonymous


def test_the_arguments_on_ray_are_settings() -> None:
    """Those of labeld's application, in the serve config of the RayService."""
    (application,) = yaml.safe_load(ray_service()["spec"]["serveConfigV2"])["applications"]
    arguments = application["args"]
    settings = {name: value for name, value in arguments.items() if name not in REPLICAS}

    assert application["import_path"] == "labeld.ray_serve:app"
    assert set(arguments) >= {"models", "precision", *REPLICAS}
    load({**settings, "host": "0.0.0.0"}, EXAMPLE)
    assert set(settings) <= {one.name for _, one, _ in every_setting()}


def test_every_node_of_ray_has_the_same_variables() -> None:
    """Head and workers take them from one ConfigMap and one Secret."""
    config, _ = documents(DEPLOY / "ray/rayservice.yaml")
    taken = [pod["containers"][0]["envFrom"] for pod in ray_pods()]

    assert taken[0][0] == {"configMapRef": {"name": config["metadata"]["name"]}}
    assert taken.count(taken[0]) == len(taken) == 2


def test_ray_has_the_same_variables_with_and_without_kubernetes() -> None:
    """Those of the ConfigMap are those of cluster.env, which also says the ports of HAProxy's own."""
    config, _ = documents(DEPLOY / "ray/rayservice.yaml")
    lines = shlex.split((DEPLOY / "ray/cluster.env").read_text(), comments=True)
    own = dict(line.split("=", 1) for line in lines)

    assert config["data"] == {name: value for name, value in own.items() if not name.endswith("_PORT")}


def test_each_way_waits_for_the_drain() -> None:
    """Whoever sends SIGTERM waits longer than labeld may take to end, and kills it only then."""

    def needed(variables: dict[str, str]) -> float:
        queue = load({}, variables).queue
        return queue.drain_delay + queue.drain_timeout + KILL_GRACE

    compose = document(DEPLOY / "compose.yaml")["services"]["labeld"]["stop_grace_period"]
    pod = document(BASE / "deployment.yaml")["spec"]["template"]["spec"]
    assert float(compose.removesuffix("s")) > needed(environment("compose"))
    assert float(unit("TimeoutStopSec")[0]) > needed(environment("systemd"))
    assert float(pod["terminationGracePeriodSeconds"]) > needed(environment("kubernetes"))
    named = [float(seconds) for seconds in re.findall(r"--stop-timeout (\d+)", GUIDE.read_text())]
    assert named
    assert min(named) > needed(environment("image"))


def test_the_autoscaler_and_the_adapter_name_a_metric() -> None:
    """One that /metrics has, with the same name in both."""
    sources = (PACKAGE / "web/monitoring/status.py").read_text()
    folder = DEPLOY / "kubernetes/autoscaling"
    (wanted,) = document(folder / "autoscaler.yaml")["spec"]["metrics"]
    (rule,) = document(folder / "prometheus-adapter-values.yaml")["rules"]["custom"]
    name = wanted["pods"]["metric"]["name"]

    assert f'"{name}"' in sources
    assert rule["name"]["as"] == name
    assert rule["seriesQuery"].startswith(f"{name}{{")


def test_probes_ask_routes_that_need_no_access_token() -> None:
    """/ready for readiness and /health for liveness, on the port on which the image listens."""
    (container,) = document(BASE / "deployment.yaml")["spec"]["template"]["spec"]["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("readiness", "liveness")}

    assert {kind: probe["path"] for kind, probe in probes.items()} == {"readiness": "/ready", "liveness": "/health"}
    assert {ports[probe["port"]] for probe in probes.values()} == {Settings().listen.port}


def test_pods_get_no_variables_of_services() -> None:
    """Else a Service that is called labeld gives LABELD_PORT=tcp://… to every pod of its namespace."""
    pods = [document(BASE / "deployment.yaml")["spec"]["template"]["spec"], *ray_pods()]

    assert [pod["enableServiceLinks"] for pod in pods] == [False] * 3


def test_the_image_has_the_version_of_the_package() -> None:
    """Its label is that of pyproject.toml."""
    version = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert re.findall(r'image\.version="(.*)"', (DEPLOY / "Containerfile").read_text()) == version
