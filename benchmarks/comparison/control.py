"""The control: fixed work that must always take the same time, and a reading of how busy other processes are.

A run in which it does not has no figures worth keeping.
"""

import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

SPREAD, FOREIGN = 0.30, 0.10
"""An idle virtual machine took between 10.5 and 12.9 ms for the same work: its host's clock has two speeds."""
SIZE, TIMES = 1024, 45
SETTLE_SECONDS, IDLE_SECONDS = 1.0, 1.0
"""Before a reading: the kernel is still freeing the memory of a process that has just ended."""


class Control(NamedTuple):
    """One reading, taken while no process of the benchmark computes."""

    seconds: float
    """Median time of the fixed work: a matrix product on all cores."""
    foreign: float
    """Share of all cores that other processes kept busy while the benchmark was idle."""


def control() -> Control:
    """Takes about three seconds."""
    time.sleep(SETTLE_SECONDS)
    before = _jiffies()
    time.sleep(IDLE_SECONDS)
    after = _jiffies()
    passed = [end - begin for begin, end in zip(before, after, strict=True)]
    matrix = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    return Control(median(times), passed[0] / max(1, sum(passed)))


def reasons_void(readings: list[Control]) -> list[str]:
    """Why the figures between these readings are void; empty when they are valid."""
    found = []
    times = [reading.seconds for reading in readings]
    if times and max(times) > (1 + SPREAD) * min(times):
        found.append(
            f"the same work took between {1e3 * min(times):.1f} and {1e3 * max(times):.1f} ms, more than "
            f"{SPREAD:.0%} apart"
        )
    if any(reading.foreign > FOREIGN for reading in readings):
        found.append(f"other work took up to {max(reading.foreign for reading in readings):.0%} of the cores")
    return found


def _jiffies() -> tuple[int, int]:
    """Busy time of all cores since the start, stolen by other machines included, and idle time."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, idle
