"""Foreign answers: every answer is that of its own text by its own model, whoever leaves and whatever Redis does.

The seeded fault has answers of different models share a cache key.
"""

import asyncio
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.lib.report import Figure
from reliability.lib.askers import Askers, distinct
from reliability.lib.models import known, tiny_models
from reliability.lib.proxies import MODES, proxy
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.redis_process import redis_server
from tests.support.tiny_models import WORDS

FULL_TEXTS = 2_000_000
CLIENTS = 24
REQUESTS = 40
"""Of each client in one round, which makes about 4,000 texts."""
TEXTS = 200
SECONDS_OF_A_MODE = 0.7
SECRET = {"LABELD_CACHE_SECRET": "a secret of the test"}


def check(run: Run) -> list[Figure]:
    """Two servers with a memory of answers, and a Redis behind a proxy that delays, cuts and garbles."""
    models, dice = tiny_models(run.folder), random.Random(3)
    texts = list(dict.fromkeys(" ".join(dice.choices(WORDS, k=dice.randint(2, 30))) for _ in range(TEXTS)))
    answers = known(models, texts)
    kept = distinct(texts, answers)
    texts = [texts[index] for index in kept]
    answers = {model: [its[index] for index in kept] for model, its in answers.items()}
    with ExitStack() as stack:
        shared = stack.enter_context(_shared_cache(run.folder)) if shutil.which("redis-server") else ()
        flags = ("org/bert", "--models-dir", str(models), "--queue-seconds", "60", *shared)
        servers = [stack.enter_context(serving(run, *flags, variables=SECRET)) for _ in range(2)]
        askers = Askers([server.address for server in servers], texts, answers)
        for number in run.rounds(FULL_TEXTS // 4000):
            asyncio.run(_round(askers, number))
    counts = askers.counts
    asked = sum(counts[name] for name in ("right", "foreign", "wrong"))
    detail = {"left": counts["left"], "refused": counts["refused"], "redis": bool(shared)}
    return [
        Figure("foreign", "texts answered", asked, "", 1000, "at least", detail),
        Figure("foreign", "answers that are foreign", counts["foreign"], "", 0),
        Figure("foreign", "answers that are wrong", counts["wrong"], "", 0),
        Figure("foreign", "requests without an answer", counts["failed"], "", 0),
    ]


async def _round(askers: Askers, number: int) -> None:
    """Every client once, on one server or the other."""
    clients = (
        askers.ask(random.Random(1000 * number + one), askers.addresses[one % len(askers.addresses)], REQUESTS)
        for one in range(CLIENTS)
    )
    await asyncio.gather(*clients)


@contextmanager
def _shared_cache(folder: Path) -> Iterator[tuple[str, ...]]:
    """The flags of a server that shares answers, through a proxy whose mode changes all the time."""
    stop = threading.Event()
    with redis_server(folder) as url, proxy(url) as (running, address):

        def change() -> None:
            dice = random.Random(5)
            while not stop.wait(SECONDS_OF_A_MODE):
                running.mode = dice.choice((*MODES, "pass", "pass", "pass", "late"))

        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        try:
            yield "--cache", address
        finally:
            stop.set()
            thread.join()
