"""Failures of the pool of models. The base and the rest are in labeld/errors.py."""

from labeld.errors import OverloadedError, format_bytes


class MemoryInUseError(OverloadedError):
    """The model would fit into memory, but for a moment requests or other models have taken it."""

    def __init__(self, model_id: str, needed: int, room: int) -> None:
        super().__init__(
            f"The model {model_id} cannot be loaded now: it needs {format_bytes(needed)}, and "
            f"{format_bytes(max(room, 0))} of memory_budget are free; try again in a few seconds.",
            5.0,
            "memory_budget",
        )
        self.model_id, self.needed, self.room = model_id, needed, room
