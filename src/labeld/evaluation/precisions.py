"""The precisions of a model measured by the labels of evaluation texts, from the logits of a trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labeld.autotune.judge import Judge
from labeld.evaluation.bootstrap import RESAMPLES, SEED, intervals, resample
from labeld.evaluation.judged import Judged, judge, judge_best
from labeld.evaluation.paired import Difference, difference
from labeld.evaluation.result import Interval
from labeld.evaluation.statistics import Weighted, names
from labeld.literals import Precision
from labeld.scoring import apply
from labeld.types import Logits


@dataclass(frozen=True, slots=True)
class PrecisionFigures:
    """One precision on labelled texts."""

    precision: Precision
    accuracy: Interval
    macro_f1: Interval
    change: Difference
    """Of the macro F1 against float32."""


def precision_figures(by: Judge, logits: Mapping[Precision, Logits], rows: Sequence[int]) -> list[PrecisionFigures]:
    """The figures of each precision, float32 first, from its logits of the texts at these positions."""
    judged = [_judged(by, one, rows) for one in logits.values()]
    samples = resample(judged, RESAMPLES, SEED)
    values = [Weighted(one).vector(np.ones(len(rows))) for one in judged]
    ends = [intervals(one) for one in samples]
    accuracy, f1 = (names(judged[0]).index(one) for one in (("overall", "accuracy"), ("macro", "f1")))

    def interval(at: int, place: int) -> Interval:
        low, high = ends[at][:, place].tolist()
        return Interval(float(values[at][place]), low, high)

    return [
        PrecisionFigures(
            precision,
            interval(at, accuracy),
            interval(at, f1),
            difference((float(values[0][f1]), float(values[at][f1])), (samples[0][:, f1], samples[at][:, f1])),
        )
        for at, precision in enumerate(logits)
    ]


def _judged(by: Judge, logits: Logits, rows: Sequence[int]) -> Judged:
    scores, truth = apply(logits, by.function, by.temperature).astype(np.float64), by.truth[list(rows)]
    return (
        judge(by.labels, scores, truth, by.thresholds)
        if by.function == "sigmoid"
        else judge_best(by.labels, scores, truth)
    )
