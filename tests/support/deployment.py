"""The files of deploy/, as plain data."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.name not in {".env", "secret.env"})
UNIT = DEPLOY / "labeld.service"
BASE = DEPLOY / "kubernetes/base"


def documents(path: Path) -> list[Any]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text()))


def document(path: Path) -> Any:
    """The one document of a YAML file."""
    (only,) = documents(path)
    return only


def assignments(path: Path) -> dict[str, str]:
    """The variables of a file of NAME=value lines."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def unit(name: str) -> list[str]:
    """The values of a key of the systemd unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def image_variables() -> dict[str, str]:
    """What the image has set."""
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    return dict(word.split("=", 1) for word in block.replace("\\\n", " ").split())


def ray_service() -> dict[str, Any]:
    """The RayService of its file."""
    _, service = documents(DEPLOY / "ray/rayservice.yaml")
    assert service["kind"] == "RayService"
    return dict(service)


def ray_pods() -> list[dict[str, Any]]:
    """The pod specifications of the head and of each group of workers."""
    cluster = ray_service()["spec"]["rayClusterConfig"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
