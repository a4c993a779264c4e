"""What a service says of itself and of its models: plain data."""

from dataclasses import dataclass
from typing import Literal

from labeld.cache.answers import CacheUse


@dataclass(frozen=True, slots=True)
class ModelState:
    """Where a model stands, in the words of `/status` (contract section 8), and of one that loads Loading."""

    state: Literal["Loadable", "Loading", "Loaded", "error", "TooBig"]
    estimated_time: float | None = None
    """Seconds until it answers, if that is up to waiting."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of this process is in use now."""

    in_flight: int
    """Requests that are being answered, those that wait for a model included."""
    waiting: int
    """Requests that wait for a model to be loaded."""
    loading: dict[str, float | None]
    """Models that are being loaded, and for how many seconds already; None = its turn has not come."""
    memory: int
    """Bytes."""
    memory_budget: int
    cache: CacheUse
