"""Loads and closes models: downloads run concurrently, all other slow work on one thread."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from labeld.config.precision import Asked
from labeld.errors import FolderError, ModelBrokenError, UnavailableError
from labeld.lifecycle.folder_check import FolderCheck
from labeld.lifecycle.load_times import LoadTimes
from labeld.lifecycle.model import LoadOptions, Model, load_model, weight_bytes
from labeld.repository.resolver import ModelLocation, ResolvedModel, Resolver
from labeld.scheduler.dispatcher import Dispatcher
from labeld.scheduler.queue import ModelQueue
from labeld.system import memory
from labeld.system.disk import out_of_files

logger = logging.getLogger(__name__)

PEAK: dict[Asked, float] = {"float32": 1.7, "bfloat16": 1.5, "int8": 0.7, "auto": 1.7}
"""Bytes in use while a model is loaded, over the bytes of its weights in float32: see
decision 5. A trial for `auto` begins with float32."""

DOWNLOADS = 4
"""Models that are downloaded at once."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded model and its queue."""

    model: Model
    queue: ModelQueue
    location: ModelLocation
    """The location of its files, which are kept while it is loaded."""


class ModelLoader:
    """The registry's loader. Owns the loader thread and those that download; use it on the event loop."""

    def __init__(self, resolver: Resolver, dispatcher: Dispatcher, options: LoadOptions, check: FolderCheck) -> None:
        self._resolver, self._dispatcher, self._options = resolver, dispatcher, options
        self._locations: dict[str, ModelLocation] = {}
        self._thread = ThreadPoolExecutor(1, "load")
        self._downloads = ThreadPoolExecutor(DOWNLOADS, "download")
        self._history = LoadTimes(options.cache_dir)
        self._weight_bytes: dict[str, int] = {}
        self.check, self._marks = check, check.marks

    async def prepare(self, model: ResolvedModel) -> int:
        """Gets the files; bytes that loading will need. Raises ModelBrokenError, or what `Resolver.open` raises."""
        model_id = model.model_id
        self._release(model_id)  # of an earlier load that failed after this
        loop = asyncio.get_running_loop()
        location = await loop.run_in_executor(self._downloads, self._resolver.open, model)
        self._locations[model_id] = location
        await loop.run_in_executor(self._downloads, named, model_id, self.check.require_harmless, location.folder)
        self._weight_bytes[model_id] = await self._on_thread(
            named, model_id, self._marks.guarded(weight_bytes), location.folder
        )
        return int(self._weight_bytes[model_id] * PEAK[self._options.precisions.of(model_id)])

    async def load(self, model_id: str) -> LoadedModel:
        """The prepared model with a queue of its own; raises ModelBrokenError."""
        model = await self._on_thread(self._load, model_id, self._locations[model_id])
        return LoadedModel(model, self._dispatcher.attach(model.engine), self._locations.pop(model_id))

    def size(self, model: LoadedModel) -> int:
        """The bytes of the engine's weights."""
        return model.model.engine.nbytes

    async def close(self, model: LoadedModel) -> None:
        """Frees the engine once no stream runs it, and gives its memory back."""
        await self._dispatcher.detach(model.queue)
        last_reference, location = [model], model.location
        del model
        await self._on_thread(_free, last_reference)
        self._resolver.release(location)

    def forgive(self, folder: Path) -> None:
        """Lets the next load read this folder although that has crashed a process."""
        self._marks.forgive(folder)

    async def trim_memory(self) -> None:
        """Gives back memory that this process holds and does not use."""
        await self._on_thread(memory.collect_and_trim)

    def expected_seconds(self, model_id: str) -> float:
        """The estimated seconds of loading this model."""
        return self._history.expected_seconds(model_id, self._weight_bytes.get(model_id))

    def stop_trial(self) -> None:
        """Ends a trial of precisions that runs, and those that would follow."""
        self._options.stopping.set()

    def shutdown(self) -> None:
        """Cancels the downloads, waits for the running load, and drops the others."""
        self._resolver.stop()
        self._downloads.shutdown(cancel_futures=True)
        self._thread.shutdown(cancel_futures=True)
        self._resolver.close()

    def _release(self, model_id: str) -> None:
        if location := self._locations.pop(model_id, None):
            self._resolver.release(location)

    async def _on_thread(self, function: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _load(self, model_id: str, location: ModelLocation) -> Model:
        began = time.perf_counter()
        read = partial(load_model, model_id, options=self._options, commit=location.commit)
        model = named(model_id, self._marks.guarded(read), location.folder)
        memory.trim_heap()
        seconds = time.perf_counter() - began
        self._history.add(model_id, self._weight_bytes[model_id], seconds)
        logger.info("loaded %s in %.2f s", model_id, seconds)
        return model


def _free(last_reference: list[LoadedModel]) -> None:
    """Frees a model on the loader's thread, since freeing hundreds of megabytes takes a while."""
    model = last_reference.pop().model
    model_id = model.model_id
    model.engine.close()
    del model
    memory.trim_heap()
    logger.info("unloaded %s", model_id)


def named(model_id: str, function: Callable[..., R], *arguments: object) -> R:
    """The result of the function; any failure becomes a ModelBrokenError that names the model.

    But for UnavailableError, which it also becomes where there are too few file descriptors, or too little memory.
    """
    try:
        return function(*arguments)
    except UnavailableError:
        raise
    except BaseException as error:  # some libraries raise what is no Exception
        if out_of_files(error):
            logger.error("model %s cannot be loaded: too few file descriptors (ulimit -n)", model_id)  # noqa: TRY400
            sentence = "The server has too few file descriptors (ulimit -n) to load a model now: try again later."
            raise UnavailableError(sentence, 5.0) from None
        if memory.is_exhausted(error):
            logger.error("model %s cannot be loaded: too little memory", model_id)  # noqa: TRY400
            sentence = (
                "The server has too little memory to load a model now (ulimit -v, or a control group's limit): try "
                "again later."
            )
            raise UnavailableError(sentence, 5.0) from None
        if isinstance(error, FolderError):
            logger.error("model %s cannot be loaded: %s", model_id, error)  # noqa: TRY400  # the sentence says it all
            raise ModelBrokenError(model_id, str(error)) from None
        logger.exception("model %s cannot be loaded", model_id)
        raise ModelBrokenError(model_id, "its files are not as they should be; the log has the cause.") from None
