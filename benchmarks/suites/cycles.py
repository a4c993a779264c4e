"""Cycles: models of two architectures take turns in memory that holds one. A leak would add up."""

from statistics import median

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.server import Server, budget_for, resident
from labeld.lifecycle.loader import PEAK

CYCLES = 200
WARM_UP = 10
"""Cycles before memory is read: libraries allocate their buffers."""
WINDOW = 10
"""Cycles over which memory is read, after the warm-up and at the end."""
BAR = 1.05
MODELS = (synthetic_models.DISTILBERT, synthetic_models.BERT)
TEXT = "The kettle works exactly as described."
MB = 1e6


def measure(plan: Plan) -> list[Figure]:
    """Resident memory at the end over that at the beginning, each with the larger model loaded."""
    folders = [model_folders.folder(plan, model) for model in MODELS]
    budget = budget_for(PEAK["float32"] * max(model_folders.float32_bytes(folder) for folder in folders), plan.cache)
    cycles = 40 if plan.quick else CYCLES
    flags = ("--models-dir", str(model_folders.models_dir(plan)), "--memory-budget", str(budget), "--hub", "off")
    sizes = []
    with Server(*flags, cache=plan.cache) as server, Connection(server.port) as connection:
        pid = server.status()["pid"]
        for cycle in plan.progress.track(range(cycles + 1), description="cycles: load and evict"):
            model = MODELS[cycle % len(MODELS)]
            status, body = connection.ask(post(f"/models/{model.model_id}", TEXT, wait=True))
            if status != 200:
                raise RuntimeError(f"{status}: {body.decode()}")
            if model is MODELS[-1]:
                sizes.append(resident(pid))
        evictions = server.status()["counts"]["evictions"]
    window = WINDOW // len(MODELS)
    begin = WARM_UP // len(MODELS)
    before, after = median(sizes[begin : begin + window]), median(sizes[-window:])
    detail = {"before_mb": before / MB, "after_mb": after / MB}
    return [
        Figure("cycles", f"memory after {cycles} cycles", after / before, "of that before", BAR, detail=detail),
        Figure("cycles", "evictions", evictions, "", cycles, "at least"),
    ]
