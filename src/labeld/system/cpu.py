"""The cores of this machine, and how much makes sense on them."""

import os

from labeld.errors import SettingsError

MOST_PER_CORE = 16
"""Threads, batches or processes at once; to make many more takes longer than to compute with any."""


def require_few(name: str, value: int) -> None:
    """Raises SettingsError where a setting asks for more at once than makes sense on this machine."""
    most = MOST_PER_CORE * (os.cpu_count() or 1)
    if value > most:
        raise SettingsError(f"{name} is {value}, but must be at most {most}, {MOST_PER_CORE} per core of this machine.")


def usable_cores() -> int:
    """Number of cores this process may use: its CPU affinity, or its control group's quota if that is less."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _quota() or cores))


def _quota() -> int | None:
    """Whole cores of the control group's CPU quota (cgroup v2, then v1); None when there is none."""
    for quota_file, period_file in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        try:
            with open(quota_file, encoding="ascii") as file:  # noqa: PTH123
                words = file.read().split()
            if period_file:
                with open(period_file, encoding="ascii") as file:  # noqa: PTH123
                    words += file.read().split()
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0 and period > 0:
            return max(1, round(quota / period))
    return None
