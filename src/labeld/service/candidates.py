"""The second models of aliases: whether they can be asked now, their loading beside what serves, and why not."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence

from labeld.cache.keys import Identity
from labeld.config.labels import candidate_mistake
from labeld.config.models_file import ModelsFile, Part
from labeld.errors import (
    LabeldError,
    ModelNotLoadedError,
    ModelTooLargeError,
    OverloadedError,
    UnavailableError,
    format_bytes,
)
from labeld.interface import Interface
from labeld.lifecycle.errors import MemoryInUseError
from labeld.lifecycle.loader import LoadedModel
from labeld.lifecycle.registry import Registry
from labeld.repository.resolver import ResolvedModel, Resolver
from labeld.scheduler.queue import BackgroundDroppedError
from labeld.service.aliases import as_candidate, changed
from labeld.types import Text

logger = logging.getLogger(__name__)

RETRY_AFTER = 30.0
"""Seconds after a failed load until the next one."""
UNFIT = (MemoryInUseError, ModelTooLargeError)
"""Failures of a model for which there is no room beside those that serve."""
BUSY = (ModelNotLoadedError, OverloadedError, UnavailableError, BackgroundDroppedError)
"""Failures that pass by themselves, but for UNFIT."""


class OtherLabelsError(LabeldError):
    """The answers of a second model have other labels than those of the alias."""


class Candidates:
    """Finds, loads and checks second models. Use it on the event loop."""

    def __init__(self, resolver: Resolver, registry: Registry[LoadedModel], file: ModelsFile) -> None:
        self._resolver, self._registry, self._file = resolver, registry, file
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, tuple[LabeldError, float]] = {}
        """Failure of the last load, and the time on the event loop's clock from which it may be tried again."""
        self._checked: set[tuple[str, Identity]] = set()
        """Aliases, each with the identity of a second model whose labels are the alias's."""
        self._said: set[tuple[str, Part, type[Exception]]] = set()

    def find(self, live: ResolvedModel, part: Part) -> ResolvedModel:
        """The second model of an alias in this part, as it answers for it; raises what `Resolver.find` raises."""
        assert live.alias is not None
        return as_candidate(live, self._resolver.find(live.alias.candidates[part].model))

    def checked(self, candidate: ResolvedModel, identity: Identity | None) -> bool:
        """True when `require` has found that the answers of this identity have the labels of the alias."""
        return identity is not None and (candidate.public_id, identity) in self._checked

    async def require(self, live: ResolvedModel, candidate: ResolvedModel) -> None:
        """Raises LabeldError where the candidate cannot be asked now; it is loaded for later, if there is room for it.

        Both models must be loaded, and the answers of both have the same labels.
        """
        if not self._registry.is_loaded(candidate.model_id):
            self._load(candidate)
        for model in (live, candidate):
            if not self._registry.is_loaded(model.model_id):
                raise ModelNotLoadedError(model.source)
        assert live.alias is not None
        assert candidate.alias is not None
        async with self._registry.lease(live) as own, self._registry.lease(candidate) as other:
            identity = other.model.identity._replace(changed=changed(candidate.alias))
            labels, its_labels = own.model.config.labels, other.model.config.labels
        if sentence := candidate_mistake(live.alias, labels, candidate.alias, its_labels):
            raise OtherLabelsError(sentence)
        self._checked.add((candidate.public_id, identity))

    def say(self, live: ResolvedModel, part: Part, error: Exception) -> None:
        """Logs why a second model has not answered, once for each kind of failure; nothing of what passes by itself."""
        assert live.alias is not None
        alias, key = live.alias, (live.alias.alias, part, type(error))
        if key in self._said or (isinstance(error, BUSY) and not isinstance(error, UNFIT)):
            return
        self._said.add(key)
        where, name = self._file.where("models", alias.alias, part, "model"), alias.candidates[part].model
        unexpected = None if isinstance(error, LabeldError) else error
        said = "%s: the %s %s of %s does not answer: %s"
        logger.warning(said, where, part, name, alias.alias, _sentence(error), exc_info=unexpected)

    def _load(self, candidate: ResolvedModel) -> None:
        """Begins a load unless one runs; raises the failure of the last one until it may be tried again."""
        model_id, now = candidate.model_id, asyncio.get_running_loop().time()
        error, until = self._failed.get(model_id, (None, 0.0))
        if error is not None and now < until:
            raise error.with_traceback(None)
        if model_id not in self._loads:
            self._loads[model_id] = asyncio.create_task(self._load_beside(candidate))

    async def _load_beside(self, candidate: ResolvedModel) -> None:
        model_id = candidate.model_id
        try:
            await self._registry.load_beside(candidate)
        except LabeldError as error:
            self._failed[model_id] = error, asyncio.get_running_loop().time() + RETRY_AFTER
        finally:
            del self._loads[model_id]


def _sentence(error: Exception) -> str:
    if isinstance(error, UNFIT):
        needed, room = format_bytes(error.needed), format_bytes(max(error.room, 0))
        return f"it needs {needed}, and {room} of memory_budget are free beside the models that serve."
    return error.sentence(Interface.HTTP) if isinstance(error, LabeldError) else "it failed unexpectedly."


def position(alias: str, part: Part, texts: Sequence[Text]) -> float:
    """The place of a request between 0 and 1, by its texts: evenly spread, and everywhere and always equal.

    A request is the second model's turn where this is below the share, so a larger share adds requests and moves none.
    """
    digest = hashlib.blake2b(json.dumps([alias, part, texts]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
