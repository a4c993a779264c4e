"""Verdicts of precision trials, kept on disk: one file for each revision, kind of machine, probe and tolerances."""

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from labeld.autotune.accuracy import AccuracyLoss, Diversity
from labeld.autotune.trial import Measured, PrecisionChoice
from labeld.config.precision import CHOICES
from labeld.config.settings import Precisions
from labeld.system.json_file import read_object, replace_object

FOLDER = "precision-choices"
PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "flags")
"""What of /proc/cpuinfo makes a kind of processor. NOTE: in the cloud the name alone may be just "AMD EPYC"."""


class ChoiceFile:
    """The verdict on one revision on this kind of machine. Losing it costs a trial only, so nothing here fails."""

    def __init__(self, cache_dir: Path, revision: str, evaluation_texts: str, tolerances: Precisions) -> None:
        """`probe` is the digest of its texts."""
        self._basis = {
            "revision": revision,
            "evaluation_texts": evaluation_texts,
            "processor": _processor(),
            "versions": {name: version(name) for name in ("labeld", "openvino")},
            "tolerances": [
                tolerances.precision_agreement,
                tolerances.precision_mean_change,
                tolerances.precision_p99_change,
            ],
        }
        name = hashlib.sha256(json.dumps(self._basis, sort_keys=True).encode()).hexdigest()[:32]
        self._path = cache_dir / FOLDER / f"{name}.json"

    def read(self) -> PrecisionChoice | None:
        """The verdict; None where there is none, or none that can be understood."""
        stored = read_object(self._path)
        try:
            return _choice(stored["choice"]) if stored["basis"] == self._basis else None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def write(self, choice: PrecisionChoice) -> None:
        """Remembers it, beside what it rests on."""
        replace_object(self._path, {"choice": asdict(choice), "basis": self._basis})


def _choice(stored: dict[str, Any]) -> PrecisionChoice:
    """Raises KeyError, TypeError or ValueError where something is missing or makes no sense."""
    measured = tuple(Measured(**{**one, "loss": AccuracyLoss(**one["loss"])}) for one in stored["measured"])
    choice = PrecisionChoice(**{**stored, "measured": measured, "diversity": Diversity(**stored["diversity"])})
    if choice.precision not in [one.precision for one in measured] or measured[0].precision != CHOICES[0]:
        raise ValueError("a precision that was not measured")
    choice.sentence()  # raises TypeError where a number is none
    return choice


def _processor() -> dict[str, str]:
    """Facts of the first core."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    facts = dict(line.partition(":")[::2] for line in first.splitlines())
    return {name.strip(): value.strip() for name, value in facts.items() if name.strip() in PROCESSOR}
