"""The loads of each comparison, listed beforehand, so that the time of a whole run is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from benchmarks.comparison.closed_loop import WARM
from benchmarks.comparison.traffic import PAIRS
from benchmarks.lib.peer import Peer, Variant
from labeld.config.precision import FASTER
from labeld.literals import Precision

SECONDS, ROUNDS = 6.0, 2
MANY, ONE = 32, 1
AT = 0.8
"""The share of the peer's capacity at which latencies are compared."""
SHARES = (0.5, AT, 1.2)
"""Arrivals of the open loop, as shares of the peer's capacity."""
OPEN_LONGER = 4.0
"""Times a load of the closed loop at AT: a p99 needs some hundred answers, and a queue needs time to fill."""
PEER: Literal["peer"] = "peer"
START_SECONDS = 20.0
"""Time, about, of starting a peer, checking its scores and running the control."""
DRAIN_SECONDS = 2.0
"""Time, about, of the generator's start and of the answers that come after the last arrival of an open loop."""

Who = Literal["peer"] | Precision
"""The peer, or labeld in a precision."""


class Load(NamedTuple):
    """A load of the closed loop."""

    mix: str
    connections: int
    who: Who
    seconds: float

    @property
    def lasts(self) -> float:
        """Seconds, its warm-up included."""
        return round(self.seconds + WARM)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how often each load is measured."""

    seconds: float = SECONDS
    rounds: int = ROUNDS

    def closed(self, variant: Variant, model: str, *, in_process: bool) -> list[Load]:
        """The loads, peer and labeld in turn (A B A B); in its other precisions labeld gets half the time."""
        mix = "pairs" if model in PAIRS else "mixed"
        same, half = variant.precision, max(1.0, self.seconds / 2)
        others = FASTER if variant.precision == "float32" else ()
        long = 2 * self.seconds if mix == "pairs" else self.seconds  # NOTE: few pairs are answered in a second
        found = []
        for _ in range(self.rounds):
            found += [Load(mix, MANY, PEER, long), Load(mix, MANY, same, long)]
            found += [Load(mix, MANY, other, half) for other in others]
        if mix == "pairs" or in_process:
            return found
        for _ in range(self.rounds):
            found += [Load(mix, ONE, PEER, self.seconds), Load(mix, ONE, same, self.seconds)]
        return [*found, Load("wide", MANY, PEER, 2 * self.seconds), Load("wide", MANY, same, 2 * self.seconds)]

    def open(self, variant: Variant, model: str, *, in_process: bool) -> Iterator[tuple[float, Who, float]]:
        """The open loops: a share of the peer's capacity, who is asked, and for how many seconds."""
        if model in PAIRS or in_process:
            return
        for share in SHARES:
            seconds = self.seconds * (OPEN_LONGER if share == AT else 1.0)
            yield share, PEER, seconds
            yield share, variant.precision, seconds

    def expected(self, peer: Peer, variant: Variant, model: str) -> float:
        """Seconds for a variant, about; its installation and its first start are not known beforehand."""
        closed = sum(load.lasts for load in self.closed(variant, model, in_process=peer.in_process))
        opened = sum(lasts + DRAIN_SECONDS for *_, lasts in self.open(variant, model, in_process=peer.in_process))
        return START_SECONDS + closed + opened
