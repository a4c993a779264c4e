"""Overload: more requests than can be answered. Accepted ones are answered in time, the others get Retry-After."""

import json
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.lib import model_folders, open_loop, synthetic_models
from benchmarks.lib.load import CONNECTIONS, generate
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server
from benchmarks.lib.texts import Measured, encoder_of, english, mixed_lengths
from labeld.config.settings import Queue
from labeld.literals import Precision

LOAD, QUICK_LOAD = 1.2, 3.0
"""Arrivals, as a multiple of the capacity; few seconds do not fill the queue by 20 %."""
BAR_GOODPUT = 0.95
BAR_REFUSAL_MS = 50.0
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
HEADERS = {**open_loop.JSON_HEADERS, "X-Use-Cache": "false"}


def measure(plan: Plan) -> list[Figure]:
    """120 % of the capacity for 30 seconds, in each precision."""
    encoder = encoder_of(model_folders.folder(plan, synthetic_models.DISTILBERT))
    texts = mixed_lengths(english(plan.data), encoder, 60 if plan.quick else 1000)
    return [figure for precision in PRECISIONS for figure in _in_precision(plan, texts, precision)]


def _in_precision(plan: Plan, texts: Sequence[Measured], precision: Precision) -> list[Figure]:
    """The capacity (closed loop, 32 connections) and the overload, in alternating rounds."""
    rounds, closed_seconds, open_seconds = (1, 2, 4) if plan.quick else (3, 15, 30)
    model, load = synthetic_models.DISTILBERT.model_id, QUICK_LOAD if plan.quick else LOAD
    flags = ("--models-dir", str(model_folders.models_dir(plan)), "--precision", precision)
    path, bodies = f"/models/{model}", [json.dumps({"inputs": text.text}).encode() for text in texts]
    capacities: list[float] = []
    runs: list[open_loop.OpenLoop] = []
    with Server(model, *flags, cache=plan.cache) as server:
        generate(server.port, path, texts, max(4, closed_seconds // 3))  # NOTE: warms every shape the server meets
        for _ in plan.progress.track(range(rounds), description=f"overload: {precision}"):
            found = generate(server.port, path, texts, closed_seconds)
            capacities.append(found["answers"] / found["seconds"])
            runs.append(open_loop.run(server.port, path, bodies, load * capacities[-1], open_seconds, headers=HEADERS))
    return _figures(f"{precision}, {load:.0%} of capacity", capacities, runs)


def _figures(name: str, capacities: Sequence[float], runs: Sequence[open_loop.OpenLoop]) -> list[Figure]:
    in_time = Queue().queue_timeout
    shares = [run.goodput(in_time) / capacity for run, capacity in zip(runs, capacities, strict=True)]
    late = max(run.lateness_ms for run in runs)
    detail: dict[str, Any] = {
        "goodput": summary([run.goodput(in_time) for run in runs]),
        "capacity": summary(capacities),
        "connections": CONNECTIONS,
        "lateness_p99_ms": late,
        **({} if all(run.on_time for run in runs) else {"VOID": f"the generator left {late:.1f} ms late"}),
    }
    accepted, refused = [run.latency_ms(99) for run in runs], [run.refusal_ms(99) for run in runs]
    silent = sum(not one.retry_after for run in runs for one in run.refused)
    counts = {"refused": sum(len(run.refused) for run in runs), "of": sum(len(run.answers) for run in runs)}
    return [
        Figure("overload", f"{name}: goodput / capacity", median(shares), "", BAR_GOODPUT, "at least", detail),
        Figure("overload", f"{name}: p99 of the accepted", median(accepted), "ms", 1e3 * in_time),
        Figure("overload", f"{name}: p99 of the refused", median(refused), "ms", BAR_REFUSAL_MS, detail=counts),
        Figure("overload", f"{name}: refusals without Retry-After", silent, "", 0),
        Figure("overload", f"{name}: neither answered nor refused", sum(run.errors for run in runs), "", 0),
    ]
