"""Results of precision trials on disk: a file for each revision, kind of machine, evaluation texts and tolerances."""

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
"""Folder of these files within the cache folder."""

PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "flags")
"""Fields of /proc/cpuinfo that identify a kind of processor. NOTE: in a cloud the name may just be "AMD EPYC"."""


class ChoiceFile:
    """The precision chosen for one revision on this kind of machine. A lost file means a new trial: nothing raises."""

    def __init__(self, cache_dir: Path, revision: str, evaluation_texts: str, tolerances: Precisions) -> None:
        """`evaluation_texts` is the `digest` of the texts."""
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
        """The choice; None where there is no file, or it cannot be understood."""
        stored = read_object(self._path)
        try:
            return _choice(stored["choice"]) if stored["basis"] == self._basis else None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def write(self, choice: PrecisionChoice) -> None:
        """Writes the choice, with everything that it depends on."""
        replace_object(self._path, {"choice": asdict(choice), "basis": self._basis})


def _choice(stored: dict[str, Any]) -> PrecisionChoice:
    """The choice in a file's JSON; raises KeyError, TypeError or ValueError where it is incomplete or wrong."""
    measured = tuple(Measured(**{**one, "loss": AccuracyLoss(**one["loss"])}) for one in stored["measured"])
    choice = PrecisionChoice(**{**stored, "measured": measured, "diversity": Diversity(**stored["diversity"])})
    if choice.precision not in [one.precision for one in measured] or measured[0].precision != CHOICES[0]:
        raise ValueError("the precision was not measured")
    choice.sentence()  # raises TypeError for a value that is not a number
    return choice


def _processor() -> dict[str, str]:
    """Fields of /proc/cpuinfo for the first core; empty where the file cannot be read."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    found = dict(line.partition(":")[::2] for line in first.splitlines())
    return {name.strip(): value.strip() for name, value in found.items() if name.strip() in PROCESSOR}
