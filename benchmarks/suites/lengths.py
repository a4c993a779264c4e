"""Lengths: requests per second by length of text, beside what was published for Infinity, and the int8 peak."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from benchmarks.lib import distilbert, model_folders, synthetic_models
from benchmarks.lib.load import CONNECTIONS, RAISED, generate
from benchmarks.lib.plot import curves
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.texts import encoder_of, english, of_length
from benchmarks.suites.peak import int8_peak, operations
from labeld.literals import Precision
from labeld.system.cpu import usable_cores

PUBLISHED = {8: 248, 32: 150, 64: 97, 128: 55, 256: 27, 512: 12}
"""Requests per second of Hugging Face's Infinity (2022, retired) by tokens: DistilBERT, one text, 2 Ice Lake cores."""
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
CLIENTS = (1, CONNECTIONS)
AHEAD_UP_TO = 64
"""Tokens up to which int8 must be ahead of what was published; beyond, the bar is a share of this processor's peak."""
BAR_PEAK = 0.75
TEXTS = 40


class Case(NamedTuple):
    """One load: a precision, a length of text and a number of connections."""

    precision: Precision
    tokens: int
    connections: int


def measure(plan: Plan) -> list[Figure]:
    """Closed loop, one and 32 connections, the better counts; all cases in turn in every round."""
    encoder = encoder_of(model_folders.folder(plan, synthetic_models.DISTILBERT))
    lengths = (8, 128) if plan.quick else tuple(PUBLISHED)
    texts = {
        length: [of_length(english(plan.data), encoder, length, random.Random(seed)) for seed in range(TEXTS)]
        for length in lengths
    }
    seconds = 3 if plan.quick else 5
    peaks: list[tuple[float, str]] = []
    with distilbert.serve_each(plan, {one: ("--precision", one) for one in PRECISIONS}, *RAISED) as servers:
        loads: dict[Case | None, Callable[[], Any]] = {  # the peak between them, when the processor is as fast
            None: lambda: peaks.append(int8_peak(usable_cores(), quick=plan.quick))
        }
        for precision, server in servers.items():
            for length in lengths:
                for count in CLIENTS:
                    ask = partial(generate, server.port, distilbert.PATH, texts[length], seconds, count)
                    loads[Case(precision, length, count)] = ask
        found = in_turn(plan, "lengths", loads)
    rates = {case: [run["answers"] / run["seconds"] for run in runs] for case, runs in found.items() if case}
    figures = [_by_length(rates, precision, length) for precision in PRECISIONS for length in lengths]
    peak, shape = max(peaks)
    how = {
        "how": f"OpenVINO, int8 matrices of {shape}, {usable_cores()} threads",
        "all": summary([one / 1e9 for one, _ in peaks]),
    }
    figures.append(Figure("lengths", "int8 peak of this processor", peak / 1e9, "Gop/s", detail=how))
    figures += [_share(rates, length, peak) for length in lengths if length > AHEAD_UP_TO]
    return figures


def _best(rates: dict[Case, list[float]], precision: Precision, tokens: int) -> tuple[float, dict[str, Any]]:
    """The median of the better number of connections, and both."""
    both = {count: rates[Case(precision, tokens, count)] for count in CLIENTS}
    return max(map(median, both.values())), {f"at {count}": summary(found) for count, found in both.items()}


def _by_length(rates: dict[Case, list[float]], precision: Precision, tokens: int) -> Figure:
    best, detail = _best(rates, precision, tokens)
    published = PUBLISHED[tokens]
    bar = published if precision == "int8" and tokens <= AHEAD_UP_TO else None
    detail |= {"published": published, "times": best / published}
    return Figure("lengths", _name(precision, tokens), best, "requests/s", bar, "at least", detail)


def _share(rates: dict[Case, list[float]], tokens: int, peak: float) -> Figure:
    """How much of the peak int8 reaches, counting only the operations that are done."""
    best, _ = _best(rates, "int8", tokens)
    done, whole = operations(synthetic_models.DISTILBERT.config, tokens)
    detail = {
        "done_gop_per_text": done / 1e9,
        "whole_model_gop_per_text": whole / 1e9,
        "share_if_the_whole_model_counts": best * whole / peak,
    }
    return Figure(
        "lengths", f"int8, {tokens} tokens: share of the peak", best * done / peak, "", BAR_PEAK, "at least", detail
    )


def plots(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """SVG by name, from the JSON lines of a run: requests per second by length, beside what was published."""
    rates = {line["name"]: line["value"] for line in lines if line.get("figure") == "lengths"}
    series = {
        f"labeld, {precision}": [
            (float(length), rates[name]) for length in PUBLISHED if (name := _name(precision, length)) in rates
        ]
        for precision in PRECISIONS
    }
    if not any(series.values()):
        return {}
    series["Infinity (2022), published"] = [(float(length), float(rate)) for length, rate in PUBLISHED.items()]
    title = "DistilBERT, one text per request, 2 cores"
    return {"lengths": curves(title, series, "tokens", "requests/s", log="xy")}


def _name(precision: Precision, tokens: int) -> str:
    """The name of a figure."""
    return f"{precision}, {tokens} tokens"
