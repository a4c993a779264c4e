"""Programs that some tests start: without one they are skipped, or fail where everything was installed."""

import os
import shutil
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

import pytest

REQUIRED = "TESTS_REQUIRE_TOOLS"
"""Environment variable; 1, as .ci/run sets it, makes a failure of each test whose tool is missing."""


def missing(sentence: str, required: str = REQUIRED) -> NoReturn:
    """Skips the test, or the file of tests, whose tool is missing, or fails it if the variable `required` is 1."""
    if os.environ.get(required) == "1":
        pytest.fail(f"{sentence}, and {required} is 1", pytrace=False)
    pytest.skip(sentence, allow_module_level=True)


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name)
    return found or missing(f"{name} is not installed")


def package(name: str) -> Any:
    """An installed Python package, for a whole file of tests."""
    installed(name, REQUIRED)
    return import_module(name)


def installed(name: str, required: str) -> None:
    """Goes on where a Python package is installed, without importing it."""
    if find_spec(name) is None:
        missing(f"the package {name} is not installed", required)
