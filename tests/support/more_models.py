"""Model folders made from another: many that answer differently, and some that seem large."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"


def variants(source: Path, root: Path, count: int) -> list[str]:
    """Ids of so many copies of a model whose answers all differ."""
    tensors = load_file(source / WEIGHTS)
    ids = [f"org/variant-{index}" for index in range(count)]
    for index, model_id in enumerate(ids):
        shutil.copytree(source, root / model_id)
        turned = torch.randn(tensors["classifier.weight"].shape, generator=torch.Generator().manual_seed(index))
        save_file(tensors | {"classifier.weight": turned}, root / model_id / WEIGHTS, {"format": "pt"})
    return ids


def with_ballast(source: Path, folder: Path, size: int) -> None:
    """A copy of a model with one more tensor of so many bytes, which it never reads and which takes no disk."""
    shutil.copytree(source, folder)
    path = folder / WEIGHTS
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    at = len(content) - end
    header["ballast"] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [at, at + size]}
    written = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(written).to_bytes(8, "little") + written + content[end:])
        file.truncate(8 + len(written) + at + size)
