"""Folder -> a model that answers, and its end: everything slow happens on one thread, the loader's."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from labeld import memory
from labeld.dispatch import Dispatcher, ModelQueue
from labeld.errors import FolderError, ModelBrokenError, UnavailableError
from labeld.folders import Folders
from labeld.load_history import LoadHistory
from labeld.model import LoadOptions, Model, check_folder, load_model, weight_bytes

logger = logging.getLogger(__name__)

PEAK = 1.7
"""Bytes in use while a model is loaded, over the bytes of its weights in float32: see
docs/decisions/0005-memory-budget.md."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model and its queue."""

    model: Model
    queue: ModelQueue


class ModelLoader:
    """The registry's loader. Owns the loader thread; use it on the event loop."""

    def __init__(self, folders: Folders, dispatcher: Dispatcher, options: LoadOptions) -> None:
        self._folders, self._dispatcher, self._options = folders, dispatcher, options
        self._thread = ThreadPoolExecutor(1, "load")
        self._history = LoadHistory(options.cache_dir)
        self._weight_bytes: dict[str, int] = {}

    async def prepare(self, key: str) -> int:
        """Bytes that loading will need; raises ModelBrokenError when the weights cannot be read."""
        self._weight_bytes[key] = await self._on_thread(_named, key, weight_bytes, self._folder(key))
        return int(self._weight_bytes[key] * PEAK)

    async def load(self, key: str) -> Loaded:
        """The model with a queue of its own; raises ModelBrokenError."""
        model = await self._on_thread(self._load, key, self._folder(key))
        return Loaded(model, self._dispatcher.attach(model.engine))

    def size(self, model: Loaded) -> int:
        """What the engine knows that its weights take."""
        return model.model.engine.nbytes

    async def close(self, model: Loaded) -> None:
        """Frees the engine once no lane runs it, and gives its memory back."""
        await self._dispatcher.detach(model.queue)
        last_reference = [model]
        del model
        await self._on_thread(_free, last_reference)

    async def check(self, model_id: str) -> None:
        """Logs a warning when a model's files cannot be served."""
        try:
            await self._on_thread(check_folder, self._folder(model_id))
        except FolderError as error:
            logger.warning("model %s cannot be served: %s", model_id, error)

    def expected_seconds(self, key: str) -> float:
        """What loading this model takes, as far as is known."""
        return self._history.expected_seconds(key, self._weight_bytes.get(key))

    def stop_trial(self) -> None:
        """Ends a trial of precisions that runs, and those that would follow."""
        self._options.stopping.set()

    def shutdown(self) -> None:
        """Waits for the load that runs, and drops the others."""
        self._thread.shutdown(cancel_futures=True)

    def _folder(self, model_id: str) -> Path:
        return self._folders.find(model_id)[1]

    async def _on_thread(self, function: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _load(self, model_id: str, folder: Path) -> Model:
        began = time.perf_counter()
        model: Model = _named(model_id, load_model, model_id, folder, self._options)
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


def _named(model_id: str, function: Callable[..., R], *arguments: object) -> R:
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
