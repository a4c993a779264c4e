"""labeld's engine alone: texts that are already token ids, in batches formed beforehand, without a server."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from labeld.checkpoint.config import read_config
from labeld.engines import open_engine
from labeld.scheduler import batching
from labeld.types import EncodedText, Precision


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
        self._engine = open_engine(folder, read_config(folder), threads, streams, precision)

    def seconds(self, texts: Sequence[EncodedText], budget: int) -> float:
        """Time for all texts; the forming of batches is not counted."""
        work, lock = iter(batches(texts, budget)), Lock()
        began = time.perf_counter()
        with ThreadPoolExecutor(self.streams) as pool:
            for stream in [pool.submit(self._stream, work, lock) for _ in range(self.streams)]:
                stream.result()
        return time.perf_counter() - began

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
