"""The virtual environment of a peer: made once with pip, and kept until the script's dependencies change."""

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from rich.progress import Progress

from benchmarks.lib.peer import Peer, PeerError

COMPLETE = "complete.json"
"""Written last, with the versions of all packages; a folder without it is made anew."""
ALSO_MAIN = {"numpy", "onnx", "onnxruntime", "openvino", "tokenizers", "torch", "transformers", "uvicorn"}
"""Packages whose versions are shown although no script may name them."""
REASON = 300
"""Characters of the end of pip's output that are shown."""


class Environment(NamedTuple):
    """The Python of a peer, and the versions of its main packages."""

    python: Path
    versions: dict[str, str]
    """By package."""


def environment(peer: Peer, cache: Path, progress: Progress) -> Environment:
    """The peer's environment under the cache folder; raises PeerError when it cannot be installed."""
    if platform.python_version() not in SpecifierSet(peer.requires_python):
        raise PeerError(f"it needs Python {peer.requires_python}, and this is {platform.python_version()}.")
    facts = json.dumps([platform.python_version(), peer.requires_python, *peer.dependencies])
    folder = cache / "peers" / f"{peer.name}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    if not (folder / COMPLETE).exists():
        _make(folder, peer, progress)
    versions = json.loads((folder / COMPLETE).read_text())
    named = {re.split(r"[\s\[<>=!~;]", one, maxsplit=1)[0].lower().replace("_", "-") for one in peer.dependencies}
    main = {name: version for name, version in versions.items() if name in named | ALSO_MAIN}
    return Environment(folder / "bin" / "python", main)


def _make(folder: Path, peer: Peer, progress: Progress) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    task = progress.add_task(f"{peer.title}: installing", total=None)
    python = str(folder / "bin" / "python")
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        if peer.dependencies:
            _run([python, "-m", "pip", "install", "--progress-bar", "off", *peer.dependencies], task, progress, peer)
        frozen = _run([python, "-m", "pip", "list", "--format", "json"], task, progress, peer)
        listed = next(line for line in reversed(frozen) if line.startswith("["))
        versions = {one["name"].lower().replace("_", "-"): one["version"] for one in json.loads(listed)}
        (folder / COMPLETE).write_text(json.dumps(versions))
    finally:
        progress.remove_task(task)


def _run(command: list[str], task: int, progress: Progress, peer: Peer) -> list[str]:
    """Runs pip; the lines that it writes, of which the last is shown beside the progress."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip())
                progress.update(task, description=f"{peer.title}: {line.strip()[:60]}")  # type: ignore[arg-type]
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        errors = [line for line in lines if "ERROR" in line or "error:" in line] or lines
        raise PeerError(f"it cannot be installed: {' '.join(errors)[-REASON:]}")
    return lines
