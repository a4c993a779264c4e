"""Texts scored by a leased model, past any cache: tokenised on threads, computed by the dispatcher."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from labeld.errors import LabeldError, OneTextError
from labeld.lifecycle.loader import LoadedModel
from labeld.scheduler.dispatcher import Dispatcher
from labeld.service.ranking import scored_text, scores_of
from labeld.tokenization.encoder import TextEncoder
from labeld.types import EncodedInput, Logits, Parameters, ScoredText, Text, Timings

READ_TOGETHER = 64
"""Texts that are tokenised one by one if one of them is wrong, at most."""

T = TypeVar("T")


class Scorer:
    """Scores texts. Owns the tokeniser threads; use it on the event loop. A cancelled caller costs no engine time."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._tokenisers = ThreadPoolExecutor(2, "tokenise")
        self._awaited: set[asyncio.Future[Any]] = set()
        """What the tokeniser threads are asked for."""
        self._began: dict[int, float] = {}
        """When each busy thread began with what it does, on the monotonic clock, by its number."""

    async def score(
        self,
        loaded: LoadedModel,
        texts: Sequence[Text],
        parameters: Parameters,
        positions: Sequence[int],
        timings: Timings | None = None,
    ) -> list[ScoredText]:
        """Texts scored by a leased model; `positions` is where errors say that they stand.

        Adds its times to `timings`. Raises the LabeldError of the first text that is wrong, and of a full queue
        OverloadedError before anything is tokenised: under ten times the load nine of ten requests end there.
        """
        self._dispatcher.check_room(loaded.queue)
        timings = timings or Timings()
        began = time.perf_counter()
        inputs = await self._on_thread(lambda: loaded.model.encoder.read(texts, parameters, positions))
        timings.tokenization += time.perf_counter() - began
        windows = [window for one in inputs for window in one.windows]
        rows = await self._dispatcher.run(loaded.queue, windows, timings)
        of_each = _divided(scores_of(rows, loaded.model.config, parameters), inputs)
        return [
            scored_text(index, one, scores, loaded.model.config, parameters)
            for index, one, scores in zip(positions, inputs, of_each, strict=True)
        ]

    async def score_each(
        self,
        loaded: LoadedModel,
        texts: Sequence[Text],
        parameters: Parameters,
        positions: Sequence[int],
        *,
        apart: bool = False,
    ) -> list[ScoredText | LabeldError]:
        """As `score`, but a text that is wrong by itself has its error for a score; a limit of windows is each text's.

        With `apart` the texts share no batch with those of other calls, as `Dispatcher.run` has it.
        """
        inputs = await self._on_thread(lambda: _read_each(loaded.model.encoder, texts, parameters, positions))
        good = [one for one in inputs if isinstance(one, EncodedInput)]
        rows = await self._dispatcher.run(loaded.queue, [window for one in good for window in one.windows], apart=apart)
        of_each = _divided(scores_of(rows, loaded.model.config, parameters), good)
        found: list[ScoredText | LabeldError] = []
        for index, one in zip(positions, inputs, strict=True):
            if isinstance(one, LabeldError):
                found.append(one)
                continue
            try:
                found.append(scored_text(index, one, next(of_each), loaded.model.config, parameters))
            except OneTextError as error:
                found.append(error)
        return found

    def hung(self, seconds: float) -> bool:
        """True when some texts have been tokenised for longer than that."""
        now = time.monotonic()
        return any(now - began > seconds for began in list(self._began.values()))

    def give_up(self, error: LabeldError) -> None:
        """Gives the error to all whose texts are not tokenised yet."""
        for future in self._awaited:
            if not future.done():
                future.set_exception(error)

    def shutdown(self) -> None:
        """Ends the threads."""
        self._tokenisers.shutdown()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._tokenisers, self._timed, work)
        self._awaited.add(future)
        try:
            return await future
        finally:
            self._awaited.remove(future)

    def _timed(self, work: Callable[[], T]) -> T:
        thread = threading.get_ident()
        self._began[thread] = time.monotonic()
        try:
            return work()
        finally:
            del self._began[thread]


def _divided(scores: Logits, inputs: Sequence[EncodedInput]) -> Iterator[Logits]:
    """The scores of each text's windows, float32 [windows, labels]."""
    begin = 0
    for one in inputs:
        yield scores[begin : begin + len(one.windows)]
        begin += len(one.windows)


def _read_each(
    encoder: TextEncoder, texts: Sequence[Text], parameters: Parameters, positions: Sequence[int]
) -> list[EncodedInput | LabeldError]:
    """Each text as the model reads it, or its error."""
    found: list[EncodedInput | LabeldError] = []
    for start in range(0, len(texts), READ_TOGETHER):
        some = slice(start, start + READ_TOGETHER)
        try:
            found += encoder.read(texts[some], parameters, positions[some])
        except OneTextError:
            pairs = zip(texts[some], positions[some], strict=True)
            found += [_read(encoder, text, parameters, index) for text, index in pairs]
    return found


def _read(encoder: TextEncoder, text: Text, parameters: Parameters, index: int) -> EncodedInput | LabeldError:
    try:
        return encoder.read([text], parameters, [index])[0]
    except OneTextError as error:
        return error
