"""The options of one check's run: how much it does, and whether a mistake is seeded."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

FULL_MINUTES = 60.0
"""Minutes of a whole run at which every check has its full count, if its time is enough for that."""


@dataclass(frozen=True, slots=True)
class Run:
    """One check's share of a run."""

    name: str
    minutes: float
    """Of the whole run, by which the counts are scaled."""
    seconds: float
    """Of this check: it stops early when they are over."""
    folder: Path
    """Empty at first, and removed afterwards."""
    progress: Progress
    seeded: bool = False
    """Whether servers are builds with the check's seeded fault."""
    keep: bool = False
    """Whether new inputs that are interesting are added to the corpus."""

    def rounds(self, full: int, least: int = 1, part: float = 1.0) -> Iterator[int]:
        """Numbers from 0: `full` of them in a run of an hour, fewer when `part` of the time is over, at least `least`.

        A run of fewer minutes has as much less.
        """
        wanted = max(least, round(full * min(1.0, self.minutes / FULL_MINUTES)))
        end = time.monotonic() + part * self.seconds
        for number in self.progress.track(range(wanted), description=self.name):
            if number >= least and time.monotonic() > end:
                return
            yield number
