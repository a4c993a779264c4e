"""The folders of synthetic models, made on first use and kept in the cache, and the size of a model's weights."""

import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.lib.report import Plan
from benchmarks.lib.synthetic_models import ALL, SyntheticModel


def available(plan: Plan) -> list[SyntheticModel]:
    """The synthetic models that can be made: without data only those with a WordPiece tokenizer."""
    return [one for one in ALL if plan.data is not None or one.tokenizer == "vocab.txt"]


def models_dir(plan: Plan) -> Path:
    """The folder that holds all synthetic models, for `--models-dir`."""
    return plan.cache / "models"


def exclusive(plan: Plan, model: SyntheticModel) -> Path:
    """A `--models-dir` with this synthetic model only: a server looks at the files of every model that it has."""
    place = plan.cache / "alone" / model.name
    link = place / model.model_id
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(folder(plan, model))
    return place


def folder(plan: Plan, model: SyntheticModel) -> Path:
    """The folder of a synthetic model; made on first use, which takes torch and about half a minute."""
    place = models_dir(plan) / model.model_id
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        task = plan.progress.add_task(f"making the model {model.name}", total=None)
        from benchmarks.lib.synthetic_files import write  # noqa: PLC0415  # imports torch

        half_made = Path(tempfile.mkdtemp(prefix=".", dir=plan.cache))
        try:
            write(half_made, model, plan.data)
            half_made.rename(place)
        except BaseException:
            shutil.rmtree(half_made)
            raise
        plan.progress.remove_task(task)
    return place


def float32_bytes(place: Path) -> int:
    """Bytes of a model's weights in float32, however they are stored."""
    if (place / "pytorch_model.bin").exists():  # of a synthetic model, which is float32
        return (place / "pytorch_model.bin").stat().st_size
    with (place / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}
    entries = [entry for name, entry in header.items() if name != "__metadata__" and entry["dtype"] in sizes]
    return sum(
        4 * (end - begin) // sizes[entry["dtype"]] for entry in entries for begin, end in [entry["data_offsets"]]
    )
