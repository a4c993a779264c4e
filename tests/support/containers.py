"""Containers of podman, with images and volumes of their own that are gone at the end."""

import os
import shutil
import socket
import subprocess
import sys
from ast import literal_eval
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT

BASE = "localhost/labeld-base"
NO_SYSTEMD = "unable to get systemd connection"
"""podman's complaint where nobody starts health checks by a timer; `podman healthcheck run` works all the same."""


@dataclass(frozen=True)
class Podman:
    """podman with its own storage."""

    environment: dict[str, str]

    def __call__(self, *arguments: str, seconds: float = 60) -> "subprocess.CompletedProcess[str]":
        """What a command prints, with its exit code; its complaints about a missing systemd are left out of stderr."""
        done = subprocess.run(
            ["podman", *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=ROOT,
            env=self.environment,
        )
        done.stderr = "".join(line for line in done.stderr.splitlines(keepends=True) if NO_SYSTEMD not in line)
        return done

    def clear(self) -> None:
        """Removes every container, volume and image of this storage."""
        for what in ("container", "volume"):
            self(what, "rm", "--all", "--force")
        self("image", "rm", "--all", "--force")

    def output(self, *arguments: str, seconds: float = 60) -> str:
        """What a command prints; fails the test with its stderr when it fails."""
        done = self(*arguments, seconds=seconds)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout.strip()


def working_podman(folder: Path) -> Podman:
    """Podman with a base image, all below the folder; skips the test with the reason where it does not run here."""
    for name in ("podman", "mmdebstrap"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    storage = folder / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    settings = folder / "containers.conf"
    podman = Podman({**os.environ, "CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(settings)})
    settings.write_text("")
    made = subprocess.run(
        [ROOT / "deploy/base-image.sh", BASE],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=podman.environment,
    )
    if made.returncode:
        pytest.skip(f"no base image can be made here: {_last_line(made.stderr)}")
    refusals = []
    for runtime in ("crun", "runc"):
        settings.write_text(_settings(runtime))
        tried = podman("run", "--rm", BASE, "true")
        if tried.returncode == 0:
            return podman
        refusals.append(_last_line(tried.stderr))
    pytest.skip("no container can be run here: " + "; ".join(refusals))


def index_options(folder: Path) -> list[str]:
    """Options of `podman build` with which pip finds the package index that it finds on this machine."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    options: dict[str, str] = {}
    mounted = []
    for line in listed.stdout.splitlines():
        name, _, quoted = line.partition("=")
        option, value = name.split(".", 1)[1].strip("."), str(literal_eval(quoted))
        if option == "cert":
            mounted.append(f"--volume={value}:{value}:ro")
            options[option] = value
        elif option in {"index-url", "extra-index-url", "proxy", "trusted-host"}:
            reachable = [word for word in value.split() if not word.startswith("file:")]
            if reachable:
                options[option] = " ".join(reachable)
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
    return ["--network=host", f"--volume={file}:/etc/pip.conf:ro", *mounted]


def free_port() -> int:
    """A port of the loopback address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settings(runtime: str) -> str:
    """Podman's settings: the network of this machine, and limits that a process without rights over it may set."""
    return (
        '[containers]\nnetns = "host"\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
        f'[engine]\nruntime = "{runtime}"\n'
    )


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
