"""Start: from starting the process to its first answers, and the memory it takes at most."""

import time
from pathlib import Path

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post
from benchmarks.lib.load import generate
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server
from benchmarks.lib.texts import english, mixed_lengths
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer

BAR_SECONDS = 0.6
BAR_FIRST_MS = 50.0
MEMORY_FACTOR, MEMORY_EXTRA = 1.6, 150e6
MB = 1e6


def measure(plan: Plan) -> list[Figure]:
    """Seconds to ready and milliseconds to the first answer with the bundled model; memory of two models."""
    ready, first = [], []
    starts = 1 if plan.quick else 7
    for attempt in plan.progress.track(range(-1, starts), description="start: the bundled model"):
        with Server(cache=plan.cache) as server:
            took = _first_answer(server)
        if attempt >= 0:  # the one before brings files into memory
            ready.append(server.seconds_to_ready)
            first.append(1e3 * took)
    synthetic = model_folders.folder(plan, synthetic_models.DISTILBERT)
    ours = ("--models-dir", str(model_folders.exclusive(plan, synthetic_models.DISTILBERT)))
    return [
        _median("to ready", ready, "s", BAR_SECONDS),
        _median("first answer after ready", first, "ms", BAR_FIRST_MS),
        _memory(plan, DEFAULT_MODEL, BUNDLED / DEFAULT_MODEL),
        _memory(plan, synthetic_models.DISTILBERT.model_id, synthetic, *ours),
    ]


def _median(name: str, values: list[float], unit: str, bar: float) -> Figure:
    found = summary(values)
    return Figure("start", f"{name}, {DEFAULT_MODEL}", found["median"], unit, bar, detail={"all": found})


def _first_answer(server: Server) -> float:
    """Seconds that the first text takes, on a new connection."""
    request = post("/", "The kettle works exactly as described.")
    began = time.perf_counter()
    with Connection(server.port) as connection:
        status, body = connection.ask(request)
    if status != 200:
        raise RuntimeError(f"{status}: {body.decode()}")
    return time.perf_counter() - began


def _memory(plan: Plan, model_id: str, folder: Path, *arguments: str) -> Figure:
    """Peak of the whole process tree after start and load from 32 connections, texts of up to 256 tokens."""
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 512, 1 << 20)
    texts = mixed_lengths(english(plan.data), encoder, 200)
    task = plan.progress.add_task(f"start: memory of {model_id}", total=None)
    with Server(model_id, *arguments, cache=plan.cache) as server:
        generate(server.port, f"/models/{model_id}", texts, 1 if plan.quick else 15)
        peak = server.peak_memory()
    plan.progress.remove_task(task)
    weights = model_folders.float32_bytes(folder)
    bar = MEMORY_FACTOR * weights + MEMORY_EXTRA
    detail = {
        "worker_mb": peak["worker"] / MB,
        "others_mb": peak["others"] / MB,
        "float32_weights_mb": weights / MB,
        "seconds_to_ready": server.seconds_to_ready,
    }
    return Figure("start", f"peak memory, {model_id}", sum(peak.values()) / MB, "MB", bar / MB, detail=detail)
