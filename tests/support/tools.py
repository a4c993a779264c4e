"""Programs that some tests start: without one they are skipped, or fail where everything was installed."""

import os
import shutil
from typing import NoReturn

import pytest

REQUIRED = "TESTS_REQUIRE_TOOLS"
"""Environment variable; 1, as .ci/run sets it, makes a failure of each test whose tool is missing."""


def missing(sentence: str) -> NoReturn:
    """Skips the test whose tool is missing, or fails it."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{sentence}, and {REQUIRED} is 1", pytrace=False)
    pytest.skip(sentence)


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name)
    return found or missing(f"{name} is not installed")
