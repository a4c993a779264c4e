"""Repeated measurements: all cases in turn, round after round, so that a change of the machine meets all of them."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from benchmarks.lib.report import Plan

Case = TypeVar("Case")
Value = TypeVar("Value")
ROUNDS = 4
"""The first of them included, which prepares every shape and is not counted."""


def in_turn(
    plan: Plan, description: str, cases: Mapping[Case, Callable[[], Value]], rounds: int = ROUNDS
) -> dict[Case, list[Value]]:
    """The values of each case in the rounds that count: all but the first, or the only one when the plan is quick."""
    found: dict[Case, list[Value]] = {case: [] for case in cases}
    for number in plan.progress.track(range(1 if plan.quick else rounds), description=description):
        for case, measure in cases.items():
            value = measure()
            if number or plan.quick:
                found[case].append(value)
    return found
