"""The machine, versions and commit of a run."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import gmtime, strftime
from typing import Any

from labeld.system.cpu import usable_cores

PACKAGES = ("labeld", "openvino", "numpy", "tokenizers", "uvicorn", "torch", "transformers")
BUSY = 0.5
"""Load average above which figures are not to be trusted."""


def describe() -> dict[str, Any]:
    """Processor, cores, versions, commit, date, and the load average of the last minute."""
    return {
        "date": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()),
        "cpu": _cpu(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    family = f"family {named.get('cpu family')} model {named.get('model')}"
    wide = [flag for flag in ("avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if flag in named.get("flags", "")]
    return f"{named.get('model name', platform.processor())} ({', '.join((family, *wide))})"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """Commit of the source tree, with `+changes` when it differs from it."""
    root = Path(__file__).parents[2]
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
