"""The cores that this process may use."""

import os


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
