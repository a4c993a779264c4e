"""Figures out of intervals: of one process, or of several that have ended their intervals at the same moments. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, TypedDict

from labeld.metrics.totals import quantile

INTERVAL = 2.0
"""Seconds of an interval; it ends when the clock is a multiple of it."""
KEPT = 300
"""Intervals that are kept: ten minutes."""
WINDOWS = (10, 60, 600)
"""Seconds over which `recent` sums up."""

Figures = dict[str, float | int | None]


class Interval(TypedDict):
    """What happened between two moments of the monotonic clock, which all processes of a machine share; plain JSON."""

    began: float
    ended: float
    counts: dict[str, int]
    """By how much each of `Totals.counts` grew."""
    times: list[list[int]]
    """Pairs of a bucket of `Totals.seconds` that grew and by how much."""
    queue: int
    """Tokens that waited for a batch at its end."""
    memory: int
    """Bytes that counted against the budget at its end."""


def summed(processes: Iterable[Sequence[Interval]], now: float) -> list[Interval]:
    """The intervals of several processes as one, the oldest first: those of the ten minutes before `now`.

    Those that ended later are left out, since not every process was asked so late. One that ended late, because its
    event loop stood still, counts as long as it was.
    """
    last = now // INTERVAL
    slots: dict[float, Interval] = {}
    for one in chain.from_iterable(processes):
        slot = one["ended"] // INTERVAL
        if last - KEPT < slot <= last:
            slots[slot] = _together(slots[slot], one) if slot in slots else one
    return [slots[slot] for slot in sorted(slots)]


def recent(intervals: Sequence[Interval]) -> list[Figures]:
    """The figures of the last ten seconds, minute and ten minutes, or of as much of it as there is."""
    return [
        {"seconds": seconds, **_figures(intervals[-round(seconds / INTERVAL) :])} for seconds in WINDOWS if intervals
    ]


def columns(intervals: Sequence[Interval], now: float) -> dict[str, Any]:
    """Every figure of every interval, the oldest first, and how many seconds before `now` it ended."""
    rows = [_of_one(_frozen(one)) for one in intervals]
    ago = [round(max(0.0, now - one["ended"]), 1) for one in intervals]
    names = rows[0] if rows else ()
    return {"interval": INTERVAL, "ago": ago, **{name: [row[name] for row in rows] for name in names}}


Frozen = tuple[tuple[str, Any], ...]
"""An interval as a key."""


def _frozen(one: Interval) -> Frozen:
    counts, times = tuple(one["counts"].items()), tuple(map(tuple, one["times"]))
    return tuple({**one, "counts": counts, "times": times}.items())


@lru_cache(2 * KEPT)
def _of_one(frozen: Frozen) -> Figures:
    """NOTE: cached, because all but the last were asked for before: 2 ms of a status instead of 10."""
    fields = dict(frozen)
    return _figures([Interval(**{**fields, "counts": dict(fields["counts"])})])  # type: ignore[typeddict-item]


def _together(one: Interval, other: Interval) -> Interval:
    return {
        "began": min(one["began"], other["began"]),
        "ended": max(one["ended"], other["ended"]),
        "counts": {name: count + other["counts"][name] for name, count in one["counts"].items()},
        "times": [[index, count] for index, count in _times((one, other)).items()],
        "queue": one["queue"] + other["queue"],
        "memory": one["memory"] + other["memory"],
    }


def _times(intervals: Iterable[Interval]) -> dict[int, int]:
    """Answered requests by the bucket of their time."""
    times: dict[int, int] = {}
    for one in intervals:
        for index, count in one["times"]:
            times[index] = times.get(index, 0) + count
    return times


def _figures(intervals: Sequence[Interval]) -> Figures:
    """Of these intervals together: rates per second, times in seconds; None where there was nothing."""
    length = max(intervals[-1]["ended"] - intervals[0]["began"], 1e-9)
    sums = map(sum, zip(*(one["counts"].values() for one in intervals), strict=True))
    grown = dict(zip(intervals[0]["counts"], sums, strict=True))
    times = _times(intervals)
    looked_up = grown["hits"] + grown["misses"]
    return {
        **{name: _short(grown[name] / length) for name in ("requests", "texts", "tokens", "batches")},
        "batch_texts": _short(grown["batch_texts"] / grown["batches"]) if grown["batches"] else None,
        "p50": _short(quantile(times, 0.5)),
        "p99": _short(quantile(times, 0.99)),
        "cached": _short(grown["hits"] / looked_up) if looked_up else None,
        **{name: _short(grown[name] / length) for name in ("refused", "failed")},
        "queue": max(one["queue"] for one in intervals),
        "memory": intervals[-1]["memory"],
    }


def _short(value: float | None) -> float | int | None:
    """Three digits, so that ten minutes are a small document."""
    if value is None:
        return None
    return round(value) if value >= 100 else float(f"{value:.3g}")
