"""Published scores of models, and the tolerance within which ours must agree."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from labeld.errors import SettingsError
from labeld.literals import FunctionName
from labeld.repository.folders import Folders
from labeld.types import Parameters, Text

SHIPPED = Path(__file__).with_name("reference_scores.json")
"""Scores that model cards and courses print for the reference models: see docs/guides/models.md."""

FILE = "reference_scores.json"
"""Name of the file of a model's folder that has its reference scores, in the form of SHIPPED."""

FLOAT32 = 5e-6
"""Change of a score by another library's or machine's float32, times the score above 1. The bundled models'
scores are within 4e-7 of transformers'; tanh in place of the exact GELU moves them by 1.4e-4 in the median."""


@dataclass(frozen=True, slots=True)
class ReferenceScore:
    """The published scores of one text by one model."""

    model: str
    """Its id."""
    text: Text
    parameters: Parameters
    scores: Mapping[str, Decimal]
    """Scores of some or all labels, with the digits that were published."""


def tolerance(published: Decimal) -> float:
    """The tolerance of a published score: half a unit of its last digit, plus FLOAT32."""
    return float(Decimal(5).scaleb(int(published.as_tuple().exponent) - 1)) + FLOAT32 * max(1.0, abs(float(published)))


def read_reference_scores(path: Path) -> list[ReferenceScore]:
    """The answers in a file like the one that comes with labeld.

    Raises SettingsError naming the file and the entry that is wrong; also when there is none, because then nothing
    would be verified.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
    except (OSError, ValueError, RecursionError):
        raise SettingsError(f"answers is {str(path)!r}, which cannot be read as JSON.") from None
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"answers is {str(path)!r}, which has no list of answers.")
    return [_reference_score(path, place, entry) for place, entry in enumerate(entries, 1)]


def reference_scores_in(folders: Folders) -> list[ReferenceScore]:
    """The reference scores that lie in the folders of models, under the id that each folder has here.

    Raises SettingsError naming the file and the entry that is wrong.
    """
    files = {model_id: folder / FILE for model_id, folder in folders.by_id().items()}
    return [
        replace(score, model=model_id)
        for model_id, path in files.items()
        if path.is_file()
        for score in read_reference_scores(path)
    ]


def _reference_score(path: Path, place: int, entry: Any) -> ReferenceScore:
    get = entry.get if isinstance(entry, dict) else {}.get
    model, text, pair, function, scores = map(get, ("model", "text", "pair", "function_to_apply", "scores"))
    if not (
        isinstance(model, str)
        and isinstance(text, str)
        and isinstance(pair, str | None)
        and (function is None or function in get_args(FunctionName))
        and isinstance(scores, dict)
        and scores
        and all(isinstance(score, Decimal) and math.isfinite(tolerance(score)) for score in scores.values())
    ):
        raise SettingsError(
            f'Answer {place} of {str(path)!r} must be like {{"model": "org/name", "text": "…", "scores": {{"LABEL": '
            '0.99}}, with "pair" and "function_to_apply" (sigmoid, softmax or none) if need be.'
        )
    return ReferenceScore(model, Text(text, pair), Parameters(function_to_apply=function), scores)
