"""Texts in files: the speed of `labeld classify --input`, over the bare engine, transformers and a tuned script."""

import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import openvino
from tokenizers import Tokenizer

from benchmarks.lib import model_folders, reference, synthetic_models
from benchmarks.lib.engine_only import every_way, fastest_ways
from benchmarks.lib.int8_script import Int8Script
from benchmarks.lib.padded import padded_batches
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.texts import Measured, english, mixed_lengths
from labeld import Classifier
from labeld.config.load import load
from labeld.files.classify import Columns, classify_parts, for_throughput
from labeld.files.encoding import encoder
from labeld.files.formats import format_of
from labeld.files.output import Output
from labeld.files.reader import open_rows
from labeld.literals import Precision
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.system.cpu import usable_cores
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer

ENGINE_BAR, PIPELINE_BAR, SCRIPT_BAR = 0.95, 3.0, 1.15
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
ROUNDS = 5
"""Files that the texts are divided into: each is a round, in which everything is measured once."""
TEXTS, SHAPE_TEXTS = 200_000, 2500
"""Texts in all for the bundled model, and for DistilBERT's shape, which computes four times as much for each token."""
OTHERS_TEXTS = 2000
"""Texts of each round that the engine alone and the peers get."""
BATCH_SIZES = (1, 8, 32)
COLUMNS = Columns("text", None, "label", "score", None)

Speed = Callable[[Sequence[Measured], int], float]
"""Texts, and how many are in a batch -> tokens per second."""


def measure(plan: Plan) -> list[Figure]:
    """Tokens per second from csv to csv, over those of the others on the same texts in alternating rounds."""
    shape = synthetic_models.DISTILBERT
    measured = (
        (DEFAULT_MODEL, BUNDLED / DEFAULT_MODEL, TEXTS),
        (shape.model_id, model_folders.folder(plan, shape), SHAPE_TEXTS),
    )
    figures = []
    for model, folder, count in measured:
        encoded = TextEncoder(read_tokenizer(folder).tokenizer, 512, 1 << 20)
        texts = mixed_lengths(english(plan.data), encoded, 60 if plan.quick else count)
        rounds = [texts[at::ROUNDS] for at in range(1 if plan.quick else ROUNDS)]
        for precision in PRECISIONS:
            figures += _measure(plan, model, folder, precision, rounds)
    return figures


def _measure(
    plan: Plan, model: str, folder: Path, precision: Precision, rounds: Sequence[Sequence[Measured]]
) -> list[Figure]:
    finalists = fastest_ways(plan, every_way(folder, precision), rounds[0][:4000])
    others = _peers(folder) if precision == "float32" else _int8_peers(plan, folder)
    theirs_at = {name: _best(speed, rounds[0][:OTHERS_TEXTS]) for name, speed in others.items()}
    ours: list[float] = []
    engine: dict[int, list[float]] = {index: [] for index in range(len(finalists))}
    theirs: dict[str, list[float]] = {name: [] for name in others}
    models_dir = str(model_folders.models_dir(plan))
    settings = load({"models": [model], "precision": precision, "models_dir": models_dir}, name_of=str)
    with Classifier.from_settings(for_throughput(settings)) as classifier:
        _file_speed(classifier, rounds[0][:OTHERS_TEXTS])  # NOTE: warms every shape that it meets
        for texts in plan.progress.track(rounds, description=f"files, {model}, {precision}"):
            for index, (one, budget) in enumerate(finalists):
                engine[index].append(one.speed(texts[:OTHERS_TEXTS], budget))
            ours.append(_file_speed(classifier, texts))
            for name, speed in others.items():
                theirs[name].append(speed(texts[:OTHERS_TEXTS], theirs_at[name]))
    best = max(engine.values(), key=median)
    bars = {"engine-only": (best, ENGINE_BAR)}
    bars |= {name: (found, PIPELINE_BAR if "pipeline" in name else SCRIPT_BAR) for name, found in theirs.items()}
    return [
        Figure(
            "files",
            f"{model}, {precision}, labeld classify --input / {name} tokens per second",
            median(ours) / median(found),
            "",
            bar,
            "at least",
            detail={"files_tokens_per_s": summary(ours), "other_tokens_per_s": summary(found)},
        )
        for name, (found, bar) in bars.items()
    ]


def _file_speed(classifier: Classifier, texts: Sequence[Measured]) -> float:
    """From one csv file to another one, the model being open already."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.csv"), Path(folder, "out.csv")
        with source.open("w", newline="") as file:
            csv.writer(file).writerows([("id", "text"), *((at, one.text) for at, one in enumerate(texts))])
        began = time.perf_counter()
        rows = open_rows([str(source)], COLUMNS.texts, None)
        kind = format_of(str(target))
        with Output(target, kind, encoder(kind.name, rows.schema, COLUMNS.added), {}) as output:
            for _ in classify_parts(classifier, rows, COLUMNS, {}, output):
                pass
            output.complete()
        return _tokens(texts) / (time.perf_counter() - began)


def _best(speed: Speed, texts: Sequence[Measured]) -> int:
    """The batch size with the most tokens per second."""
    return max(BATCH_SIZES, key=lambda size: speed(texts[: len(texts) // 4 or 1], size))


def _int8_peers(plan: Plan, folder: Path) -> dict[str, Speed]:
    """ONNX Runtime in sorted batches."""
    return {"tuned ONNX Runtime script": Int8Script(plan, folder).speed}


def _peers(folder: Path) -> dict[str, Speed]:
    """The pipeline of transformers, and OpenVINO in sorted batches."""
    pipeline = reference.library().pipeline("text-classification", model=str(folder), device="cpu")

    def with_pipeline(texts: Sequence[Measured], size: int) -> float:
        began = time.perf_counter()
        pipeline([one.text for one in texts], batch_size=size, truncation=True)
        return _tokens(texts) / (time.perf_counter() - began)

    tokenizer = Tokenizer.from_str(pipeline.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    script = partial(_script_speed, _compiled(pipeline), tokenizer, pipeline.tokenizer.pad_token_id)
    return {"transformers.pipeline": with_pipeline, "tuned OpenVINO script": script}


def _compiled(pipeline: Any) -> Any:
    """The pipeline's model in OpenVINO with a stream for each core, float32 on every processor."""
    example = dict(pipeline.tokenizer(["a text", "and another text"], padding=True, return_tensors="pt"))
    model = openvino.convert_model(pipeline.model, example_input=example)
    settings = {"NUM_STREAMS": usable_cores(), "INFERENCE_NUM_THREADS": usable_cores()}
    return openvino.Core().compile_model(model, "CPU", {**settings, "INFERENCE_PRECISION_HINT": "f32"})


def _script_speed(compiled: Any, tokenizer: Tokenizer, pad: int, texts: Sequence[Measured], size: int) -> float:
    """Tokens per second, tokenising included, in batches of texts of similar lengths, each padded to its longest."""
    queue = openvino.AsyncInferQueue(compiled)
    taken = {name for one in compiled.inputs for name in one.names}
    began = time.perf_counter()
    for given in padded_batches(tokenizer, texts, size, pad):
        queue.start_async({name: given[name] for name in taken & given.keys()})
    queue.wait_all()
    return _tokens(texts) / (time.perf_counter() - began)


def _tokens(texts: Sequence[Measured]) -> int:
    return sum(one.tokens for one in texts)
