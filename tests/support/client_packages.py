"""Packages of clients that tests run, installed once and kept in `.cache/clients`."""

import fcntl
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.support.paths import ROOT, TESTS
from tests.support.tools import missing, program

CACHE = ROOT / ".cache/clients"
NODE = TESTS / "clients/node"


def installed(folder: Path, *commands: list[str]) -> Path:
    """The folder, made by installing commands the first time, by one process at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for command in commands:
                done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
                if done.returncode:
                    missing(f"cannot install: {done.stderr[-300:]}")
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The interpreter of an environment with the huggingface_hub of September 2024."""
    folder = CACHE / "huggingface_hub-0.25.2"
    make = [sys.executable, "-m", "venv", "."]
    return installed(folder, make, [str(folder / "bin/pip"), "install", "-q", "huggingface_hub==0.25.2"]) / "bin/python"


@pytest.fixture(scope="session")
def node() -> list[str]:
    """A command that runs the script of the JavaScript clients."""
    program("node")
    package = NODE / "package.json"
    folder = CACHE / f"node-{zlib.crc32(package.read_bytes()):08x}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (package, NODE / "inference.mjs"):
        copied = shutil.copy(file, folder / f"{file.name}.new{os.getpid()}")
        Path(copied).replace(folder / file.name)  # at once: another process may be reading it
    installed(folder, [program("npm"), "install", "--no-package-lock", "--no-audit", "--no-fund"])
    return ["node", str(folder / "inference.mjs")]


@pytest.fixture(scope="session")
def inference_package() -> Path:
    """A folder where Node finds the newest @huggingface/inference."""
    program("node")
    command = [program("npm"), "install", "--no-package-lock", "--prefix", ".", "@huggingface/inference@4.13.30"]
    return installed(CACHE / "inference-4.13.30", command)


def python_with(package: str) -> str:
    """An interpreter that has a package of the extras for clients; without one the test is skipped, or fails.

    `TESTS_CLIENTS_PYTHON` names one or several, as PATH does; by default it is this one. It fails where
    `TESTS_REQUIRE_CLIENTS` is 1.
    """
    look = f"import importlib.metadata as found; found.version({package!r})"
    for python in os.environ.get("TESTS_CLIENTS_PYTHON", sys.executable).split(os.pathsep):
        if not subprocess.run([python, "-c", look], capture_output=True, timeout=60, check=False).returncode:
            return python
    return missing(f"the package {package} is not installed", "TESTS_REQUIRE_CLIENTS")
