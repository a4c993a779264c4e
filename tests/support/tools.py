"""Programs that some tests start: without one they are skipped, or fail where everything was installed."""

import os
import shutil
from importlib import import_module
from typing import Any, NoReturn

import pytest

REQUIRED = "TESTS_REQUIRE_TOOLS"
"""Environment variable; 1, as .ci/run sets it, makes a failure of each test whose tool is missing."""


def missing(sentence: str) -> NoReturn:
    """Skips the test whose tool is missing, or fails it."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{sentence}, and {REQUIRED} is 1", pytrace=False)
    pytest.skip(sentence, allow_module_level=True)


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name)
    return found or missing(f"{name} is not installed")


def package(name: str) -> Any:
    """An installed Python package, for a whole file of tests."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        missing(f"the package {name} is not installed")
