"""Every check has a seeded fault, and one that cannot be planted any more is an error."""

import pytest

from labeld.server import log_output
from reliability import faults
from reliability.__main__ import SHARES, Name
from reliability.faults import FaultGoneError, Patches, planted
from tests.support.paths import ROOT

FAULTS_OF_A_HUB = ROOT / "benchmarks/suites/faults.py"
CHECKS = [name.value for name in Name]


@pytest.mark.parametrize("check", CHECKS)
def test_a_fault_can_be_planted(check: str) -> None:
    """What it replaces is there, and back again afterwards; a sentence says what is wrong."""
    with planted(check):
        pass

    assert len(faults.sentence(check)) > 20
    assert faults.reddens(check) in _source(check)


def _source(check: str) -> str:
    """The text of a check, whose figures have their names there, and of the benchmark that counts for one of them."""
    return "".join(path.read_text() for path in (ROOT / f"reliability/checks/{check}.py", FAULTS_OF_A_HUB))


def test_a_fault_is_taken_back() -> None:
    """The next check has a labeld without it."""
    before = log_output.BackgroundLineHandler.emit
    with planted("sinks"):
        assert log_output.BackgroundLineHandler.emit is not before

    assert log_output.BackgroundLineHandler.emit is before


def test_a_function_that_is_gone_is_an_error() -> None:
    """Or a check would be green for ever."""
    with Patches() as patches, pytest.raises(FaultGoneError, match="plant this fault elsewhere"):
        patches.replace(log_output, "no_such_function", lambda real: real)


def test_every_check_has_its_share_of_the_time() -> None:
    """None has no time at all."""
    assert set(SHARES) == set(Name)
    assert min(SHARES.values()) > 0
