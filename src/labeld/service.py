"""The story of one request: what HTTP and the command line both call."""

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labeld.dispatch import Dispatcher, ModelQueue, retry_after
from labeld.errors import FolderError, ModelBrokenError, NotFiniteError, OverloadedError, UnavailableError
from labeld.folders import DEFAULT_MODEL, Folders
from labeld.messages import ClassifyReply, ClassifyRequest, Ranking
from labeld.model import LoadOptions, Model, check_folder, load_model
from labeld.registry import Registry
from labeld.settings import Settings
from labeld.text import rank

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resident:
    """A loaded model and its queue."""

    model: Model
    queue: ModelQueue


class Service:
    """Answers requests. Owns the models and the tokeniser threads; lives on one event loop."""

    def __init__(self, folders: Folders, dispatcher: Dispatcher, options: LoadOptions, settings: Settings) -> None:
        self._folders, self._dispatcher, self._options = folders, dispatcher, options
        self._max_in_flight = settings.queue.max_in_flight
        self._preloaded = settings.folders.models or (DEFAULT_MODEL,)
        self._default = self._preloaded[0]
        self._in_flight = 0
        self._stopping = False
        self._registry: Registry[Resident] = Registry(self._load)
        self._tokenisers = ThreadPoolExecutor(2, "tokenise")
        self._loaders = ThreadPoolExecutor(1, "load")

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Counts a request from before its body is read until its reply; raises OverloadedError when full."""
        if self._in_flight >= self._max_in_flight:
            raise OverloadedError(
                f"{self._in_flight} requests are in flight, the limit (setting max_in_flight); try again later.",
                retry_after(1.0),
            )
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def preload(self) -> list[str]:
        """Ids of the models named in the settings, now loaded; raises ModelBrokenError or ModelNotFoundError."""
        ids = [(await self.resident(name)).model.model_id for name in self._preloaded]
        self._default = ids[0]
        return ids

    async def check_others(self) -> None:
        """Logs a warning for each model that is not loaded and whose files cannot be served."""
        for model_id in sorted(set(self._folders.ids()) - set(self._registry.resident())):
            _, folder = self._folders.find(model_id)
            try:
                await asyncio.get_running_loop().run_in_executor(self._loaders, check_folder, folder)
            except FolderError as error:
                logger.warning("model %s cannot be served: %s", model_id, error)

    async def classify(self, model_id: str | None, request: ClassifyRequest) -> ClassifyReply:
        """One ranking per text, by this model; None is the default model.

        Raises the LabeldError of the first thing that is wrong. A caller that is cancelled costs no engine time.
        """
        began = time.perf_counter()
        resident = await self.resident(model_id)
        model, parameters = resident.model, request.parameters
        texts = await asyncio.get_running_loop().run_in_executor(
            self._tokenisers, model.encoder.encode, request.texts, parameters
        )
        rows = await self._dispatcher.run(resident.queue, texts)
        function = parameters.function_to_apply or model.config.default_function
        rankings: list[Ranking] = []
        for index, row in enumerate(rows):
            if not np.isfinite(row).all():
                raise NotFiniteError(index)
            rankings.append(rank(row, model.config.labels, function, parameters.top_k))
        seconds = time.perf_counter() - began
        return ClassifyReply(rankings, model.revision, seconds, request.characters, request.ignored)

    async def resident(self, model_id: str | None) -> Resident:
        """The loaded model that a caller means by this id or bare name; loads it if need be."""
        found, _ = self._folders.find(self._default if model_id is None else model_id)
        return await self._registry.get(found)

    async def info(self, model_id: str | None) -> dict[str, Any]:
        """What a model is, for `/info`: ids, labels and limits."""
        model = (await self.resident(model_id)).model
        return {
            "model_id": model.model_id,
            "model_sha": model.revision,
            "model_dtype": model.engine.precision,
            "precision_trial": None if model.verdict is None else asdict(model.verdict),
            "model_type": {"classifier": {"id2label": dict(enumerate(model.config.labels))}},
            "architecture": model.config.architecture,
            "max_input_length": model.encoder.max_tokens,
            "max_text_characters": model.encoder.max_characters,
            "function_to_apply": model.config.default_function,
        }

    def ready(self) -> bool:
        """Whether requests are taken and answered: not stopping, and no lane hangs."""
        return not self._stopping and not self.hung()

    def hung(self) -> bool:
        """Whether the engine hangs, so that this process must be replaced."""
        return self._dispatcher.hung()

    def give_up(self) -> None:
        """Before a hung process is replaced: tells everybody who waits to try again, and takes nothing more."""
        self._stopping = True
        self._dispatcher.close(UnavailableError("The engine hangs and is being replaced: try again in a moment."))

    def stop_loading(self) -> None:
        """Ends a trial of precisions that runs: whoever waits for it is told that the server stops."""
        self._options.stopping.set()

    async def close(self) -> None:
        """Answers what was taken, then ends the threads."""
        self._stopping = True
        self.stop_loading()
        self._dispatcher.close()
        await self._dispatcher.join()
        self._tokenisers.shutdown()
        self._loaders.shutdown(cancel_futures=True)

    async def _load(self, model_id: str) -> Resident:
        _, folder = self._folders.find(model_id)
        began = time.perf_counter()
        model = await asyncio.get_running_loop().run_in_executor(
            self._loaders, _loaded, model_id, folder, self._options
        )
        logger.info("loaded %s in %.2f s", model_id, time.perf_counter() - began)
        return Resident(model, self._dispatcher.attach(model.engine))


def _loaded(model_id: str, folder: Path, options: LoadOptions) -> Model:
    try:
        return load_model(model_id, folder, options)
    except FolderError as error:
        logger.error("model %s cannot be loaded: %s", model_id, error)  # noqa: TRY400  # the sentence says it all
        raise ModelBrokenError(model_id, str(error)) from None
