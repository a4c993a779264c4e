"""Cores of this machine: how much of them others have used."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
IDLE = (3, 4)
"""Columns of /proc/stat in which nothing was done: idle, and waiting for a disk."""
GUESTS = 8
"""The column from which on times are counted in others, too."""


class Cores:
    """What has been used of some cores since this was made, by a server that runs on no others."""

    def __init__(self, cores: Sequence[int], processes: Callable[[], Sequence[int]]) -> None:
        self._cores, self._processes = cores, processes
        self._began, self._busy, self._own = time.monotonic(), self._busy_seconds(), self._own_seconds()

    def others(self) -> float:
        """The share of the time in which others, other virtual machines included, had them."""
        used = self._busy_seconds() - self._busy - (self._own_seconds() - self._own)
        return max(0.0, used / len(self._cores) / (time.monotonic() - self._began))

    def _busy_seconds(self) -> float:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        columns = {line.split()[0]: [*map(int, line.split()[1:])] for line in lines if line.startswith("cpu")}
        every = [columns[f"cpu{core}"][:GUESTS] for core in self._cores]
        return sum(sum(one) - sum(one[column] for column in IDLE) for one in every) / TICKS

    def _own_seconds(self) -> float:
        total = 0
        for pid in self._processes():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS
