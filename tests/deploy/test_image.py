"""The image of deploy/Containerfile, built and run as the guide says: `pytest -m container`."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.containers import BASE, Podman, free_port, index_options, working_podman
from tests.support.paths import PACKAGE

pytestmark = pytest.mark.container

IMAGE = "localhost/labeld"
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
START_LIMIT = 60.0
SIZE_LIMIT = 600_000_000
"""Bytes of the image with its base; torch alone would be beyond."""
STATE = "/var/lib/labeld"
ANONYMOUS = ("--env", "LABELD_ALLOW_ANONYMOUS=1")


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Podman with the image; all that it made is gone at the end."""
    folder = tmp_path_factory.mktemp("podman")
    running = working_podman(folder)
    built = ("build", "--format=docker", "--layers=false", "--file=deploy/Containerfile", f"--tag={IMAGE}")
    try:
        running.output(*built, f"--build-arg=BASE={BASE}", *index_options(folder), ".", seconds=400)
        yield running
    finally:
        running.clear()


@contextmanager
def container(podman: Podman, *options: str, command: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Id and URL of a hardened container that is healthy."""
    port = free_port()
    made = podman.output("run", "--detach", *HARDENED, f"--env=LABELD_PORT={port}", *options, IMAGE, *command)
    try:
        end = time.monotonic() + START_LIMIT
        while podman("healthcheck", "run", made).returncode:
            assert time.monotonic() < end, podman("logs", made).stderr
            time.sleep(0.5)
        yield made, f"http://127.0.0.1:{port}"
    finally:
        podman("rm", "--force", "--time=0", made)


def labels(reply: requests.Response) -> list[str]:
    """The best label of each text of a good reply."""
    assert reply.status_code == 200, reply.text
    return [ranking[0]["label"] for ranking in reply.json()]


def test_the_default_command_serves_the_bundled_model_and_ends_in_order(podman: Podman) -> None:
    """As a user without rights, on a file system that is read-only: it gets healthy, answers, and ends with 0."""
    with container(podman, *ANONYMOUS) as (made, url):
        assert labels(requests.post(url, json={"inputs": "I like you. I love you"}, timeout=30)) == ["POSITIVE"]
        assert podman.output("inspect", made, "--format={{.State.Health.Status}}") == "healthy"
        assert podman.output("exec", made, "stat", "--format=%u:%g", "/proc/1") == "10001:10001"
        write = "import pathlib; pathlib.Path('/opt/labeld/x').touch()"
        assert "Read-only file system" in podman("exec", made, "python3", "-c", write).stderr

        podman.output("stop", "--time=40", made)

        assert podman.output("inspect", made, "--format={{.State.ExitCode}}") == "0", podman("logs", made).stderr


def test_the_image_has_only_what_runs(podman: Podman) -> None:
    """It is small, says what it is, and has no compiler and no pip of its own."""
    (found,) = json.loads(podman.output("image", "inspect", IMAGE))
    assert found["Size"] < SIZE_LIMIT
    assert found["Labels"]["org.opencontainers.image.title"] == "labeld"
    look = "import importlib.util as u, shutil; print(u.find_spec('pip'), shutil.which('gcc'), shutil.which('cc'))"
    assert podman.output("run", "--rm", "--entrypoint=/opt/labeld/bin/python", IMAGE, "-c", look) == "None None None"


def test_access_tokens_live_in_the_volume(podman: Podman) -> None:
    """One that a first container made lets a client of a second one in, and nobody else."""
    token = podman.output("run", "--rm", *HARDENED, f"--volume=tokens:{STATE}", IMAGE, "tokens", "create", "app")
    with container(podman, f"--volume=tokens:{STATE}") as (_, url):
        body = {"inputs": "Guten Morgen, wie geht es dir?"}
        model = f"{url}/models/labeld/language-20"
        refused = requests.post(model, json=body, timeout=30)
        answered = requests.post(
            model, json=body, headers={"authorization": f"Bearer {token}", "x-wait-for-model": "true"}, timeout=30
        )

    assert refused.status_code == 401
    assert labels(answered) == ["de"]


def test_models_of_ones_own_are_served_from_a_volume(podman: Podman, tmp_path: Path) -> None:
    """A folder with org/name, mounted at /models."""
    shutil.copytree(PACKAGE / "bundled/labeld/sentiment-en", tmp_path / "models/org/mine")
    models = f"--volume={tmp_path}/models:/models:ro"
    with container(podman, *ANONYMOUS, models, command=("serve", "org/mine")) as (_, url):
        assert labels(requests.post(f"{url}/models/org/mine", json={"inputs": "good"}, timeout=30)) == ["POSITIVE"]


def test_without_an_access_token_it_does_not_start(podman: Podman) -> None:
    """Because it listens on an address that others reach; the sentence says what to do."""
    refused = podman("run", "--rm", *HARDENED, IMAGE)

    assert (refused.returncode, "make one with `labeld tokens create NAME`" in refused.stderr) == (1, True)


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_volume_that_cannot_be_written_is_named(podman: Podman, tmp_path: Path, mode: str) -> None:
    """One of another user, or mounted read-only: one sentence, no traceback, exit code 1."""
    state = tmp_path / "state"
    state.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root's folder is another user's in a container")
    refused = podman("run", "--rm", *HARDENED, f"--volume={state}:{STATE}:{mode}", IMAGE, "tokens", "create", "app")

    assert refused.returncode == 1
    assert refused.stderr.startswith("labeld: The database of access tokens cannot be ")
    assert refused.stderr.count("\n") == 1
