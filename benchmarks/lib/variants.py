"""Copies of a model that answer differently: the same weights under another head."""

import json
import shutil
from pathlib import Path

import numpy as np

HEAD = "classifier.weight"


def variant(source: Path, folder: Path, seed: int) -> None:
    """A copy of a folder with a model.safetensors, whose classifier is shuffled by this seed."""
    shutil.copytree(source, folder)
    with (folder / "model.safetensors").open("r+b") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(header_bytes))[HEAD]
        begin, end = entry["data_offsets"]
        file.seek(8 + header_bytes + begin)
        dtype = {"F32": np.float32, "F16": np.float16}[entry["dtype"]]
        rows = np.frombuffer(file.read(end - begin), dtype).reshape(entry["shape"])
        shuffled = np.random.default_rng(seed).permutation(rows, axis=1)
        file.seek(8 + header_bytes + begin)
        file.write(shuffled.tobytes())
