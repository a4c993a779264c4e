"""Failures of loading models. The base class and general failures are in labeld/errors.py."""

import random

from labeld.errors import FolderError, OverloadedError, format_bytes
from labeld.interface import Interface


class MemoryInUseError(OverloadedError):
    """The model would fit into memory, but requests or other models take up too much of it at the moment."""

    def __init__(self, model_id: str, needed: int, room: int) -> None:
        super().__init__("", 5.0, "memory_budget")
        self.args = (model_id, needed, room)
        self.model_id, self.needed, self.room = model_id, needed, room

    def sentence(self, interface: Interface) -> str:
        """Both sizes."""
        return (
            f"The model {self.model_id} cannot be loaded now: it needs {format_bytes(self.needed)}, and "
            f"{format_bytes(max(self.room, 0))} of {interface.setting('memory_budget')} are free; try again in a few "
            "seconds."
        )


class TooManyWaitingError(OverloadedError):
    """As many requests as may wait for models to be loaded."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting} requests wait for models to load, the limit (setting max_waiting); try again later.",
            random.uniform(1.0, 5.0),  # noqa: S311  # not for secrets
            "max_waiting",
        )


class DeadlyFolderError(FolderError):
    """Reading the folder would hold up or end the process that serves; the sentence says by what."""
