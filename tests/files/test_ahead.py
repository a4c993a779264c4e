"""Reading ahead, on a thread of its own."""

import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing

import pytest

from labeld.files.ahead import ahead


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_wait_that_the_signal_does_not_wake() -> None:
    """As where it comes just before the main thread begins to wait; here another thread gets it."""
    stopping, ended = threading.Event(), []

    def silent() -> Generator[int, None, None]:
        yield 1
        time.sleep(0.3)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        ended.append(stopping.wait(20))

    with pytest.raises(KeyboardInterrupt), closing(ahead(silent(), 2, stopping)) as items:
        list(items)

    assert [True] == ended


def test_what_reading_raises_is_raised_behind_what_was_read() -> None:
    """In its place, whatever waited."""

    def broken() -> Generator[int, None, None]:
        yield from (1, 2)
        raise ValueError("broken")

    items = ahead(broken(), 5, threading.Event())

    assert [1, 2] == [next(items), next(items)]
    with pytest.raises(ValueError, match="broken"):
        next(items)
