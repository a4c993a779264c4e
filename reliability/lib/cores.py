"""Cores of this machine: how much of them others have used, and what that says of times."""

import os
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.lib.report import Figure

TICKS = os.sysconf("SC_CLK_TCK")
IDLE = (3, 4)
"""Columns of /proc/stat in which nothing was done: idle, and waiting for a disk."""
GUESTS = 8
"""The column from which on times are counted in others, too."""
OTHERS = 0.25
"""Share of all cores that others may have during a check; with more of it, its times are partly theirs."""


class Cores:
    """What has been used of some cores since this was made."""

    def __init__(self, cores: Sequence[int], own_seconds: Callable[[], float]) -> None:
        """`own_seconds` are those that those who are looked at have used so far, of no other cores."""
        self._cores, self._own_seconds = cores, own_seconds
        self._began, self._busy, self._own = time.monotonic(), self._busy_seconds(), own_seconds()

    def others(self) -> float:
        """The share of the time in which others, other virtual machines included, had them."""
        used = self._busy_seconds() - self._busy - (self._own_seconds() - self._own)
        return max(0.0, used / len(self._cores) / (time.monotonic() - self._began))

    def _busy_seconds(self) -> float:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        columns = {line.split()[0]: [*map(int, line.split()[1:])] for line in lines if line.startswith("cpu")}
        every = [columns[f"cpu{core}"][:GUESTS] for core in self._cores]
        return sum(sum(one) - sum(one[column] for column in IDLE) for one in every) / TICKS


def seconds_of(processes: Sequence[int]) -> float:
    """Seconds that these processes have used."""
    total = 0
    for pid in processes:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def own_seconds() -> float:
    """Seconds that this process, and those that it has started and seen end, have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def on_a_busy_machine(figures: Sequence[Figure], others: float) -> list[Figure]:
    """The figures of a check; without bars for how long something may take, if others had too much of the cores."""
    if others <= OTHERS:
        return list(figures)
    void = {"VOID": f"others had {others:.0%} of the cores, at most {OTHERS:.0%} count"}
    return [
        replace(one, bar=None, detail={**one.detail, **void})
        if one.unit in {"s", "ms"} and one.keep == "at most" and one.bar is not None
        else one
        for one in figures
    ]
