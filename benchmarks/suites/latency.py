"""Latency: the time of a single request beyond the engine's own time for its text."""

import random
import time
from statistics import median

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post
from benchmarks.lib.engine_only import EngineOnly
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server
from benchmarks.lib.texts import english, of_length
from labeld.system.cpu import usable_cores
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer

BAR_MS = 1.0
LENGTHS = (8, 32, 128)
BLOCK = 10
"""Requests in a row before it is the turn of the engine alone again."""


def measure(plan: Plan) -> list[Figure]:
    """Median over HTTP less the median of the engine alone, one connection, for each length."""
    folder = model_folders.folder(plan, synthetic_models.DISTILBERT)
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 512, 1 << 20)
    engine = EngineOnly(folder, usable_cores(), 1)
    path = f"/models/{synthetic_models.DISTILBERT.model_id}"
    blocks = 2 if plan.quick else 20
    found = []
    server = Server(
        synthetic_models.DISTILBERT.model_id, "--models-dir", str(model_folders.models_dir(plan)), cache=plan.cache
    )
    with server, Connection(server.port) as connection:
        for length in LENGTHS:
            text = of_length(english(plan.data), encoder, length, random.Random(length))
            request = post(path, text.text)
            engine_only: list[float] = []
            served: list[float] = []
            for block in plan.progress.track(range(-1, blocks), description=f"latency: {length} tokens"):
                one = [engine.seconds_alone(text.encoded) for _ in range(BLOCK)]
                other = [_seconds(connection, request) for _ in range(BLOCK)]
                if block >= 0:  # the first is a warm-up
                    engine_only += one
                    served += other
            found.append(_figure(text.tokens, engine_only, served))
    return found


def _figure(tokens: int, engine_only: list[float], served: list[float]) -> Figure:
    engine_only_ms, served_ms = ([1e3 * seconds for seconds in times] for times in (engine_only, served))
    over = median(served_ms) - median(engine_only_ms)
    detail = {"served_ms": summary(served_ms), "engine_only_ms": summary(engine_only_ms)}
    return Figure("latency", f"{tokens} tokens, over the engine alone", over, "ms", BAR_MS, detail=detail)


def _seconds(connection: Connection, request: bytes) -> float:
    began = time.perf_counter()
    status, body = connection.ask(request)
    took = time.perf_counter() - began
    if status != 200:
        raise RuntimeError(f"{status}: {body.decode()}")
    return took
