"""Hostile folders: nothing of them runs, memory stays bounded, and other models answer meanwhile.

The seeded fault gives pickles to Python's own reader.
"""

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from benchmarks.lib.report import Figure
from benchmarks.lib.server import peak
from labeld.lifecycle.folder_reader import TIME_LIMIT
from reliability.lib.hostile import kinds
from reliability.lib.models import tiny_models, unpacked_model
from reliability.lib.questions import questions
from reliability.lib.run import Run
from reliability.lib.server import serving, workers
from tests.support.hostile_files import CANARY
from tests.support.server_process import Server
from tests.support.steady_clients import steady_clients

LEAST = 24
BAR_MEMORY = 400.0
"""MB that the worker may take beyond what it takes with two good models, one of which torch and transformers run: these
two libraries alone are some 330 MB, once. A folder is read within 1 GiB elsewhere."""
BAR_PAUSE = 6.0
"""Seconds that anybody may wait for a good model's answer meanwhile: a worker is hung after 5."""
MB = 1e6


def check(run: Run) -> list[Figure]:
    """Each kind is asked for once; one that is not even looked at counts as a mistake of the check."""
    models, every = tiny_models(run.folder), kinds()
    good, unpacked = models / "org/bert", unpacked_model(models)
    names = [*every]
    order = names[:3] + random.Random(11).sample(names[3:], len(names) - 3)
    outcomes, slowest, tried = Counter[str](), ("", 0.0), set[str]()
    others = _Others(questions(models))
    for number in range(len(order)):  # before the start: what comes later is listed only after a while
        shutil.copytree(good, models / f"hostile/number-{number}")
    with serving(run, "org/bert", "--models-dir", str(models), "--load-grace", "90") as server:
        [worker] = workers(server)
        if (loaded := _try(server, unpacked)[0]) != "answered":
            raise AssertionError(f"{unpacked} was {loaded}")
        before = peak(worker)
        for number in run.rounds(len(order), LEAST):
            name = order[number]
            tried.add(name)
            folder = models / f"hostile/number-{number}"
            every[name](folder)
            with others.asking(server):
                outcome, seconds = _try(server, f"hostile/{folder.name}")
            shutil.rmtree(folder)
            outcomes[outcome] += 1
            if outcome not in {"answered", "refused"}:
                slowest = (f"{name}: {outcome}", seconds)
            elif seconds > slowest[1]:
                slowest = (name, seconds)
        survived = [worker] == workers(server)
        growth = (peak(worker) - before) / MB if survived else float("nan")
    canaries = len([*run.folder.rglob(CANARY)])
    detail = {**outcomes, "slowest": f"{slowest[0]} ({slowest[1]:.1f} s)"}
    wrong = sum(outcomes.values()) - outcomes["answered"] - outcomes["refused"]
    return [
        Figure("hostile", f"kinds, of {len(every)}", len(tried), "", LEAST, "at least"),
        Figure("hostile", "code run", canaries, "times", 0),
        Figure("hostile", "requests neither answered nor refused in a sentence", wrong, "", 0, detail=detail),
        Figure("hostile", "the same worker at the end", float(survived), "", 1, "at least"),
        Figure("hostile", "memory of the worker beyond its own", growth, "MB", BAR_MEMORY),
        Figure("hostile", "answers of another model that were wrong or failed", others.wrong, "", 0),
        Figure("hostile", "slowest of these", others.slowest, "s", BAR_PAUSE, detail={"answers": others.right}),
    ]


class _Others:
    """Clients of a good model, and what they have seen."""

    def __init__(self, asked: Mapping[bytes, bytes]) -> None:
        self._asked = asked
        self.right = self.wrong = 0
        """Answers; those that failed are wrong."""
        self.slowest = 0.0

    @contextmanager
    def asking(self, server: Server) -> Iterator[None]:
        """While they ask. NOTE: not while a folder is made, which keeps this process busy, and so its clients."""
        with steady_clients([server.address], self._asked, clients=2) as seen:
            yield
        self.right += seen.right
        self.wrong += seen.wrong + sum(seen.failed.values())
        self.slowest = max(self.slowest, seen.slowest)


def _try(server: Server, name: str) -> tuple[str, float]:
    """What a request for this folder came to, and after how long."""
    began = time.monotonic()
    try:
        reply = requests.post(
            f"{server.url}/models/{name}",
            json={"inputs": "i like the film"},
            headers={"x-wait-for-model": "true"},
            timeout=TIME_LIMIT + 30,
        )
    except requests.RequestException as error:
        outcome = type(error).__name__
    else:
        outcome = _outcome(reply)
    return outcome, time.monotonic() - began


def _outcome(reply: Any) -> str:
    if reply.status_code == 200:
        return "answered"
    sentence = reply.json().get("error", "")
    if reply.status_code == 404:
        return f"not read: {sentence[:80]}"
    is_clear = 20 < len(sentence) < 2100 and sentence.isprintable() and "log has the cause" not in sentence
    return "refused" if is_clear else f"{reply.status_code}: {sentence[:80]}"
