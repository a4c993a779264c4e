"""The result of a comparison as plain data, which every report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labeld.comparison.answers import Pass, PeerRanking, Row
from labeld.comparison.statistics import (
    Differences,
    Flips,
    Latency,
    Share,
    agreement,
    best_label,
    cost_of_a_billion,
    differences,
    flips,
    latency,
    order_agreement,
)

BUSY = 0.8
"""Cores that the asking process may be busy with before it counts as what limits a rate."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model as labeld has loaded it."""

    model_id: str
    revision: str
    precision: str
    labels: tuple[str, ...]


@dataclass(slots=True)
class Side:
    """One side of a comparison, and what was measured of it."""

    name: str
    passes: list[Pass] = field(default_factory=list)
    memory: int | None = None
    """Bytes; None where it cannot be seen."""
    memory_of: str = "not seen"
    """Whose memory that is, or why there is none."""
    cores: int | None = None
    """Cores that it may use; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One pass of one side."""

    connections: int
    """Connections, or in one process the texts of a list."""
    texts: int
    """Texts that were answered."""
    seconds: float
    texts_per_second: float
    tokens_per_second: float | None
    """In the tokens that labeld counts, for both sides; None where it did not count."""
    latency_ms: Latency
    client_cores: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that has no answer, or no text."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class SideFigures:
    """The figures of one side."""

    name: str
    speeds: list[Speed]
    memory_bytes: int | None
    memory_of: str
    cores: int | None
    cost_per_billion: float | None
    """None without a price, or where the cores are not known."""
    failures: list[Failure]
    """Rows without an answer."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A text for which the best labels differ."""

    file: str
    line: int
    text: str
    pair: str | None
    ours: PeerRanking
    theirs: PeerRanking

    @property
    def confidence(self) -> float:
        """Our best score; 0 where there is none."""
        return (self.ours[0].score if self.ours else None) or 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a comparison found."""

    model: ModelFacts
    against: str
    dialect: str | None
    """The dialect and how it was found; None for transformers."""
    unit: str
    """The word for `Speed.connections`: connections, or texts at once."""
    texts: int
    """Texts of the input that were to be compared."""
    compared: int
    """Texts that both sides answered."""
    agreement: Share | None
    """None for a model with one label."""
    order_agreement: float | None
    """Kendall's tau, for a model with one label."""
    differences: Differences | None
    flips: list[Flips]
    disagreements: list[Disagreement]
    """The most confident of ours first."""
    ours: SideFigures
    theirs: SideFigures
    core_hour: float | None
    notes: list[str]
    stopped: list[str]
    """Sentences for which a side was not asked for all texts."""
    bad_rows: list[Failure] = field(default_factory=list)
    """Rows of the input that have no text."""

    @property
    def complete(self) -> bool:
        """Whether every row had a text that both sides answered in every pass."""
        return not (self.stopped or self.bad_rows or self.ours.failures or self.theirs.failures)

    @property
    def files(self) -> set[str]:
        """The files that the rows in the report are of."""
        listed: list[Disagreement | Failure] = [*self.disagreements, *self.bad_rows]
        return {one.file for one in [*listed, *self.ours.failures, *self.theirs.failures]}

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self, dict_factory=_plain), "complete": self.complete}


def result_of(  # noqa: PLR0913  # the parts of a comparison
    facts: ModelFacts,
    rows: Sequence[Row],
    ours: Side,
    theirs: Side,
    *,
    against: str,
    dialect: str | None,
    unit: str,
    thresholds: Mapping[str, float],
    core_hour: float | None,
    tokens: Mapping[int, int],
    notes: Sequence[str],
) -> Comparison:
    """The result of passes of which the first of each side has the answers to compare, by the rows' positions.

    `tokens` are those of texts, by the rows' positions.
    """
    first, other = ours.passes[0].answers, theirs.passes[0].answers
    both = [position for position in range(len(rows)) if position in first and position in other]
    pairs = [(first[one].ranking, other[one].ranking) for one in both]
    is_one = len(facts.labels) == 1
    disagreements = [
        Disagreement(rows[one].file, rows[one].line, *rows[one].text, first[one].ranking, other[one].ranking)
        for one in both
        if best_label(first[one].ranking) != best_label(other[one].ranking)
    ]
    sides = [_figures(side, rows, tokens, core_hour) for side in (ours, theirs)]
    busy = max(one.client_cores for side in sides for one in side.speeds)
    limited = f"The process that asks was busy with {busy:.2f} cores: the rates may be its limit, not the servers'."
    return Comparison(
        facts,
        against,
        dialect,
        unit,
        len(rows),
        len(both),
        None if is_one else agreement(pairs),
        order_agreement(pairs) if is_one else None,
        differences(pairs),
        flips(pairs, thresholds),
        sorted(disagreements, key=lambda one: -one.confidence),
        sides[0],
        sides[1],
        core_hour,
        [*notes, *([limited] if busy > BUSY else [])],
        [one.stopped for side in (ours, theirs) for one in side.passes if one.stopped],
    )


def _figures(side: Side, rows: Sequence[Row], tokens: Mapping[int, int], core_hour: float | None) -> SideFigures:
    speeds = [_speed(one, tokens) for one in side.passes if one.answers]
    best = max(one.texts_per_second for one in speeds)
    cost = None if core_hour is None or side.cores is None else cost_of_a_billion(core_hour, side.cores, best)
    failures = [
        Failure(rows[position].file, rows[position].line, why)
        for one in side.passes
        for position, why in one.failures.items()
    ]
    return SideFigures(side.name, speeds, side.memory, side.memory_of, side.cores, cost, failures)


def _speed(one: Pass, tokens: Mapping[int, int]) -> Speed:
    counted = [tokens[position] for position in one.answers if position in tokens]
    per_second = sum(counted) / one.seconds if len(counted) == len(one.answers) else None
    return Speed(
        one.connections,
        len(one.answers),
        one.seconds,
        one.rate,
        per_second,
        latency(one.latencies()),
        one.client_cores,
    )


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Named tuples as objects, which asdict leaves as they are."""
    return {name: _named(value) for name, value in items}


def _named(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return value._asdict()
    return [_named(one) for one in value] if isinstance(value, list | tuple) else value
