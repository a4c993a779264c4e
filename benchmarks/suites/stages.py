"""Stages: where the time of a request goes, and how much of the CPU time is not the engine's."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, get
from benchmarks.lib.load import CONNECTIONS, RAISED, generate
from benchmarks.lib.plot import stacked
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.server import Server
from benchmarks.lib.texts import Measured, encoder_of, english, mixed_lengths
from labeld.literals import Precision

PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
CLIENTS = (1, CONNECTIONS)
STAGES = ("parse", "look up", "tokenise", "queue", "pack", "run", "rank", "write")
"""In the order in which a request meets them, as traced_server.py has them."""


CPU, TIME = "CPU that is not the engine's", "neither queue nor run"
"""The two figures of each case, by the end of their names."""


class TracedServer(Server):
    """`labeld serve` that measures each stage."""

    def __init__(self, *arguments: str, cache: Path) -> None:
        super().__init__(*arguments, cache=cache)
        self._command[:1] = [sys.executable, "-m", "benchmarks.lib.traced_server"]

    def stages(self) -> dict[str, Any]:
        """Requests, seconds by stage and CPU seconds by kind of thread since it was last asked."""
        with Connection(self.port) as connection:
            found: dict[str, Any] = json.loads(connection.ask(get("/stages"))[1])
        return found


def measure(plan: Plan) -> list[Figure]:
    """DistilBERT's synthetic model, mixed lengths, one text per request, in each precision at 1 and 32 connections."""
    encoder = encoder_of(model_folders.folder(plan, synthetic_models.DISTILBERT))
    texts = mixed_lengths(english(plan.data), encoder, 60 if plan.quick else 1000)
    figures = []
    for precision in plan.progress.track(PRECISIONS, description="stages"):
        for connections, found in _found(plan, texts, precision).items():
            figures += _figures(f"labeld {precision}, {connections} connection{'s' if connections > 1 else ''}", *found)
    return figures


def plots(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """SVG by name, from the JSON lines of a run: the time of a request by stage, its CPU time by kind of thread."""
    found: dict[str, dict[str, Parts]] = {TIME: {}, CPU: {}}
    for line in lines:
        if line.get("figure") == "stages":
            name, _, kind = line["name"].partition(": ")
            found[kind][name] = line["ms"]
    if not found[TIME]:
        return {}
    shares = {
        name: {stage: 100 * one / sum(parts.values()) for stage, one in parts.items()}
        for name, parts in found[TIME].items()
    }
    return {
        "stages": stacked("Where the time of a request goes", shares, "% of it"),
        "stages-cpu": stacked("Where the CPU time of a request goes", found[CPU], "ms"),
    }


Parts = dict[str, float]
"""Milliseconds of a request, on average, by what they go to."""


def _found(plan: Plan, texts: Sequence[Measured], precision: Precision) -> dict[int, tuple[Parts, Parts]]:
    """Time and CPU time, for each number of connections."""
    model, seconds = synthetic_models.DISTILBERT.model_id, 4 if plan.quick else 20
    flags = ("--models-dir", str(model_folders.models_dir(plan)), "--precision", precision, *RAISED)
    found = {}
    with TracedServer(model, *flags, cache=plan.cache) as server:
        path = f"/models/{model}"
        generate(server.port, path, texts, max(4, seconds // 4))  # NOTE: warms every shape the server meets
        for connections in CLIENTS:
            server.stages()
            answers = generate(server.port, path, texts, seconds, connections)
            found[connections] = _parts(server.stages(), answers["mean_ms"])
    return found


def _parts(traced: dict[str, Any], client_ms: float) -> tuple[Parts, Parts]:
    """`client_ms` is what a request takes as the client sees it."""
    per_request = 1e3 / traced["requests"]
    times = {stage: traced["seconds"].get(stage, 0.0) * per_request for stage in STAGES}
    total = traced["seconds"]["total"] * per_request
    times["turns"] = total - sum(times.values())
    times["HTTP"] = max(0.0, client_ms - total)
    # NOTE: the kernel's count of a thread that runs lags behind the thread's own, so that a difference can be below 0
    cpu = {kind: max(0.0, seconds) * per_request for kind, seconds in traced["cpu"].items()}
    return times, {"engine": cpu.pop("engine"), **cpu}


def _figures(name: str, times: Parts, cpu: Parts) -> list[Figure]:
    besides = sum(times.values()) - times["queue"] - times["run"]
    share = 1 - cpu["engine"] / sum(cpu.values())
    return [
        Figure("stages", f"{name}: {CPU}", 100 * share, "%", detail={"ms": _rounded(cpu)}),
        Figure("stages", f"{name}: {TIME}", besides, "ms", detail={"ms": _rounded(times)}),
    ]


def _rounded(parts: Parts) -> Parts:
    return {name: round(value, 3) for name, value in parts.items()}
