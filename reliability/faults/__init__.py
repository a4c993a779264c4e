"""Builds of labeld with one planted mistake each, which the check of the same name must notice.

Nothing of `src` is changed: a module here replaces one function before the server starts. What it replaces must be
there, so that a mistake that can no longer be planted is an error and not a check that passes.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch


class FaultGoneError(Exception):
    """The function that a fault replaces is not there any more: the fault has to be planted elsewhere."""


class Patches(ExitStack):
    """Replacements, which the end of the context takes back."""

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Puts `make(original)` in the place of an attribute that the module or class has itself."""
        if name not in vars(owner):
            raise FaultGoneError(f"{owner.__name__} has no {name} of its own: plant this fault elsewhere.")
        self.enter_context(patch.object(owner, name, make(vars(owner)[name])))


def sentence(check: str) -> str:
    """What is wrong in the build of a check's fault."""
    return str(import_module(f"reliability.faults.{check}").__doc__).strip().rstrip(".")


def reddens(check: str) -> str:
    """A part of the name of the figure whose bar its fault must break, whatever becomes of the others."""
    return str(import_module(f"reliability.faults.{check}").REDDENS)


@contextmanager
def planted(check: str) -> Iterator[None]:
    """A check's fault in this process, for as long as the context lasts."""
    with Patches() as patches:
        import_module(f"reliability.faults.{check}").plant(patches)
        yield
