"""Ratios of labeld's medians to those of groups of peers, each with its bar; the peer with the worst ratio counts."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.comparison.records import Record, named, of_kind, opened, rate
from benchmarks.comparison.schedule import AT, MANY, ONE, PEER
from benchmarks.lib.report import Figure

MAIN = "distilbert"
"""The model that the bars are about unless they say otherwise."""


class Group(NamedTuple):
    """Peers that are one column of the table."""

    name: str
    has: Callable[[Record], bool]


def _documented(one: Record) -> bool:
    return (one["variant"], one["precision"]) == ("documented", "float32")


def _tuned(one: Record, *, precision: str, torch: bool) -> bool:
    return (one["variant"], one["precision"], one["engine"] == "torch") == ("tuned", precision, torch)


DOCUMENTED = Group("documented servers", _documented)
TUNED_TORCH = Group("tuned torch", lambda one: _tuned(one, precision="float32", torch=True))
TUNED_GRAPH = Group("tuned ONNX Runtime or OpenVINO", lambda one: _tuned(one, precision="float32", torch=False))
TUNED_INT8 = Group("the same in int8", lambda one: _tuned(one, precision="int8", torch=False))
GROUPS = (DOCUMENTED, TUNED_TORCH, TUNED_GRAPH, TUNED_INT8)

BARS = {
    "float32": {DOCUMENTED: 2.7, TUNED_TORCH: 1.6, TUNED_GRAPH: 1.15},
    "bfloat16": {DOCUMENTED: 4.5, TUNED_TORCH: 3.0, TUNED_GRAPH: 2.0},
    "int8": {DOCUMENTED: 8.0, TUNED_TORCH: 5.0, TUNED_GRAPH: 3.0, TUNED_INT8: 1.3},
}
"""Mixed lengths, 32 connections: labeld's requests per second in this precision, divided by the peer's."""
ONE_CONNECTION = {DOCUMENTED: 1.7, TUNED_TORCH: 1.3, TUNED_GRAPH: 1.0}
ONE_CONNECTION_INT8 = 1.1
PAIRS = {"float32": 2.4, "int8": 6.0}
P99, MEMORY, START, SCORES = 0.6, 0.5, 1.0, 1e-5


def figures(lines: Sequence[Record]) -> list[Figure]:
    """Every bar for which there is something to compare."""
    peers = [one for one in of_kind(lines, "peer") if not one["in_process"]]
    on_main = [one for one in peers if one["model"] == MAIN]
    found = [throughput(on_main, precision, group) for precision, bars in BARS.items() for group in bars]
    found += [
        _least(f"float32, one connection / {group.name}", on_main, group, ("float32", "mixed", ONE), bar)
        for group, bar in ONE_CONNECTION.items()
    ]
    in_int8 = f"int8, one connection / {TUNED_INT8.name}"
    found.append(_least(in_int8, on_main, TUNED_INT8, ("int8", "mixed", ONE), ONE_CONNECTION_INT8))
    found += [
        _least(f"{precision}, DeBERTa-v2 pairs / {DOCUMENTED.name}", peers, DOCUMENTED, (precision, "pairs", MANY), bar)
        for precision, bar in PAIRS.items()
    ]
    found += [_p99(on_main), *_labeld(lines, on_main)]
    return [one for one in found if one is not None]


def throughput(peers: Sequence[Record], precision: str, group: Group) -> Figure | None:
    """A cell of the table; None when no peer of the group was measured."""
    name = f"{precision} / {group.name}"
    return _least(name, peers, group, (precision, "mixed", MANY), BARS[precision][group])


def _least(name: str, peers: Sequence[Record], group: Group, load: tuple[str, str, int], bar: float) -> Figure | None:
    """The least ratio over the peers of a group."""
    found = []
    for one in filter(group.has, peers):
        ours, theirs = rate(one, *load), rate(one, PEER, *load[1:])
        if ours and theirs:
            found.append((ours / theirs, named(one)))
    if not found:
        return None
    value, peer = min(found)
    return Figure("compare", name, value, "x", bar, "at least", {"against": peer, "peers": len(found)})


def _p99(peers: Sequence[Record]) -> Figure | None:
    """The 99th percentile at 80 % of the peer's capacity, in the same precision, as a share of theirs; the worst."""
    found = []
    for one in peers:
        ours, theirs = opened(one, one["precision"], AT), opened(one, PEER, AT)
        if ours and theirs and ours["p99_ms"] and theirs["p99_ms"]:
            found.append((ours["p99_ms"] / theirs["p99_ms"], named(one)))
    if not found:
        return None
    value, peer = max(found)
    detail = {"against": peer, "peers": len(found)}
    return Figure("compare", f"p99 at {AT:.0%} of their capacity / theirs", value, "", P99, detail=detail)


def _labeld(lines: Sequence[Record], peers: Sequence[Record]) -> list[Figure | None]:
    """Memory, start and scores."""
    exact = [one for one in of_kind(lines, "labeld") if one["precision"] == "float32"]
    ours = next((one for one in reversed(exact) if one["model"] == MAIN), None)
    if ours is None:
        return []
    off = max(one["difference"] for one in exact)
    found: list[Figure | None] = [Figure("compare", "float32 scores from transformers'", off, "", SCORES)]
    infinity = [
        (one["peak_mb"], named(one)) for one in peers if one["peer"] == "infinity" and one["precision"] == "float32"
    ]
    starts = [(one["first_answer_s"], named(one)) for one in peers]
    for name, value, theirs, bar in (
        ("peak memory / Infinity's", ours["peak_mb"], infinity, MEMORY),
        ("start to first answer / the fastest peer's", ours["first_answer_s"], starts, START),
    ):
        if theirs:
            least, peer = min(theirs)
            found.append(Figure("compare", name, value / least, "", bar, detail={"against": peer}))
    return found
