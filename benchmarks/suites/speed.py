"""Speed: the engine alone in each precision against torch, on the same texts, threads and weights.

torch runs as a careful user runs it: texts sorted by length, batches of eight padded to their longest, inference mode.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.engine_only import EngineOnly
from benchmarks.lib.reference import library
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.texts import Measured, english, mixed_lengths
from labeld.literals import Precision
from labeld.system.cpu import usable_cores
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer

BATCH = 8
BUDGET = 256
"""Tokens of a packed batch: the default of the server."""


class Case(NamedTuple):
    """A model and what is asked of each precision: its tokens per second, divided by torch's."""

    model: synthetic_models.SyntheticModel
    texts: int
    bars: dict[Precision, float | None]


CASES = (
    Case(synthetic_models.DISTILBERT, 300, {"float32": 1.2, "bfloat16": 2.2, "int8": 3.0}),
    Case(synthetic_models.BERT, 150, {"float32": 1.2, "bfloat16": 2.2, "int8": 3.0}),
    Case(synthetic_models.DEBERTA, 100, {"float32": 1.5, "bfloat16": None, "int8": 3.5}),
)


def measure(plan: Plan) -> list[Figure]:
    """Tokens per second as ratios of medians, rounds in turn."""
    return [figure for case in CASES if case.model in model_folders.available(plan) for figure in _case(plan, case)]


def _case(plan: Plan, case: Case) -> list[Figure]:
    folder = model_folders.folder(plan, case.model)
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 512, 1 << 20)
    texts = mixed_lengths(english(plan.data), encoder, 16 if plan.quick else case.texts)
    tokens = sum(text.tokens for text in texts)
    encoded = [text.encoded for text in texts]
    ways: dict[str, Callable[[], float]] = {"torch": _torch_way(folder, texts)}
    for precision in case.bars:
        engine = EngineOnly(folder, usable_cores(), 1, precision)
        ways[precision] = lambda engine=engine: engine.seconds(encoded, BUDGET)  # type: ignore[misc]
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for round_number in plan.progress.track(range(1 if plan.quick else 6), description=f"speed: {case.model.name}"):
        for way, seconds in ways.items():
            speed = tokens / seconds()
            if round_number or plan.quick:  # the first prepares every shape
                speeds[way].append(speed)
    torch_speed = summary(speeds["torch"])
    return [
        Figure(
            "speed",
            f"{case.model.name} {precision}, against torch",
            median(speeds[precision]) / torch_speed["median"],
            "x",
            bar,
            "at least",
            {"tokens_per_s": summary(speeds[precision]), "torch_tokens_per_s": torch_speed},
        )
        for precision, bar in case.bars.items()
    ]


def _torch_way(folder: Path, texts: Sequence[Measured]) -> Callable[[], float]:
    torch.set_num_threads(usable_cores())
    network = library().AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    ordered = sorted(texts, key=lambda text: text.tokens)
    batches = [_padded(ordered[at : at + BATCH], network.config.pad_token_id) for at in range(0, len(texts), BATCH)]

    def seconds() -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            for batch in batches:
                network(**batch)
        return time.perf_counter() - began

    return seconds


def _padded(texts: Sequence[Measured], pad: int | None) -> dict[str, Any]:
    longest = max(text.tokens for text in texts)
    ids = torch.full((len(texts), longest), pad or 0)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : text.tokens] = torch.from_numpy(text.encoded.ids)
        mask[row, : text.tokens] = 1
    return {"input_ids": ids, "attention_mask": mask}
