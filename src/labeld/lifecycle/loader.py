"""Model id -> a model that answers, and its end: downloads beside each other, all else that is slow on one thread."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from labeld.config.precision import Asked
from labeld.errors import FolderError, ModelBrokenError, UnavailableError
from labeld.lifecycle.load_times import LoadHistory
from labeld.lifecycle.model import LoadOptions, Model, check_folder, load_model, weight_bytes
from labeld.repository.resolver import Catalogue, Place
from labeld.scheduler.dispatcher import Dispatcher
from labeld.scheduler.queue import ModelQueue
from labeld.system import memory

logger = logging.getLogger(__name__)

PEAK: dict[Asked, float] = {"float32": 1.7, "bfloat16": 1.5, "int8": 0.6, "auto": 1.7}
"""Bytes in use while a model is loaded, over the bytes of its weights in float32: see
docs/decisions/0005-memory-budget.md. A trial for `auto` begins with float32."""

DOWNLOADS = 4
"""Models that are downloaded at once."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model and its queue."""

    model: Model
    queue: ModelQueue
    place: Place
    """Where its files are, for as long as it is loaded."""


class ModelLoader:
    """The registry's loader. Owns the loader thread and those that download; use it on the event loop."""

    def __init__(self, catalogue: Catalogue, dispatcher: Dispatcher, options: LoadOptions) -> None:
        self._catalogue, self._dispatcher, self._options = catalogue, dispatcher, options
        self._places: dict[str, Place] = {}
        self._thread = ThreadPoolExecutor(1, "load")
        self._downloads = ThreadPoolExecutor(DOWNLOADS, "download")
        self._history = LoadHistory(options.cache_dir)
        self._weight_bytes: dict[str, int] = {}

    async def prepare(self, key: str) -> int:
        """Gets the files; bytes that loading will need. Raises ModelBrokenError, or what `Catalogue.fetch` raises."""
        self._release(key)  # what an earlier load that came to nothing has left
        place = await asyncio.get_running_loop().run_in_executor(self._downloads, self._catalogue.fetch, key)
        self._places[key] = place
        self._weight_bytes[key] = await self._on_thread(named, key, weight_bytes, place.folder)
        return int(self._weight_bytes[key] * PEAK[self._options.precisions.of(key)])

    async def load(self, key: str) -> Loaded:
        """The prepared model with a queue of its own; raises ModelBrokenError."""
        model = await self._on_thread(self._load, key, self._places[key])
        return Loaded(model, self._dispatcher.attach(model.engine), self._places.pop(key))

    def size(self, model: Loaded) -> int:
        """What the engine knows that its weights take."""
        return model.model.engine.nbytes

    async def close(self, model: Loaded) -> None:
        """Frees the engine once no lane runs it, and gives its memory back."""
        await self._dispatcher.detach(model.queue)
        last_reference, place = [model], model.place
        del model
        await self._on_thread(_free, last_reference)
        self._catalogue.release(place)

    async def check(self, model_id: str) -> None:
        """Logs a warning when a model's files cannot be served."""
        try:
            await self._on_thread(check_folder, self._catalogue.folders.find(model_id)[1])
        except FolderError as error:
            logger.warning("model %s cannot be served: %s", model_id, error)

    def expected_seconds(self, key: str) -> float:
        """What loading this model takes, as far as is known."""
        return self._history.expected_seconds(key, self._weight_bytes.get(key))

    def stop_trial(self) -> None:
        """Ends a trial of precisions that runs, and those that would follow."""
        self._options.stopping.set()

    def shutdown(self) -> None:
        """Breaks off the downloads, waits for the load that runs, and drops the others."""
        self._catalogue.stop()
        self._downloads.shutdown(cancel_futures=True)
        self._thread.shutdown(cancel_futures=True)
        self._catalogue.close()

    def _release(self, key: str) -> None:
        if place := self._places.pop(key, None):
            self._catalogue.release(place)

    async def _on_thread(self, function: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _load(self, model_id: str, place: Place) -> Model:
        began = time.perf_counter()
        model: Model = named(model_id, load_model, model_id, place.folder, self._options, place.commit)
        memory.give_back()
        seconds = time.perf_counter() - began
        self._history.add(model_id, self._weight_bytes[model_id], seconds)
        logger.info("loaded %s in %.2f s", model_id, seconds)
        return model


def _free(last_reference: list[Loaded]) -> None:
    """Ends a model here, on the loader's thread: freeing hundreds of megabytes takes a while."""
    model = last_reference.pop().model
    model_id = model.model_id
    model.engine.close()
    del model
    memory.give_back()
    logger.info("unloaded %s", model_id)


def named(model_id: str, function: Callable[..., R], *arguments: object) -> R:
    """What the function returns; any failure becomes a ModelBrokenError that names the model."""
    try:
        return function(*arguments)
    except FolderError as error:
        logger.error("model %s cannot be loaded: %s", model_id, error)  # noqa: TRY400  # the sentence says it all
        raise ModelBrokenError(model_id, str(error)) from None
    except UnavailableError:
        raise
    except Exception:
        logger.exception("model %s cannot be loaded", model_id)
        raise ModelBrokenError(
            model_id, "its files are not as they should be; the server's log has the cause."
        ) from None
