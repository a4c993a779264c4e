"""The folder of a student: config.json, weights, the teacher's tokenizer, and a card."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from labeld.checkpoint.file_names import CONFIG, TOKENIZER

WEIGHTS, CARD = "model.safetensors", "README.md"


def write_folder(folder: Path, model: Any, raw: Mapping[str, Any], teacher: Path) -> None:
    """Writes the model as transformers reads it; `raw` is the teacher's config.json. Raises OSError."""
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed meanwhile
    folder.mkdir(parents=True)
    names = type(model.config).attribute_map
    changed = {
        names.get(name, name): getattr(model.config, name)
        for name in ("num_hidden_layers", "intermediate_size", "hidden_dim")
        if hasattr(model.config, name)
    }
    config = {key: value for key, value in raw.items() if key != "quantization_config"}
    text = json.dumps(config | changed | {"dtype": "float32"}, indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode & 0o777)
    for name in TOKENIZER:
        if (teacher / name).is_file():
            shutil.copyfile(teacher / name, folder / name)


def write_card(folder: Path, lines: list[str]) -> None:
    """Writes README.md. Raises OSError."""
    (folder / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")
