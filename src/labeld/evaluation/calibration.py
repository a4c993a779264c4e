"""The temperature by which scores say how often they are right, and what it does to texts it was not chosen by."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeld.config.models_file import MAX_TEMPERATURE
from labeld.errors import InvalidRequestError
from labeld.evaluation.judged import Judged, Scores, Truth
from labeld.evaluation.statistics import calibration_error, confidences

FOLDS = 5
"""Parts of the texts, each of which has no part in the temperature that it is measured with; so many texts at least."""
LEAST = 0.01
"""The lowest temperature that is tried; the highest is MAX_TEMPERATURE."""
TINY = 1e-12
"""Probabilities count as no less, or one text that is wrong for sure would decide alone."""

ScoresAt = Callable[[float], Scores]
"""Temperature -> the scores of all texts."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature, and the calibration error with and without it on texts that had no part in it."""

    temperature: float
    """Minimises the negative log likelihood of all texts; rounded to four digits."""
    ece_before: float
    ece_after: float
    """Each of FOLDS parts of the texts with the temperature of the others, taken together."""
    nll_before: float
    nll_after: float
    """Likewise."""

    @property
    def reason_against(self) -> str | None:
        """Why no configuration is to have it, as a sentence; None where it makes scores better."""
        why = ""
        if not LEAST < self.temperature < MAX_TEMPERATURE:
            why = f"{self.temperature:g} is the end of what was tried: add texts, some of which the model gets wrong"
        elif self.nll_after >= self.nll_before:
            why = "on texts that had no part in it, it does not help"
        return f"The temperature is left out of the configuration, since {why}." if why else None


def calibrate(judged: Judged, scores_at: ScoresAt, seed: int) -> Calibration:
    """The calibration of a model, by texts that are judged with its scores as they are.

    Raises InvalidRequestError where there are fewer than FOLDS texts.
    """
    if len(judged.truth) < FOLDS:
        raise InvalidRequestError(
            f"--calibrate needs {FOLDS} texts, since it measures a temperature on texts that had no part in it, but "
            f"only {len(judged.truth)} can be used: add more."
        )
    everything = np.ones(len(judged.truth), bool)
    parts = np.random.default_rng(seed).permutation(len(judged.truth)) % FOLDS
    held_out = np.empty_like(judged.scores)
    for part in range(FOLDS):
        inside = parts == part
        held_out[inside] = scores_at(_fit(judged, scores_at, ~inside))[inside]
    after = Judged(judged.labels, judged.multi_label, held_out, judged.truth, judged.decisions)
    return Calibration(
        float(f"{_fit(judged, scores_at, everything):.4g}"),
        *(calibration_error(*confidences(one)) for one in (judged, after)),
        *(_loss(one.scores, one.truth, multi_label=one.multi_label) for one in (judged, after)),
    )


def _fit(judged: Judged, scores_at: ScoresAt, rows: NDArray[np.bool_]) -> float:
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  # comes with scikit-learn, an extra

    def loss(logarithm: float) -> float:
        scores = scores_at(float(np.exp(logarithm)))[rows]
        return _loss(scores, judged.truth[rows], multi_label=judged.multi_label)

    bounds = np.log(LEAST), np.log(MAX_TEMPERATURE)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x
    least = loss(found)
    return float(np.exp(next((end for end in bounds if loss(end) <= least), found)))  # it may be flat up to an end


def _loss(scores: Scores, truth: Truth, *, multi_label: bool) -> float:
    """The mean negative log likelihood of the truth."""
    if not multi_label:
        return _surprise(scores[truth])
    return _surprise(np.where(truth, scores, 1 - scores))


def _surprise(probabilities: Scores) -> float:
    return -float(np.log(np.maximum(probabilities, TINY)).mean()) + 0.0  # 0.0, since -0.0 is shown with its sign
