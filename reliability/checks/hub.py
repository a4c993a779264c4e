"""Hub: one that cuts, delays, garbles and redirects to private addresses has nothing unverified loaded, nobody asked.

The seeded fault believes whatever was downloaded.
"""

from dataclasses import replace

from benchmarks.lib.report import Figure, Plan
from benchmarks.suites import faults
from reliability.lib.run import Run

FULL_FROM = 20.0
"""Minutes of a run from which every kind of fault has ten models instead of two."""


def check(run: Run) -> list[Figure]:
    """Every kind of fault that the tests' Hub knows; the benchmark `faults` counts."""
    plan = Plan(None, run.folder, quick=run.minutes < FULL_FROM, progress=run.progress)
    return [replace(one, figure="hub") for one in faults.measure(plan)]
