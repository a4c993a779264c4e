"""Cost: how many texts a core classifies in an hour, and what a billion of them costs, in each precision."""

import random
from functools import partial
from statistics import median

from benchmarks.lib import distilbert, model_folders, synthetic_models
from benchmarks.lib.load import RAISED, generate
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.texts import encoder_of, english, of_length
from labeld.system.cpu import usable_cores

TOKENS = 100
TEXTS = 40
WAYS = {
    "float32": ("--precision", "float32"),
    "bfloat16": ("--precision", "bfloat16"),
    "bfloat16 with --batch-tokens 512": ("--precision", "bfloat16", "--batch-tokens", "512"),
    "int8": ("--precision", "int8"),
}
"""Flags by name."""
PUBLISHED = 253.82
"""Dollars per 10^9 texts of about 100 tokens, DistilBERT's, on one L4 at $0.80 an hour, as published."""
BILLION = 1e9
HOUR = 3600


def measure(plan: Plan) -> list[Figure]:
    """32 connections, one text of 100 tokens per request, all cores, in each way."""
    encoder = encoder_of(model_folders.folder(plan, synthetic_models.DISTILBERT))
    texts = [of_length(english(plan.data), encoder, TOKENS, random.Random(seed)) for seed in range(TEXTS)]
    seconds = 3 if plan.quick else 10
    with distilbert.serve_each(plan, WAYS, *RAISED) as servers:
        loads = {
            way: partial(generate, server.port, distilbert.PATH, texts, seconds) for way, server in servers.items()
        }
        found = in_turn(plan, "cost", loads)
    return [
        figure
        for way, runs in found.items()
        for figure in _figures(plan, way, [run["answers"] / run["seconds"] for run in runs])
    ]


def _figures(plan: Plan, way: str, rates: list[float]) -> list[Figure]:
    cores = usable_cores()
    in_an_hour = HOUR * median(rates)
    price = BILLION / in_an_hour * cores * plan.core_hour
    detail = {"dollars_per_core_hour": plan.core_hour, "published": PUBLISHED, "times_cheaper": PUBLISHED / price}
    return [
        Figure(
            "cost",
            f"{way}: texts of {TOKENS} tokens per core-hour",
            in_an_hour / cores,
            "texts",
            detail={"requests_per_s": summary(rates)},
        ),
        Figure("cost", f"{way}: a billion texts", price, "$", detail=detail),
        Figure(
            "cost",
            f"{way}: a {cores}-core machine breaks even at",
            PUBLISHED * in_an_hour / BILLION,
            "$ an hour",
        ),
    ]
