"""Soak: traffic, errors, loads and evictions together, after which memory, descriptors and threads are as before.

The seeded fault leaves something behind with every request.
"""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.lib.report import Figure
from reliability.lib.askers import Askers
from reliability.lib.grammar import Grammar
from reliability.lib.judge import Judge
from reliability.lib.models import CLASSIFIERS, known, tiny_models
from reliability.lib.questions import TEXTS
from reliability.lib.run import Run
from reliability.lib.server import resident_bytes, serving, workers
from reliability.lib.sockets import send_all
from tests.support.server_process import Server

LEAST_SECONDS = 16.0
WARM_UP = 0.5
"""Share of the time in which libraries allocate their buffers; in a long run no more than `WARM_SECONDS`."""
WARM_SECONDS = 300.0
BAR_MEMORY, BAR_FILES, BAR_THREADS = 1.05, 8, 2
IDLE = "0.5"
"""Seconds after which a model leaves."""
MB = 1e6
CLIENTS, REQUESTS, ERRORS = 8, 5, 40


def check(run: Run) -> list[Figure]:
    """Rounds of everything; the resident memory of the last ones over that of the first ones after the warm-up."""
    from tests.support.dialect_bodies import BODIES  # noqa: PLC0415  # torch, which takes seconds

    models = tiny_models(run.folder)
    grammar = Grammar(23, BODIES)
    flags = ("labeld/language-20", "--models-dir", str(models), "--idle-timeout", IDLE)
    with serving(run, *flags) as server:
        askers = Askers([server.address], TEXTS, known(models, TEXTS))
        [worker] = workers(server)
        sizes = _sizes(run, server, lambda number: _round(server, askers, grammar, number))
        survived, counts = [worker] == workers(server), server.get("/status").json()["counts"]
    half = max(1, len(sizes) // 4)
    first, last = sizes[:half], sizes[-half:]
    memory = [median(size[0] for size in some) for some in (first, last)]
    detail = {
        "before_mb": memory[0] / MB,
        "after_mb": memory[1] / MB,
        "rounds": len(sizes),
        "answers": askers.counts["right"],
    }
    return [
        Figure(
            "soak", "memory at the end", memory[1] / memory[0], "of that after the warm-up", BAR_MEMORY, detail=detail
        ),
        Figure("soak", "descriptors more", _more(first, last, 1), "", BAR_FILES),
        Figure("soak", "threads more", _more(first, last, 2), "", BAR_THREADS),
        Figure("soak", "evictions", counts["evictions"], "", 1, "at least"),
        Figure("soak", "wrong and foreign answers", askers.counts["wrong"] + askers.counts["foreign"], "", 0),
        Figure("soak", "the same worker at the end", float(survived), "", 1, "at least"),
    ]


Size = tuple[int, int, int]
"""Bytes, descriptors and threads of the worker."""


def _sizes(run: Run, server: Server, do: Callable[[int], None]) -> list[Size]:
    """Of the worker after each round beyond the warm-up."""
    [worker] = workers(server)
    seconds = max(LEAST_SECONDS, run.seconds)
    warm_until = time.monotonic() + min(WARM_SECONDS, WARM_UP * seconds)
    end, sizes, number = time.monotonic() + seconds, list[Size](), 0
    while time.monotonic() < end or len(sizes) < 4:
        do(number)
        number += 1
        if time.monotonic() >= warm_until:
            folder = Path(f"/proc/{worker}")
            sizes.append(
                (resident_bytes(worker), len([*(folder / "fd").iterdir()]), len([*(folder / "task").iterdir()]))
            )
    return sizes


def _more(first: list[Size], last: list[Size], of: int) -> float:
    return median(size[of] for size in last) - median(size[of] for size in first)


def _round(server: Server, askers: Askers, grammar: Grammar, number: int) -> None:
    """Right questions, some of whose clients leave; wrong ones; and a pause in which models leave now and then."""

    async def ask() -> None:
        dice = (random.Random(1000 * number + one) for one in range(CLIENTS))
        await asyncio.gather(*(askers.ask(one, server.address, REQUESTS) for one in dice))

    asyncio.run(ask())
    send_all(server.address, (grammar() for _ in range(ERRORS)), Judge())
    if number % 3 == 0:
        time.sleep(2 * float(IDLE))
    server.post(
        f"/models/{CLASSIFIERS[number % len(CLASSIFIERS)]}", json={"inputs": "good"}, headers={"x-wait-for-model": "1"}
    )
