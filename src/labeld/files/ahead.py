"""Reading ahead on a thread, while what was read before is computed."""

from collections.abc import Generator
from contextlib import closing, suppress
from queue import Empty, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

WAKE = 0.1
"""Seconds after which who waits for an item looks for Ctrl-C."""


def ahead(items: Generator[T, None, None], depth: int, stopping: Event) -> Generator[T, None, None]:
    """The items, up to `depth` of which wait; raises what they raise.

    Closing it sets `stopping`, with which items that are waited for must end, closes them, and ends the thread.
    """
    waiting: Queue[T | BaseException | None] = Queue(depth)

    def read() -> None:
        try:
            with closing(items):  # NOTE: here, since after Ctrl-C a traceback may keep them until the process ends
                for item in items:
                    waiting.put(item)
                    if stopping.is_set():
                        return
            waiting.put(None)
        except BaseException as error:  # noqa: BLE001  # raised where the items are taken
            waiting.put(error)

    thread = Thread(target=read, name="labeld-read", daemon=True)
    try:
        thread.start()
        while (item := _next(waiting)) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopping.set()
        while thread.is_alive():
            while not waiting.empty():
                waiting.get()
            thread.join(0.05)


def _next(waiting: "Queue[T]") -> T:
    """NOTE: Python does not wake a main thread that began to wait when the signal was there already, but not seen."""
    while True:
        with suppress(Empty):
            return waiting.get(timeout=WAKE)
