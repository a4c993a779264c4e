"""Growth: throughput and latency with more connections, longer texts, more models and more cores.

The cost should grow with the tokens, and with nothing else.
"""

import random
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.lib import distilbert, model_folders, synthetic_models
from benchmarks.lib.load import CONNECTIONS, RAISED, generate
from benchmarks.lib.plot import curves
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.server import Server, unshared
from benchmarks.lib.texts import Measured, encoder_of, english, mixed_lengths, of_length
from benchmarks.lib.variants import variant
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.system.cpu import usable_cores
from labeld.tokenization.encoder import TextEncoder

CLIENTS = (1, 2, 8, 32, 128, 512, 1024)
LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512)
MODELS = (1, 2, 5, 10)
BAR_CONNECTIONS = 0.95
BAR_MODELS = 0.95
"""Tokens per second with ten models, of those with one: a batch has one model's texts only, so batches are smaller."""
MANY = 128
"""Connections beyond which a run takes three times as long: each waits for all others."""
MB = 1e6

Answers = dict[str, Any]
"""A load's answers, as `generate` counts them."""


def measure(plan: Plan) -> list[Figure]:
    """All four, on DistilBERT's synthetic model but for the models, which are copies of the bundled one."""
    encoder = encoder_of(model_folders.folder(plan, synthetic_models.DISTILBERT))
    texts = mixed_lengths(english(plan.data), encoder, 60 if plan.quick else 1000)
    return [*_connections(plan, texts), *_lengths(plan, encoder), *_models(plan), *_cores(plan, texts)]


def _connections(plan: Plan, texts: Sequence[Measured]) -> list[Figure]:
    counts = (1, 32, 1024) if plan.quick else CLIENTS
    seconds = 4 if plan.quick else 10
    with distilbert.serve(plan, *RAISED) as server:
        ask = {
            count: partial(
                generate, server.port, distilbert.PATH, texts, seconds if count <= MANY else 3 * seconds, count
            )
            for count in counts
        }
        found = in_turn(plan, "growth: connections", ask)
    share = median(_speeds(found[max(counts)])) / median(_speeds(found[CONNECTIONS]))
    name = f"tokens/s at {max(counts):,} connections / at {CONNECTIONS}"
    return [
        Figure("growth", name, share, "", BAR_CONNECTIONS, "at least", {"limits": " ".join(RAISED)}),
        *(_figure(f"connections: {count:,}", runs) for count, runs in found.items()),
    ]


def _lengths(plan: Plan, encoder: TextEncoder) -> list[Figure]:
    lengths = (4, 64, 512) if plan.quick else LENGTHS
    some = 4 if plan.quick else 40
    seconds = 4 if plan.quick else 10
    texts = {
        length: [of_length(english(plan.data), encoder, length, random.Random(seed)) for seed in range(some)]
        for length in lengths
    }
    with distilbert.serve(plan, *RAISED) as server:
        ask = {length: partial(generate, server.port, distilbert.PATH, texts[length], seconds) for length in lengths}
        found = in_turn(plan, "growth: lengths of text", ask)
    speeds = [median(_speeds(runs)) for runs in found.values()]
    return [
        Figure("growth", "tokens/s of the slowest length / of the fastest", min(speeds) / max(speeds), ""),
        *(_figure(f"tokens of a text: {length}", runs) for length, runs in found.items()),
    ]


