"""A service inside another program: on its own thread, with one model, and without a server."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from concurrent.futures import Future, wait
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from labeld.config.models_file import ModelEntry
from labeld.config.settings import Settings
from labeld.errors import LabeldError
from labeld.lifecycle.loader import LoadedModel
from labeld.literals import FunctionName, Precision
from labeld.protocol.errors import NoWindowsError
from labeld.service.aliases import with_defaults
from labeld.service.build import LIBRARY, open_service
from labeld.service.service import Service
from labeld.types import Logits, Parameters, Ranking, ScoredText, Text

CHUNKS_IN_FLIGHT = 6
"""Chunks or groups that are read before the first is answered: enough to keep every thread busy."""

WAKE = 0.1
"""Seconds after which who waits for a download looks for Ctrl-C, of which Python may not wake a main thread."""

T = TypeVar("T")
Work = Callable[[list[Text], Parameters, range], Coroutine[Any, Any, list[T]]]
"""Texts, parameters and positions -> one result for each text."""


@dataclass(frozen=True, slots=True)
class OpenModel:
    """Metadata of an open model, which stays readable after it is closed."""

    model_id: str
    labels: tuple[str, ...]
    revision: str
    precision: Precision
    max_tokens: int
    function: FunctionName
    """The function from its logits to scores when none is asked for."""


class InProcessService:
    """A service with one loaded model, on an event loop with a thread of its own. Use it from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="labeld-classifier", daemon=True)
        self._serving: tuple[Service, LoadedModel, ModelEntry | None] | None = None
        self._stack = AsyncExitStack()

    def start(self) -> OpenModel:
        """Loads the model and keeps it loaded; raises what loading raises."""
        self._thread.start()
        opened = asyncio.run_coroutine_threadsafe(self._open(), self.loop)
        while not wait([opened], timeout=WAKE).done:
            pass
        return opened.result()

    def stop(self) -> None:
        """Ends the service, the loop and its thread; once."""
        if self._thread.is_alive():  # not in a forked child
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()

    async def rankings(self, texts: list[Text], asked: Parameters, positions: range) -> list[Ranking]:
        """The rankings of texts; `positions` in the caller's list are named by errors."""
        service, loaded, asked = self._prepared(asked)
        return [one.ranking for one in await service.scorer.score(loaded, texts, asked, positions)]

    async def outcomes(self, texts: list[Text], asked: Parameters, positions: range) -> list[Ranking | LabeldError]:
        """The rankings of texts, and for each that cannot be classified its error."""
        service, loaded, asked = self._prepared(asked)
        return _outcomes(await service.scorer.score_each(loaded, texts, asked, positions))

    async def outcomes_apart(
        self, texts: list[Text], asked: Parameters, positions: range
    ) -> list[Ranking | LabeldError]:
        """As `outcomes`, with the same bits whatever else is computed; `Scorer.score_each` has the details."""
        service, loaded, asked = self._prepared(asked)
        return _outcomes(await service.scorer.score_each(loaded, texts, asked, positions, apart=True))

    async def logits(self, texts: list[Text], asked: Parameters, positions: range) -> list[Logits | LabeldError]:
        """The logits of texts, each float32 [windows, labels], whatever thresholds and temperature the alias has.

        There is one window unless the alias reads in several; a text that cannot be classified has its error. The
        labels of the model must differ. The same bits whatever else is computed, as `outcomes_apart`.
        """
        service, loaded, asked = self._prepared(replace(asked, function_to_apply="none", threshold=()))
        asked = replace(asked, return_windows=asked.stride is not None)
        place = {label: index for index, label in enumerate(loaded.model.config.labels)}
        scored = await service.scorer.score_each(loaded, texts, asked, positions, apart=True)
        return [one if isinstance(one, LabeldError) else _logits(one, place) for one in scored]

    def _prepared(self, asked: Parameters) -> tuple[Service, LoadedModel, Parameters]:
        """The service, the model, and the parameters with what the alias gives by itself; raises NoWindowsError."""
        assert self._serving is not None
        service, loaded, alias = self._serving
        asked = with_defaults(asked, alias)
        if asked.aggregate is not None and asked.stride is None:
            raise NoWindowsError("aggregate")
        return service, loaded, asked

    async def _open(self) -> OpenModel:
        service = await self._stack.enter_async_context(open_service(self._settings, LIBRARY))
        await service.preload()
        resolved = service.resolve(None)
        loaded = await self._stack.enter_async_context(service.lease(resolved))
        self._serving = service, loaded, resolved.alias
        model = loaded.model
        encoder, engine = model.encoder, model.engine
        config = model.config
        return OpenModel(
            model.model_id,
            config.labels,
            model.revision,
            engine.precision,
            encoder.max_tokens,
            config.default_function,
        )

    async def _close(self) -> None:
        await self._stack.aclose()
        if self._serving is not None:
            self._serving[1].model.engine.close()
            self._serving = None
        await asyncio.get_running_loop().shutdown_default_executor()


def in_order(
    submit: "Callable[[Coroutine[Any, Any, list[T]]], Future[list[T]]]",
    chunked: Iterable[tuple[int, list[Text]]],
    work: Work[T],
    asked: Parameters,
) -> "Generator[Future[list[T]], None, None]":
    """What becomes of the texts, chunk by chunk in their order; closing it cancels what still waits."""
    waiting: deque[Future[list[T]]] = deque()
    try:
        for first, chunk in chunked:
            waiting.append(submit(work(chunk, asked, range(first, first + len(chunk)))))
            while len(waiting) >= CHUNKS_IN_FLIGHT or (waiting and waiting[0].done()):
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for answered in waiting:
            answered.cancel()


def _outcomes(scored: list[ScoredText | LabeldError]) -> list[Ranking | LabeldError]:
    return [one if isinstance(one, LabeldError) else one.ranking for one in scored]


def _logits(scored: ScoredText, place: Mapping[str, int]) -> Logits:
    """Float32 [windows, labels], from rankings by logits; `place` is the column of each label."""
    rankings = [window.ranking for window in scored.windows] or [scored.ranking]
    rows = np.empty((len(rankings), len(place)), np.float32)
    for row, ranking in zip(rows, rankings, strict=True):
        row[[place[label] for label, _ in ranking]] = [score for _, score in ranking]
    return rows
