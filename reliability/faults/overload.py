"""Refusals do not say when to come back."""

from labeld.errors import RetryLaterError
from reliability.faults import Patches

REDDENS = "without Retry-After"


def plant(patches: Patches) -> None:
    """Plants it."""
    patches.replace(RetryLaterError, "headers", lambda _: lambda _: [])
