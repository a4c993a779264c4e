"""The control: a fixed piece of work that must take the same time all along, and a look at who else is busy.

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
"""Before the looks: the kernel is still freeing the memory of whoever has just ended."""


class Control(NamedTuple):
    """One look, while nobody of ours computes."""

    seconds: float
    """Median time of the fixed work: a matrix product on all cores."""
    foreign: float
    """Share of all cores that was busy with other people's work while we did nothing."""


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


def reasons_void(looks: list[Control]) -> list[str]:
    """Why the figures between these looks are void; none when they are not."""
    found = []
    times = [look.seconds for look in looks]
    if times and max(times) > (1 + SPREAD) * min(times):
        found.append(
            f"the same work took between {1e3 * min(times):.1f} and {1e3 * max(times):.1f} ms, more than "
            f"{SPREAD:.0%} apart"
        )
    if any(look.foreign > FOREIGN for look in looks):
        found.append(f"other work took up to {max(look.foreign for look in looks):.0%} of the cores")
    return found


def _jiffies() -> tuple[int, int]:
    """Busy time of all cores since the start, stolen by other machines included, and idle time."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, idle
