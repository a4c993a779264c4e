"""Estimate: the `estimated_time` of a 503 against the time that loading then takes."""

import json
import time

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.server import Server, budget_for
from labeld.lifecycle.loader import PEAK

BAR = 2.0
MODELS = (synthetic_models.DISTILBERT, synthetic_models.BERT)
TEXT = "The kettle works exactly as described."


def measure(plan: Plan) -> list[Figure]:
    """The third load of each model, in memory that holds one of them, estimated from the first two."""
    folders = [model_folders.folder(plan, model) for model in MODELS]
    budget = budget_for(PEAK["float32"] * max(model_folders.float32_bytes(folder) for folder in folders), plan.cache)
    flags = ("--models-dir", str(model_folders.models_dir(plan)), "--memory-budget", str(budget), "--hub", "off")
    found = []
    task = plan.progress.add_task("estimate: three loads of two models", total=None)
    with Server(*flags, "--load-grace", "0", cache=plan.cache) as server, Connection(server.port) as connection:
        for model in MODELS * 2:
            _loaded(connection, model.model_id)
        for model in MODELS:
            began = time.perf_counter()
            status, body = connection.ask(post(f"/models/{model.model_id}", TEXT))
            if status != 503:
                raise RuntimeError(f"{status}: {body.decode()}")
            _loaded(connection, model.model_id)
            took, estimated = time.perf_counter() - began, json.loads(body)["estimated_time"]
            detail = {"estimated_seconds": estimated, "seconds": took}
            factor = max(estimated / took, took / estimated)
            found.append(Figure("estimate", f"{model.name}, third load", factor, "times", BAR, detail=detail))
    plan.progress.remove_task(task)
    return found


def _loaded(connection: Connection, model_id: str) -> None:
    status, body = connection.ask(post(f"/models/{model_id}", TEXT, wait=True))
    if status != 200:
        raise RuntimeError(f"{status}: {body.decode()}")
