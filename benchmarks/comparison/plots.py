"""The plots of a comparison: bars of requests per second, and latencies as the load grows."""

from collections.abc import Sequence
from statistics import median
from typing import get_args

from benchmarks.comparison.ratios import MAIN
from benchmarks.comparison.records import Record, named, of_kind, opened, rates
from benchmarks.comparison.schedule import MANY, PEER, SHARES
from benchmarks.lib import plot
from labeld.literals import Precision

CURVES = 4
"""Peers whose latencies are shown: those with the highest capacity in float32."""


def plots(lines: Sequence[Record]) -> dict[str, str]:
    """SVG by name: `throughput` and `latency`; none for which nothing was measured."""
    peers = of_kind(lines, "peer", MAIN)
    rows = [_row(named(one), rates(one, PEER, "mixed", MANY)) for one in peers]
    every = {who: [one for peer in peers for one in rates(peer, who, "mixed", MANY)] for who in get_args(Precision)}
    rows += [_row(f"labeld, {precision}", measured) for precision, measured in every.items() if measured]
    found = {}
    if rows:
        ordered = sorted(rows, key=lambda row: row[1])
        found["throughput"] = plot.bars(f"{MANY} connections, mixed lengths", ordered, "requests/s")
    if curves := _curves(peers):
        found["latency"] = plot.curves(
            "Open loop, float32: 99th percentile from the scheduled time", curves, "requests/s", "ms", "y"
        )
    return found


def _row(name: str, found: Sequence[float]) -> plot.Row:
    return name, median(found), min(found), max(found)


def _curves(peers: Sequence[Record]) -> dict[str, list[tuple[float, float]]]:
    """The p99 at each rate, of the strongest peers and of labeld beside the strongest of them."""
    asked = [one for one in peers if one["precision"] == "float32" and opened(one, PEER, SHARES[0])]
    strongest = sorted(asked, key=lambda one: median(rates(one, PEER, "mixed", MANY)), reverse=True)[:CURVES]
    found = {named(one): _curve(one, PEER) for one in strongest}
    if strongest:
        found = {"labeld, float32": _curve(strongest[0], "float32"), **found}
    return {name: curve for name, curve in found.items() if curve}


def _curve(record: Record, who: str) -> list[tuple[float, float]]:
    loops = [loop for share in SHARES if (loop := opened(record, who, share)) is not None]
    return [(loop["rate"], loop["p99_ms"]) for loop in loops if loop["p99_ms"]]
