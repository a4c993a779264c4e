"""The Python API: how much of the engine's own speed a `Classifier` leaves to whoever streams texts through it."""

import time
from statistics import median

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.engine_only import EngineOnly, every_way, fastest_ways
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.texts import english, mixed_lengths
from labeld import Classifier
from labeld.literals import Precision
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer

BAR = 0.97
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


def measure(plan: Plan) -> list[Figure]:
    """Tokens per second of `Classifier.stream` on mixed lengths, over the engine's best, in alternating rounds."""
    return [_measure(plan, precision) for precision in PRECISIONS]


def _measure(plan: Plan, precision: Precision) -> Figure:
    folder = model_folders.folder(plan, synthetic_models.DISTILBERT)
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 512, 1 << 20)
    texts = mixed_lengths(english(plan.data), encoder, 60 if plan.quick else 1000)
    tokens = sum(text.tokens for text in texts)
    models_dir = model_folders.models_dir(plan)
    with Classifier(synthetic_models.DISTILBERT.model_id, precision=precision, models_dir=models_dir) as classifier:

        def speed() -> float:
            began = time.perf_counter()
            for _ in classifier.stream([text.text for text in texts]):
                pass
            return tokens / (time.perf_counter() - began)

        finalists = fastest_ways(plan, every_way(folder, precision), texts)
        speed()  # NOTE: warms every shape that it meets
        engine_only: dict[tuple[EngineOnly, int], list[float]] = {one: [] for one in finalists}
        streamed = []
        for _ in plan.progress.track(range(1 if plan.quick else 5), description=f"classifier, {precision}"):
            for engine, budget in finalists:
                engine_only[engine, budget].append(engine.speed(texts, budget))
            streamed.append(speed())
    (engine, budget), speeds = max(engine_only.items(), key=lambda one: median(one[1]))
    detail = {
        "classifier_tokens_per_s": summary(streamed),
        "engine_only_tokens_per_s": summary(speeds),
        "engine_only_best": f"{engine.threads} threads, {engine.streams} at once, budget {budget}",
        "mean_tokens": tokens / len(texts),
    }
    name = f"{precision}, Classifier.stream / engine-only tokens per second"
    return Figure("classifier", name, median(streamed) / median(speeds), "", BAR, "at least", detail=detail)
