"""Verdicts of precision trials, kept on disk: one file for each revision, kind of machine, probe and tolerances."""

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from labeld.autotune.accuracy import Cost, Variety
from labeld.autotune.trial import Measured, Verdict
from labeld.config.precision import CHOICES
from labeld.config.settings import Precisions
from labeld.system.json_file import read_object, replace_object

FOLDER = "verdicts"
PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "flags")
"""What of /proc/cpuinfo makes a kind of processor. NOTE: in the cloud the name alone may be just "AMD EPYC"."""


class VerdictFile:
    """The verdict on one revision on this kind of machine. Losing it costs a trial only, so nothing here fails."""

    def __init__(self, cache_dir: Path, revision: str, probe: str, tolerances: Precisions) -> None:
        """`probe` is the digest of its texts."""
        self._basis = {
            "revision": revision,
            "probe": probe,
            "processor": _processor(),
            "versions": {name: version(name) for name in ("labeld", "openvino")},
            "tolerances": [tolerances.probe_agreement, tolerances.probe_mean_change, tolerances.probe_p99_change],
        }
        name = hashlib.sha256(json.dumps(self._basis, sort_keys=True).encode()).hexdigest()[:32]
        self._path = cache_dir / FOLDER / f"{name}.json"

    def read(self) -> Verdict | None:
        """The verdict; None where there is none, or none that can be understood."""
        stored = read_object(self._path)
        try:
            return _verdict(stored["verdict"]) if stored["basis"] == self._basis else None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def write(self, verdict: Verdict) -> None:
        """Remembers it, beside what it rests on."""
        replace_object(self._path, {"verdict": asdict(verdict), "basis": self._basis})


def _verdict(stored: dict[str, Any]) -> Verdict:
    """Raises KeyError, TypeError or ValueError where something is missing or makes no sense."""
    measured = tuple(Measured(**{**one, "cost": Cost(**one["cost"])}) for one in stored["measured"])
    verdict = Verdict(**{**stored, "measured": measured, "variety": Variety(**stored["variety"])})
    if verdict.precision not in [one.precision for one in measured] or measured[0].precision != CHOICES[0]:
        raise ValueError("a precision that was not measured")
    verdict.sentence()  # raises TypeError where a number is none
    return verdict


def _processor() -> dict[str, str]:
    """Facts of the first core."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    facts = dict(line.partition(":")[::2] for line in first.splitlines())
    return {name.strip(): value.strip() for name, value in facts.items() if name.strip() in PROCESSOR}
