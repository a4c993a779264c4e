"""A pass: every text asked once, over a fixed number of connections, for a bounded time."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

from labeld.comparison.answers import Answer, Pass, Row
from labeld.comparison.errors import PeerLostError, TextFailedError, TextRefusedError
from labeld.types import Text

GIVE_UP = 5
"""Failures in a row after which a side is not asked any more."""

BLOCKS = 5
"""Parts of a pass, at most."""
LEAST_BLOCK = 50
"""Texts of a part, at least, but for the last one."""

OnDone = Callable[[], None]
"""Called when one text has an answer or none."""
Watch = Callable[[str, int], OnDone]
"""Begins to show the progress of a pass, by its description and the number of its texts."""


class Asked(Protocol):
    """A side that answers one text at a time; raises TextFailedError and PeerLostError."""

    def __call__(self, text: Text) -> Awaitable[Answer]:
        """The answer to a text."""
        ...


async def run_pass(  # noqa: PLR0913  # the parts of a pass
    name: str,
    asked: Asked,
    rows: Mapping[int, Row],
    connections: int,
    *,
    seconds: float,
    on_done: OnDone,
    is_known: bool = False,
) -> Pass:
    """Asks for every row, by its position, in order, `connections` at a time, for at most `seconds`.

    Never raises a side's errors. It gives up after GIVE_UP failures in a row, of which a refusal of a text is none
    once the side has answered, here or before (`is_known`).
    """
    texts = iter(rows.items())
    answers: dict[int, Answer] = {}
    failures: dict[int, str] = {}
    in_a_row, stopped = 0, ""
    began, worked = time.perf_counter(), time.process_time()

    async def keep_asking() -> None:
        nonlocal in_a_row, stopped
        for position, row in texts:
            if stopped:
                return
            try:
                answers[position] = await asked(row.text)
            except TextFailedError as error:
                failures[position] = str(error)
                is_of_text = isinstance(error, TextRefusedError) and (is_known or answers)
                in_a_row += 0 if is_of_text else 1
                if in_a_row >= GIVE_UP:
                    stopped = stopped or f"{name} failed {GIVE_UP} times in a row and is not asked any more: {error}"
            except PeerLostError as error:
                stopped = stopped or str(error)
            else:
                in_a_row = 0
            on_done()

    workers = [asyncio.create_task(keep_asking()) for _ in range(min(connections, len(rows)))]
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*workers)
    except TimeoutError:
        stopped = out_of_time(name)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    taken = time.perf_counter() - began
    return Pass(
        connections, answers, failures, taken, (time.process_time() - worked) / max(taken, 1e-9), stopped or None
    )


def blocks(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    """The positions in at most BLOCKS parts: both sides take turns by them, so that they meet the same noise."""
    size = max(LEAST_BLOCK, math.ceil(len(positions) / BLOCKS))
    for first in range(0, len(positions), size):
        yield positions[first : first + size]


def out_of_time(name: str) -> str:
    """The sentence of a pass that was ended before all texts were asked for."""
    return f"{name} could not answer all texts within --max-seconds: raise that, or lower --limit."


def require_answers(done: Pass) -> Pass:
    """The pass; raises PeerLostError where nothing was answered in it."""
    if not done.answers:
        raise PeerLostError(done.stopped or next(iter(done.failures.values()), "There was no text to ask for."))
    return done
