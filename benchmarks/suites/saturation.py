"""Saturation: how much of the engine's own speed is left when 32 connections ask over HTTP, on the same cores."""

from statistics import median

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.engine_only import EngineOnly, every_way, fastest_ways
from benchmarks.lib.load import CONNECTIONS, generate
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server
from benchmarks.lib.texts import english, mixed_lengths
from labeld.literals import Precision
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer

BARS: dict[Precision, float] = {"float32": 0.95, "int8": 0.90}


def measure(plan: Plan) -> list[Figure]:
    """Tokens per second served, against the engine's best, in alternating rounds."""
    return [_measure(plan, precision) for precision in BARS]


def _measure(plan: Plan, precision: Precision) -> Figure:
    folder = model_folders.folder(plan, synthetic_models.DISTILBERT)
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 512, 1 << 20)
    texts = mixed_lengths(english(plan.data), encoder, 60 if plan.quick else 1000)
    rounds, seconds = (1, 4) if plan.quick else (3, 12)
    models = ("--models-dir", str(model_folders.models_dir(plan)))
    with Server(synthetic_models.DISTILBERT.model_id, *models, "--precision", precision, cache=plan.cache) as server:
        finalists = fastest_ways(plan, every_way(folder, precision), texts)
        path = f"/models/{synthetic_models.DISTILBERT.model_id}"
        generate(server.port, path, texts, max(4, seconds // 3))  # NOTE: warms every shape the server meets
        engine_only: dict[tuple[EngineOnly, int], list[float]] = {one: [] for one in finalists}
        answers = []
        for _ in plan.progress.track(range(rounds), description=f"saturation, {precision}: engine alone, then served"):
            for engine, budget in finalists:
                engine_only[engine, budget].append(engine.speed(texts, budget))
            answers.append(generate(server.port, path, texts, seconds))
    served = [answer["tokens"] / answer["seconds"] for answer in answers]
    (engine, budget), speeds = max(engine_only.items(), key=lambda one: median(one[1]))
    detail = {
        "served_tokens_per_s": summary(served),
        "engine_only_tokens_per_s": summary(speeds),
        "engine_only_best": f"{engine.threads} threads, {engine.streams} at once, budget {budget}",
        "requests_per_s": summary([answer["answers"] / answer["seconds"] for answer in answers]),
        "median_ms": summary([answer["median_ms"] for answer in answers]),
        "p99_ms": summary([answer["p99_ms"] for answer in answers]),
        "mean_tokens": sum(text.tokens for text in texts) / len(texts),
        "connections": CONNECTIONS,
    }
    share = median(served) / median(speeds)
    name = f"{precision}, served / engine-only tokens per second"
    return Figure("saturation", name, share, "", BARS[precision], "at least", detail=detail)
