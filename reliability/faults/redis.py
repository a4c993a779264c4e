"""The shared cache waits for Redis as long as it takes."""

from labeld.cache import redis
from reliability.faults import Patches

REDDENS = "slowest answer"


def plant(patches: Patches) -> None:
    """Plants it."""
    patches.replace(redis, "LIMIT", lambda _: None)
