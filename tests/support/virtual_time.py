"""An event loop whose clock stands still while there is something to do, and otherwise jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class Jumping(selectors.DefaultSelector):
    """Never waits: the time that it should have waited is added to its own clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The events that are ready now; waits for another thread if there are none and no timers either."""
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


def runner() -> asyncio.Runner:
    """An event loop in virtual time, for as long as the context lasts; between two runs its tasks stand still."""

    def new_loop() -> asyncio.SelectorEventLoop:
        """The loop, with the selector's clock as its own."""
        selector = Jumping()
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now
        return loop

    return asyncio.Runner(loop_factory=new_loop)


def run(story: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run` in virtual time."""
    with runner() as one:
        return one.run(story)
