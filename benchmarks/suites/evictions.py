"""Evictions: models that leave after each answer, with words and rows of all kinds. What outlives them would add up.

`cycles` finds what one load leaves behind; this finds what libraries keep of each model, word and length of a row.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.lib.client import Connection, post
from benchmarks.lib.plot import curves
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.server import Server, unshared
from benchmarks.lib.variants import variant
from labeld.repository.folders import BUNDLED

EVICTIONS, SETTLED = 3601, 857
"""Evictions of the soak of 21 minutes that found memory growing, and those of its first five minutes, in which memory
may still grow: the bar is of what comes after."""
WINDOW = 100
"""Evictions over which memory is read, once it has settled and at the end."""
TEXTS, WORDS = 16, 100
"""The most texts of a request, and the most words of one: each request has other words, and rows of other lengths."""
BAR = 1.05
PINNED, MODELS = "org/pinned", ("org/one", "org/two", "org/three")
SOURCE = BUNDLED / "labeld/language-20"
IDLE = "0.01"
"""Seconds after which an unused model leaves."""
PATIENCE = 10.0
POINTS = 100
"""Of the curve."""
MB = 1e6


def measure(plan: Plan) -> list[Figure]:
    """Memory with one small model that stays, over the last hundred evictions and a hundred once it has settled."""
    count, settled = (2 * WINDOW, 0) if plan.quick else (EVICTIONS, SETTLED)
    with tempfile.TemporaryDirectory(dir=plan.cache) as root:
        for seed, model in enumerate((PINNED, *MODELS)):
            variant(SOURCE, Path(root) / "models" / model, seed)
        flags = (PINNED, "--models-dir", f"{root}/models", "--hub", "off", "--idle-timeout", IDLE)
        with Server(*flags, cache=Path(root) / "cache") as server, Connection(server.port) as connection:
            sizes = _sizes(plan, connection, server, count)
            status = server.status()
    before, after = median(sizes[settled : settled + WINDOW]), median(sizes[-WINDOW:])
    step = max(1, len(sizes) // POINTS)
    curve = [[index, round(sizes[index] / MB, 2)] for index in range(0, len(sizes), step)]
    detail = {"first_mb": median(sizes[:WINDOW]) / MB, "before_mb": before / MB, "after_mb": after / MB}
    name, unit = f"memory after {count} evictions", f"of that after {settled}"
    return [
        Figure("evictions", name, after / before, unit, BAR, detail=detail),
        Figure("evictions", "evictions", status["counts"]["evictions"], "", count, "at least", {"curve_mb": curve}),
    ]


def _sizes(plan: Plan, connection: Connection, server: Server, count: int) -> list[int]:
    """The memory after each eviction, of a server that has loaded each model before."""
    dice, pid, sizes = random.Random(1), server.status()["pid"], []
    rounds = range(-len(MODELS), count)
    for number in plan.progress.track(rounds, description="evictions: load, answer, evict"):
        texts = [_text(dice) for _ in range(dice.randint(1, TEXTS))]
        status, body = connection.ask(post(f"/models/{MODELS[number % len(MODELS)]}", texts, wait=True))
        if status != 200:
            raise RuntimeError(f"{status}: {body.decode()}")
        _wait_for_eviction(server, number + len(MODELS) + 1)
        sizes.append(unshared(pid))
    return sizes[len(MODELS) :]


def _text(dice: random.Random) -> str:
    """Words that hardly any other text has, since a tokenizer may remember them; 350 tokens at most."""
    return " ".join(str(dice.randrange(10_000)) for _ in range(dice.randint(1, WORDS)))


def _wait_for_eviction(server: Server, number: int) -> None:
    """Until the worker counts so many."""
    end = time.monotonic() + PATIENCE
    while server.status()["counts"]["evictions"] < number:
        if time.monotonic() > end:
            raise RuntimeError(f"eviction {number} did not come within {PATIENCE:g} s")
        time.sleep(0.01)


def plots(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """SVG by name, from the JSON lines of a run: memory by evictions."""
    found = [line["curve_mb"] for line in lines if line.get("figure") == "evictions" and "curve_mb" in line]
    if not found:
        return {}
    points = [(float(number), megabytes) for number, megabytes in found[-1]]
    return {"evictions": curves("Memory against evictions", {"labeld": points}, "evictions", "MB", "")}
