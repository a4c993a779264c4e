"""Times on a busy machine are void, and say so, instead of being red."""

from collections.abc import Sequence

import pytest

from benchmarks.lib.open_loop import Answer, OpenLoop
from benchmarks.lib.report import Figure
from reliability.checks.overload import Attempt, figures
from reliability.lib.cores import on_a_busy_machine
from tests.support.steady_clients import Seen


def attempt(*, late: float = 0.0, others: float = 0.0, silent: bool = False) -> Attempt:
    """A hundred answers and as many slow refusals in ten seconds, which left so many seconds late."""
    due = [index / 10 for index in range(100)]
    answers = [Answer(one, one + late, one + 1.0, 200, retry_after=False) for one in due]
    refusals = [Answer(one, one + late, one + 0.2, 429, retry_after=not silent) for one in due]
    return Attempt(10.0, OpenLoop(20.0, 10.0, [*answers, *refusals]), Seen(right=1), others)


def failed(found: Sequence[Figure]) -> list[str]:
    """Names of the figures that do not keep their bars."""
    return [one.name for one in found if not one.passed]


def test_slow_refusals_are_red_on_a_quiet_machine() -> None:
    """A fifth of a second is too long."""
    assert ["p99 of the refused"] == failed(figures(attempt()))


@pytest.mark.parametrize(
    ("disturbed", "why"), [({"late": 0.1}, "the generator left 100 ms late"), ({"others": 0.3}, "others had 30%")]
)
def test_times_are_void_on_a_busy_machine(disturbed: dict[str, float], why: str) -> None:
    """They have no bars and say why, while everything else is judged all the same."""
    found = figures(attempt(silent=True, **disturbed))

    assert ["refusals without Retry-After"] == failed(found)
    assert 3 == sum(one.bar is None and why in one.detail["VOID"] for one in found)


@pytest.mark.parametrize(("others", "expected"), [(0.2, ["back after", "lost"]), (0.5, ["lost"])])
def test_only_times_are_void_while_others_have_the_cores(others: float, expected: list[str]) -> None:
    """What was lost is lost on any machine."""
    found = [Figure("signals", "back after", 7.0, "s", 3.0), Figure("signals", "lost", 1, "", 0)]

    assert expected == failed(on_a_busy_machine(found, others))