def _models(plan: Plan) -> list[Figure]:
    counts = (1, 3) if plan.quick else MODELS
    source = BUNDLED / DEFAULT_MODEL
    texts = mixed_lengths(english(plan.data), encoder_of(source), 60 if plan.quick else 1000)
    memory: dict[int, list[float]] = {count: [] for count in counts}

    def ask(root: str, count: int) -> Answers:
        names = [f"copy-{number}" for number in range(count)]
        with Server(*names, "--models-dir", root, "--hub", "off", *RAISED, cache=plan.cache) as server:
            paths = [f"/models/{name}" for name in names]
            generate(server.port, paths, texts, 4)  # NOTE: warms the shapes
            found = generate(server.port, paths, texts, 4 if plan.quick else 10)
            memory[count].append(unshared(server.status()["pid"]) / MB)
        return found

    with tempfile.TemporaryDirectory(dir=plan.cache) as root:
        for number in range(max(counts)):
            variant(source, Path(root) / f"copy-{number}", number)
        found = in_turn(plan, "growth: models", {count: partial(ask, root, count) for count in counts})
    share = median(_speeds(found[max(counts)])) / median(_speeds(found[1]))
    each = (median(memory[max(counts)]) - median(memory[1])) / (max(counts) - 1)
    return [
        Figure("growth", f"tokens/s with {max(counts)} models / with 1", share, "", BAR_MODELS, "at least"),
        Figure(
            "growth",
            "memory of one more model",
            each,
            "MB",
            detail={"weights_mb": model_folders.float32_bytes(source) / MB},
        ),
        *(
            _figure(f"models: {count}", runs, memory_mb=summary(memory[count]), model=DEFAULT_MODEL)
            for count, runs in found.items()
        ),
    ]


def _cores(plan: Plan, texts: Sequence[Measured]) -> list[Figure]:
    """One core by taskset, and all. NOTE: wrk may use all in both cases; on two it takes next to nothing."""
    seconds = 4 if plan.quick else 10
    with ExitStack() as stack:
        servers = {1: stack.enter_context(distilbert.serve(plan, *RAISED, core=0))}
        if usable_cores() > 1:
            servers[usable_cores()] = stack.enter_context(distilbert.serve(plan, *RAISED))
        ask = {
            count: partial(generate, server.port, distilbert.PATH, texts, seconds) for count, server in servers.items()
        }
        found = in_turn(plan, "growth: cores", ask)
    gain = median(_speeds(found[max(found)])) / median(_speeds(found[1]))
    return [
        Figure("growth", f"tokens/s on {max(found)} cores / on 1", gain, "x"),
        *(_figure(f"cores: {count}", runs) for count, runs in found.items()),
    ]


def _figure(name: str, runs: Sequence[Answers], **more: Any) -> Figure:
    detail = {
        "requests_per_s": summary([run["answers"] / run["seconds"] for run in runs]),
        "p99_ms": summary(_p99s(runs)),
        **more,
    }
    return Figure("growth", name, median(_speeds(runs)), "tokens/s", detail=detail)


def _speeds(runs: Sequence[Answers]) -> list[float]:
    return [run["tokens"] / run["seconds"] for run in runs]


def _p99s(runs: Sequence[Answers]) -> list[float]:
    return [run["p99_ms"] for run in runs]


def plots(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """SVG by name, from the JSON lines of a run: throughput and p99 by connections, throughput by length of text."""
    found = {line["name"]: line for line in lines if line.get("figure") == "growth"}
    speeds = {name: line["value"] for name, line in found.items()}
    p99s = {name: line["p99_ms"]["median"] for name, line in found.items() if "p99_ms" in line}
    drawn = {
        "growth-connections": _curve("Throughput", speeds, "connections", "tokens/s", log="x"),
        "growth-connections-p99": _curve("Latency", p99s, "connections", "p99, ms", log="xy"),
        "growth-lengths": _curve("Throughput", speeds, "tokens of a text", "tokens/s", log="x"),
    }
    return {name: svg for name, svg in drawn.items() if svg}


def _curve(title: str, values: Mapping[str, float], x: str, y: str, log: Literal["x", "xy"]) -> str:
    """The values of the figures that are named `x: NUMBER`; empty when there is none."""
    cases = {name.removeprefix(f"{x}: "): value for name, value in values.items() if name.startswith(f"{x}: ")}
    points = [(float(case.replace(",", "")), value) for case, value in cases.items()]
    return curves(f"{title} against {x}", {"labeld, float32": points}, x, y, log) if points else ""
