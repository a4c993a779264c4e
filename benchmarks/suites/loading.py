"""Loading: seconds from a folder to the first answer, and the memory it takes at most, in a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.lib import model_folders
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import peak
from labeld.literals import Precision

FACTOR, EXTRA = 1.6, 150e6
SECONDS = {6: 1.0, 12: 2.5}
"""Bar by layers, in float32."""
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8")
TEXT = "The kettle works exactly as described."
MB = 1e6


def measure(plan: Plan) -> list[Figure]:
    """Each synthetic model in each precision; the first run, which brings the files into memory, is not counted."""
    found = []
    cases = [(model, precision) for model in model_folders.available(plan) for precision in PRECISIONS]
    for model, precision in plan.progress.track(cases, description="loading: every synthetic model, every precision"):
        folder = model_folders.folder(plan, model)
        runs = [_run(folder, precision, plan.cache) for _ in range(2 if plan.quick else 4)][1:]
        in_float32 = precision == "float32"
        found.append(
            Figure(
                "loading",
                f"{model.name} {precision}: folder to first answer",
                median(run["seconds"] for run in runs),
                "s",
                SECONDS[model.num_layers] if in_float32 else None,
                detail={"all": summary([run["seconds"] for run in runs])},
            )
        )
        weights = model_folders.float32_bytes(folder)
        found.append(
            Figure(
                "loading",
                f"{model.name} {precision}: peak memory ({model.weights})",
                median(run["peak"] for run in runs) / MB,
                "MB",
                (FACTOR * weights + EXTRA) / MB if in_float32 else None,
                detail={"float32_weights_mb": weights / MB},
            )
        )
    return found


def _run(folder: Path, precision: Precision, cache: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.suites.loading", str(folder), precision, str(cache)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if ran.returncode:
        sys.exit(f"Loading {folder.name} in {precision} failed: {ran.stderr}")
    result: dict[str, float] = json.loads(ran.stdout)
    return result


def _load_once(folder: Path, precision: str, cache: Path) -> dict[str, float]:
    """Seconds and peak bytes of one load, measured in this process."""
    from labeld.config.load import load  # noqa: PLC0415
    from labeld.lifecycle.model import load_model  # noqa: PLC0415  # loads the engine
    from labeld.service.build import load_options  # noqa: PLC0415
    from labeld.types import Parameters, Text  # noqa: PLC0415

    options = load_options(load({"precision": precision, "cache_dir": cache / "labeld"}, {}))
    began = time.perf_counter()
    model = load_model("benchmark", folder, options)
    model.engine.run(model.encoder.encode([Text(TEXT)], Parameters()))
    return {"seconds": time.perf_counter() - began, "peak": peak("self")}


if __name__ == "__main__":
    folder, precision, cache_dir = sys.argv[1:]
    print(json.dumps(_load_once(Path(folder), precision, Path(cache_dir))))
