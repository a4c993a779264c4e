"""Lines of the log are written where they arise, and whoever answers waits for their reader."""

from typing import Any

from labeld.server import log_output
from reliability.faults import Patches

REDDENS = "without an answer"


def plant(patches: Patches) -> None:
    """Plants it."""

    def emit(self: Any, record: Any) -> None:
        log_output._write_all(self._file, self._line(record))  # noqa: SLF001

    patches.replace(log_output.BackgroundLineHandler, "emit", lambda _: emit)
