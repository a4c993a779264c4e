"""The files of deploy/ are what Kubernetes, Compose and systemd take, by schemas and tools of theirs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.deployment import DEPLOY, UNIT, document, documents, ray_pods
from tests.support.server_process import LABELD
from tests.support.tools import program

KUBERNETES = DEPLOY / "kubernetes"
OF_OPERATORS = {"Kustomization", "Component", "PodMonitor", "RayService"}
"""Kinds that Kubernetes does not have itself."""
EXPOSURE = 20
"""Tenths; systemd-analyze calls up to 20 OK or safe, 100 unsafe."""


def resources() -> list[tuple[str, Any]]:
    """Every resource of Kubernetes' own kinds, with its file; a patch is none."""
    return [
        (path.name, one)
        for path in sorted(DEPLOY.rglob("*/*.yaml"))
        for one in documents(path)
        if "kind" in one and one["kind"] not in OF_OPERATORS and path.name != "models.yaml"
    ]


@pytest.mark.parametrize(("name", "resource"), resources())
def test_a_resource_is_one_of_kubernetes(name: str, resource: Any) -> None:
    """By the schema of the newest version that the package has, which takes no unknown field."""
    valid(resource)


@pytest.mark.parametrize("pod", ray_pods())
def test_a_pod_of_ray_is_one_of_kubernetes(pod: Any) -> None:
    """The templates of the RayService, as pods."""
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": pod}

    valid(made)


def test_the_schemas_refuse_a_field_that_is_misspelled() -> None:
    """Or the tests above could not fail."""
    deployment = document(KUBERNETES / "base/deployment.yaml")
    deployment["spec"]["template"]["spec"]["terminationGraceSeconds"] = 1

    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGraceSeconds"):
        valid(deployment)


def test_kustomizations_name_files_that_are_there() -> None:
    """Every resource, component, patch and file of variables but the secrets, and no manifest is forgotten."""
    named = set()
    for path in KUBERNETES.rglob("kustomization.yaml"):
        one = document(path)
        generated = [name for maker in one.get("configMapGenerator", []) for name in maker.get("envs", [])]
        patches = [patch["path"] for patch in one.get("patches", []) if "path" in patch]
        for name in (*one.get("resources", []), *one.get("components", []), *patches, *generated):
            target = (path.parent / name).resolve()
            named.add(target / "kustomization.yaml" if target.is_dir() else target)
    tops = {KUBERNETES / "example/kustomization.yaml", KUBERNETES / "autoscaling/prometheus-adapter-values.yaml"}

    assert named | tops == {path for path in KUBERNETES.rglob("*") if path.suffix in {".yaml", ".env"}} - {
        KUBERNETES / "example/secret.env"
    }


@pytest.mark.parametrize("name", ["base", "example"])
def test_kubectl_renders(tmp_path: Path, name: str) -> None:
    """What kustomize makes of an overlay is valid, too; without kubectl, which few machines have, nobody knows."""
    kubectl = shutil.which("kubectl") or pytest.skip("kubectl is not installed")
    copy = shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    (copy / "example/secret.env").write_text("LABELD_TOKENS_SECRET=secret\n")
    done = subprocess.run([kubectl, "kustomize", copy / name], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    kinds = [one["kind"] for one in map(valid, yaml.safe_load_all(done.stdout))]
    assert kinds.count("Deployment") == 1
    assert ("HorizontalPodAutoscaler" in kinds) == (name == "example")


def valid(resource: Any) -> Any:
    """The resource; raises ValidationError if Kubernetes would not take it."""
    if resource["kind"] not in OF_OPERATORS:
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
    return resource


def test_containers_are_hardened() -> None:
    """No root, no capability, no privilege to gain; labeld's own also has a root file system that is read-only."""
    pod = document(KUBERNETES / "base/deployment.yaml")["spec"]["template"]["spec"]
    for one in (pod, *ray_pods()):
        assert one["securityContext"]["runAsNonRoot"] is True
        (container,) = one["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_compose_file_is_one_of_compose() -> None:
    """By the schema of the Compose specification."""
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_compose_publishes_on_the_loopback_address_and_holds_no_secret() -> None:
    """Every service restarts, is limited and is looked at; secrets are variables without a default."""
    services = document(DEPLOY / "compose.yaml")["services"]

    assert [port for one in services.values() for port in one.get("ports", [])] == ["127.0.0.1:8080:8080"]
    secrets = [
        value
        for one in services.values()
        for name, value in one.get("environment", {}).items()
        if re.search("SECRET|PASSWORD", name)
    ]
    assert len(secrets) == 4
    assert all(re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value) for value in secrets)
    for name, one in services.items():
        assert one["restart"] == "unless-stopped"
        assert one["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert "healthcheck" in one or name == "labeld"  # the image has its own


@pytest.fixture
def installed_unit(tmp_path: Path) -> Path:
    """The unit, with the command of this environment."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/labeld/bin/labeld", LABELD))
    return path


def test_systemd_takes_the_unit(installed_unit: Path) -> None:
    """Without a warning."""
    done = subprocess.run(
        [program("systemd-analyze"), "verify", installed_unit], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_hardened(installed_unit: Path) -> None:
    """By the rating of systemd itself."""
    rating = [program("systemd-analyze"), "security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager"]
    done = subprocess.run([*rating, installed_unit], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-300:]
