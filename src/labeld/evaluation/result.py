"""What an evaluation finds, as plain data that becomes JSON, text and HTML."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from labeld.evaluation.bootstrap import Samples, intervals
from labeld.evaluation.calibration import Calibration
from labeld.evaluation.judged import Judged
from labeld.evaluation.paired import Counts, Difference
from labeld.evaluation.statistics import Vector, counted, names
from labeld.evaluation.thresholds import Threshold

Confusion = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric with its 95 % interval; each None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label of a model."""

    label: str
    texts: int
    """Texts that have it."""
    given: int
    """Texts that get it."""
    metrics: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model on all texts."""

    model: str
    revision: str
    precision: str
    multi_label: bool
    temperature: float
    accuracy: Interval
    ece: Interval
    macro: dict[str, Interval]
    micro: dict[str, Interval]
    """Empty but for a multi-label model."""
    macro_labels: int
    """Labels in the macro averages."""
    labels: tuple[LabelFigures, ...]
    confusion: Confusion
    """Texts by their label (rows) and the one that they get (columns). Of a multi-label model a row for each label:
    the texts that neither have nor get it, only get it, only have it, and both."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another model on the same texts."""

    result: ModelResult
    mcnemar: Counts
    accuracy: Difference
    macro_f1: Difference


@dataclass(frozen=True, slots=True)
class Mistake:
    """A text that gets a wrong label, or lacks one that it has."""

    file: str
    line: int
    text: str
    pair: str | None
    truth: tuple[str, ...]
    given: tuple[str, ...]
    label: str
    """The label that the model is surest of and wrong about."""
    score: float
    """Of that label."""


@dataclass(frozen=True, slots=True)
class UnusableRow:
    """A row that was left out."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A whole evaluation."""

    files: tuple[str, ...]
    texts: int
    unusable: tuple[UnusableRow, ...]
    resamples: int
    seed: int
    result: ModelResult
    against: Comparison | None
    calibration: Calibration | None
    thresholds: tuple[Threshold, ...]
    target_precision: float | None
    """What the thresholds are to reach; None where they are those of the best F1, or there are none."""
    mistakes: tuple[Mistake, ...]
    """The surest first."""
    configuration: str | None
    """Thresholds and temperature as YAML for the configuration file."""
    notes: tuple[str, ...] = ()
    """Sentences about how the files were read."""

    def as_json(self) -> dict[str, Any]:
        """It as a JSON object."""
        return asdict(self)


def model_result(
    judged: Judged, values: Vector, samples: Samples, about: tuple[str, str, str], temperature: float
) -> ModelResult:
    """The figures of one model; `about` is its name, revision and precision."""
    low, high = intervals(samples)
    found: dict[str, dict[str, Interval]] = {}
    for (group, metric), *ends in zip(names(judged), values.tolist(), low.tolist(), high.tolist(), strict=True):
        found.setdefault(group, {})[metric] = Interval(*(None if math.isnan(one) else one for one in ends))
    texts, given = judged.truth.sum(0).tolist(), judged.decisions.sum(0).tolist()
    labels = (
        LabelFigures(label, texts[index], given[index], found[f"label {index}"])
        for index, label in enumerate(judged.labels)
    )
    overall = found["overall"]
    return ModelResult(
        *about,
        judged.multi_label,
        temperature,
        overall["accuracy"],
        overall["ece"],
        found["macro"],
        found.get("micro", {}),
        len(counted(judged)),
        tuple(labels),
        confusion(judged),
    )


def confusion(judged: Judged) -> Confusion:
    """The counts of `ModelResult.confusion`, by scikit-learn."""
    from sklearn import metrics  # noqa: PLC0415  # an extra, and slow to import

    if judged.multi_label:
        counts = metrics.multilabel_confusion_matrix(judged.truth, judged.decisions).reshape(-1, 4)
    else:
        ids = range(len(judged.labels))
        counts = metrics.confusion_matrix(judged.truth.argmax(1), judged.decisions.argmax(1), labels=[*ids])
    return tuple(tuple(row) for row in counts.tolist())


def worst(judged: Judged, most: int) -> list[tuple[int, int]]:
    """The positions of the texts that the model is surest and wrong about, each with that label's id."""
    wrong = judged.truth != judged.decisions
    if not judged.multi_label:
        wrong &= judged.decisions
    sureness = np.where(wrong, np.where(judged.decisions, judged.scores, 1 - judged.scores), -1.0)
    label, surest = sureness.argmax(1), sureness.max(1)
    order = np.argsort(-surest, kind="stable")[:most]
    return [(int(row), int(label[row])) for row in order if surest[row] >= 0]


def labels_of(judged: Judged, row: Sequence[bool]) -> tuple[str, ...]:
    """The names of the labels of a row of truth or decisions."""
    return tuple(label for label, there in zip(judged.labels, row, strict=True) if there)
