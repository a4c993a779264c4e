"""Measured load times of models, kept over restarts, and the estimate of the next load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labeld.system.json_file import read_object, replace_object

HISTORY_FILE = "load-times.json"
MAX_MODELS = 1000
FIRST_GUESS = 20.0
"""Seconds of a load of which nothing is known (contract section 6.2: the estimate of the hosted service)."""


class LoadTimes:
    """The last load of each model: seconds and bytes of weights. Used by one thread at a time."""

    def __init__(self, cache_dir: Path) -> None:
        self._path = cache_dir / HISTORY_FILE
        self._loads = {
            model_id: (float(one["bytes"]), float(one["seconds"]))
            for model_id, one in read_object(self._path).items()
            if _plausible(one)
        }

    def add(self, model_id: str, weight_bytes: int, seconds: float) -> None:
        """Adds a load, on disk too."""
        self._loads.pop(model_id, None)
        self._loads[model_id] = (float(weight_bytes), seconds)
        for oldest in list(self._loads)[:-MAX_MODELS]:
            del self._loads[oldest]
        kept = {one: {"bytes": size, "seconds": round(taken, 3)} for one, (size, taken) in self._loads.items()}
        replace_object(self._path, kept)

    def expected_seconds(self, model_id: str, weight_bytes: int | None) -> float:
        """Seconds to load the model: as last time, or by its bytes at the speed of all loads, or a guess.

        A model of the same name with other weights is another model.
        """
        known = self._loads.get(model_id)
        if known and weight_bytes in (None, known[0]):
            return known[1]
        seconds = sum(taken for _, taken in self._loads.values())
        if weight_bytes is None or not seconds:
            return FIRST_GUESS
        return weight_bytes * seconds / max(1.0, sum(size for size, _ in self._loads.values()))


def _plausible(one: Any) -> bool:
    if not isinstance(one, Mapping):
        return False
    size, seconds = one.get("bytes"), one.get("seconds")
    return (
        isinstance(size, int | float) and isinstance(seconds, int | float) and 0 <= seconds < 1e6 and 0 <= size < 1e15
    )
