"""labeld's engine alone: texts that are already token ids, in batches formed beforehand, without a server."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from benchmarks.lib.report import Plan
from benchmarks.lib.texts import Measured
from labeld.checkpoint.config import read_config
from labeld.engines import open_engine
from labeld.engines.base import EngineOptions
from labeld.literals import Precision
from labeld.scheduler import batching
from labeld.system.cpu import usable_cores
from labeld.types import EncodedText

BUDGETS = (64, 128, 256, 512)
FINALISTS = 3
"""Ways of running the engine alone that are measured in every round; the sweep before only chooses them."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A text without a deadline, as the batching function takes it."""

    text: EncodedText
    tokens: int
    deadline: float = float("inf")
    abandoned: bool = False


def batches(texts: Sequence[EncodedText], budget: int) -> list[list[EncodedText]]:
    """The texts in full batches of at most `budget` tokens, by labeld's planner with all of them waiting."""
    waiting = [_Waiting(text, len(text.ids)) for text in texts]
    found = []
    while waiting:
        head = waiting[: 2 * batching.LOOKAHEAD]
        chosen = set(batching.next_batch(head, budget, 0.0).batch)
        found.append([one.text for index, one in enumerate(head) if index in chosen])
        waiting[: len(head)] = [one for index, one in enumerate(head) if index not in chosen]
    return found


class EngineOnly:
    """One model on `threads` threads, `streams` batches at a time."""

    def __init__(self, folder: Path, threads: int, streams: int, precision: Precision = "float32") -> None:
        self.threads, self.streams = threads, streams
        self._engine = open_engine(folder, read_config(folder), EngineOptions(threads, streams, precision))

    def seconds(self, texts: Sequence[EncodedText], budget: int) -> float:
        """Time for all texts; the forming of batches is not counted."""
        work, lock = iter(batches(texts, budget)), Lock()
        began = time.perf_counter()
        with ThreadPoolExecutor(self.streams) as pool:
            for stream in [pool.submit(self._stream, work, lock) for _ in range(self.streams)]:
                stream.result()
        return time.perf_counter() - began

    def speed(self, texts: Sequence[Measured], budget: int) -> float:
        """Tokens per second over all texts."""
        return sum(text.tokens for text in texts) / self.seconds([text.encoded for text in texts], budget)

    def seconds_alone(self, text: EncodedText) -> float:
        """Time for one text."""
        began = time.perf_counter()
        self._engine.run([text])
        return time.perf_counter() - began

    def _stream(self, work: Iterator[list[EncodedText]], lock: Lock) -> None:
        while True:
            with lock:
                batch = next(work, None)
            if batch is None:
                return
            self._engine.run(batch)


def every_way(folder: Path, precision: Precision) -> list[EngineOnly]:
    """The engine on one core, on all cores for each batch, and with a batch for each core."""
    cores = usable_cores()
    ways = sorted({(1, 1), (cores, 1), (cores, cores)})
    return [EngineOnly(folder, threads, streams, precision) for threads, streams in ways]


def fastest_ways(plan: Plan, engines: Sequence[EngineOnly], texts: Sequence[Measured]) -> list[tuple[EngineOnly, int]]:
    """The fastest engines with their budgets, to be measured again; each is first run once, to prepare its shapes."""
    ways = [(engine, budget) for engine in engines for budget in BUDGETS]
    some = texts[: len(texts) // 4]
    speeds = {}
    for engine, budget in plan.progress.track(ways, description="the engine's best way"):
        engine.speed(some, budget)
        speeds[engine, budget] = engine.speed(some, budget)
    return sorted(ways, key=speeds.__getitem__, reverse=True)[:FINALISTS]
