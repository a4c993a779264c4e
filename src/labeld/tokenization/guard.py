"""Failures of the tokenizers library -> labeld's errors.

The library raises bare Exception for whatever it refuses, and where its Rust code panics (a pattern that backtracks for
too long, a character map that leads outside itself) PanicException, which is no Exception and cannot be imported.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labeld.errors import LabeldError


@contextmanager
def failures_as(error: Callable[[], LabeldError]) -> Iterator[None]:
    """Raises `error()` in place of whatever the library raises in the block; errors of ours pass."""
    try:
        yield
    except LabeldError:
        raise
    except Exception:  # noqa: BLE001  # the library raises no narrower class
        raise error() from None
    except BaseException as raised:
        if type(raised).__name__ != "PanicException":
            raise
        raise error() from None
