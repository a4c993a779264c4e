"""Figures of a comparison: agreement, differences, threshold flips, latencies and cost. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labeld.autotune.accuracy import kendall_tau
from labeld.comparison.answers import PeerRanking

Z = 1.959964
"""The normal distribution's quantile of a two-sided interval of 95 %."""
MOST_ORDERED = 2000
"""Texts whose order is compared, at most: the pairs grow with their square."""

Pair = tuple[PeerRanking, PeerRanking]
"""Our ranking of a text and the peer's, both with the model's labels."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of texts, with its 95 % interval after Wilson."""

    count: int
    of: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Differences:
    """For each text the largest difference of a label's score; over all texts."""

    mean: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Flips:
    """Texts whose score of a label reaches the threshold on one side only."""

    label: str
    threshold: float
    flips: Share
    only_ours: int
    """Flips in which ours reaches it."""


class Latency(NamedTuple):
    """Milliseconds of the answers."""

    mean: float
    p50: float
    p99: float
    max: float


def share(count: int, of: int) -> Share:
    """The share of `count` among `of`, which is not 0."""
    middle = (count + Z * Z / 2) / (of + Z * Z)
    half = Z / (of + Z * Z) * math.sqrt(count * (of - count) / of + Z * Z / 4)
    return Share(count, of, count / of, max(0.0, middle - half), min(1.0, middle + half))


def agreement(pairs: Sequence[Pair]) -> Share | None:
    """The share of texts with an equal best label, or with none on both sides; None without texts."""
    if not pairs:
        return None
    return share(sum(best_label(ours) == best_label(theirs) for ours, theirs in pairs), len(pairs))


def best_label(ranking: PeerRanking) -> str | None:
    """The first label; None where no label has reached a threshold."""
    return ranking[0].label if ranking else None


def order_agreement(pairs: Sequence[Pair]) -> float | None:
    """Kendall's tau of the order of the first texts by a model's only label; None without scores."""
    scored = [(_scores(ours), _scores(theirs)) for ours, theirs in pairs[:MOST_ORDERED]]
    known = [(*ours.values(), *theirs.values()) for ours, theirs in scored if len(ours) == len(theirs) == 1]
    return kendall_tau(*np.array(known).T) if len(known) > 1 else None


def differences(pairs: Sequence[Pair]) -> Differences | None:
    """None where no text has a score of one label on both sides."""
    largest = []
    for ours, theirs in pairs:
        before, after = _scores(ours), _scores(theirs)
        changes = [abs(before[label] - after[label]) for label in before.keys() & after.keys()]
        if changes:
            largest.append(max(changes))
    if not largest:
        return None
    return Differences(float(np.mean(largest)), float(np.percentile(largest, 99)), max(largest))


def flips(pairs: Sequence[Pair], thresholds: Mapping[str, float]) -> list[Flips]:
    """The flips of each label that has a threshold, where both sides have its score."""
    found = []
    scored = [(_scores(ours), _scores(theirs)) for ours, theirs in pairs]
    for label, threshold in thresholds.items():
        sides = [
            (ours[label] >= threshold, theirs[label] >= threshold)
            for ours, theirs in scored
            if label in ours and label in theirs
        ]
        if sides:
            only_ours = sum(ours and not theirs for ours, theirs in sides)
            flipped = sum(ours != theirs for ours, theirs in sides)
            found.append(Flips(label, threshold, share(flipped, len(sides)), only_ours))
    return found


def latency(seconds: Sequence[float]) -> Latency:
    """The latencies of at least one answer."""
    milliseconds = np.array(seconds) * 1000
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return Latency(float(milliseconds.mean()), float(p50), float(p99), float(milliseconds.max()))


def cost_of_a_billion(core_hour: float, cores: int, texts_per_second: float) -> float:
    """The price of 10^9 texts at this rate on so many cores."""
    return core_hour * cores * 1e9 / texts_per_second / 3600


def _scores(ranking: PeerRanking) -> dict[str, float]:
    return {one.label: one.score for one in ranking if one.score is not None}
