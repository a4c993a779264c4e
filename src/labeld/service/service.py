"""The path of one request through cache, tokenizer and engine, and the models that it needs."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from labeld.cache.answers import AnswerCache, Lookup
from labeld.config.settings import Settings
from labeld.errors import LabeldError, ModelLoadingError, ModelNotLoadedError, ModelTooBusyError, UnavailableError
from labeld.lifecycle.changed_files import serve_anew
from labeld.lifecycle.identity import ModelIdentities
from labeld.lifecycle.loader import LoadedModel, ModelLoader
from labeld.lifecycle.pool_entry import Counts, PoolEntry
from labeld.lifecycle.registry import Registry
from labeld.metrics.observer import UNOBSERVED, Observer
from labeld.protocol.dialects.base import Role
from labeld.repository.folders import DEFAULT_MODEL
from labeld.repository.model_info import Listing
from labeld.repository.resolver import ResolvedModel, Resolver
from labeld.scheduler.dispatcher import Dispatcher
from labeld.service.admission import Admission
from labeld.service.aliases import as_alias, as_asked, changed
from labeld.service.beside import Beside
from labeld.service.candidates import Candidates
from labeld.service.ranking import finished
from labeld.service.scorer import Scorer
from labeld.service.state import ModelState, Usage, describe, failed
from labeld.system import memory
from labeld.types import Answer, ClassifyReply, ClassifyRequest, Options, Timings

logger = logging.getLogger(__name__)

DEFAULT_OPTIONS = Options()

LEAST_ESTIMATE = 0.2
"""Seconds that a load still needs, at least, also when it takes longer than expected."""


class Service:
    """Answers requests. Owns the models and the scorer; lives on one event loop."""

    def __init__(  # noqa: PLR0913, PLR0917  # the parts that it is made of
        self,
        resolver: Resolver,
        dispatcher: Dispatcher,
        loader: ModelLoader,
        cache: AnswerCache,
        settings: Settings,
        measure: Callable[[], int] = memory.used,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self.listing, self._observer = Listing(resolver), observer
        self._resolver, self._dispatcher, self._loader = resolver, dispatcher, loader
        self._cache, self._identities = cache, ModelIdentities()
        self._residency, self._file = settings.residency, settings.file
        self._roles, self._batch_timeout = settings.roles, settings.compute.batch_timeout
        self._max_inputs = settings.inputs.max_inputs
        self._preloaded = settings.folders.models or (DEFAULT_MODEL,)
        self.default_model = self._preloaded[0]
        """The model of requests that name none."""
        self.admission = Admission(settings.queue.max_in_flight, lambda: self._registry.waiting)
        self._stopping = False
        budget = settings.residency.memory_budget.of(memory.available()) // settings.listen.workers
        self._registry: Registry[LoadedModel] = Registry(loader, settings.residency, budget, measure)
        self.scorer = Scorer(dispatcher)
        self.beside = Beside(self, Candidates(resolver, self._registry, settings.file), dispatcher, observer)

    async def preload(self, *, some: bool = False) -> list[str]:
        """Ids of the models named in the settings, now loaded and never to be evicted; raises as `Registry.preload`."""
        models = [self._resolver.find(name) for name in self._preloaded]
        for model in (*models, *map(self._resolver.find, self._residency.pin)):
            self._registry.pin(model.model_id)
            if model.location is not None:
                self._loader.forgive(model.location.folder)
        loaded = await self._registry.preload(models, some=some)
        self.default_model = models[0].public_id
        for model in models:
            if model.alias and self._registry.is_loaded(model.model_id):
                async with self.lease(model):  # raises where the file names labels that it does not have
                    pass
        return loaded

    async def load_roles(self) -> None:
        """Loads the models of policies and of `reranker` and `zero_shot`, which may be evicted; logs those that fail.

        Without it the first request of each would wait for its load, and unmodified clients do not ask again. A model
        of a policy that is still to be downloaded waits for its first request. Those of settings come last and so stay.
        """
        settings = [name for name in (self._roles.reranker, self._roles.zero_shot) if name is not None]
        of_policies = [name for policy in self._file.policies.values() for name in policy.models]
        for name in dict.fromkeys((*of_policies, *settings)):
            try:
                model = self._resolver.find(name)
                if model.location is None and name not in settings:
                    continue
                if model.location is not None:
                    self._loader.forgive(model.location.folder)
                await self._registry.preload([model], some=False)
                async with self.lease(model):  # raises where the file names labels that it does not have
                    pass
            except LabeldError as error:
                logger.warning("%s is not loaded at the start: %s", name, str(error).rstrip("."))

    async def check_others(self) -> None:
        """Logs a warning for each model of the operator's that is not loaded and whose files cannot be served."""
        folders, is_loaded = self._resolver.folders.by_id().items(), self._registry.is_loaded
        await self._loader.check.warn_of_broken({one: folder for one, folder in folders if not is_loaded(one)})

    async def watch_files(self) -> None:
        """Reloads each loaded model whose files have changed, until cancelled."""
        await serve_anew(self._registry, self._resolver)

    def look_up(self, model: ResolvedModel, request: ClassifyRequest, scope: str = "") -> Lookup:
        """The request with the answers that this process has in memory; loads no model and waits for nothing.

        `scope` is the id of the caller's access token, or empty: with cache_scope=token answers are shared within it.
        """
        identity = self._identities.identity(model.model_id, model.location and model.location.folder)
        if model.alias is not None:
            identity = identity and identity._replace(changed=changed(model.alias))
        return self._cache.look_up(identity, as_asked(request, model.alias), scope)

    async def classify(self, model: ResolvedModel, lookup: Lookup) -> ClassifyReply:
        """One ranking per text of the looked-up request; raises LabeldError. Cancelling it saves engine time."""
        await self._cache.read_shared(lookup)
        if reply := self.get_cached(model, lookup):
            return reply
        request = lookup.request
        async with self.lease(model, request.options) as loaded:
            current = loaded.model
            if current.identity != lookup.identity:  # its first request, or its files have changed since the look-up
                self._identities.record(current.model_id, current.identity._replace(changed=""), current.files)
                self._observer.labels(model.model_id, current.config.labels)
                lookup = self._cache.look_up(current.identity, request, lookup.scope)
                await self._cache.read_shared(lookup)
                if reply := self.get_cached(model, lookup):
                    return reply
            timings = Timings()
            answers = await self._cache.complete(lookup, partial(self._compute, loaded, request, timings))
        self._observe(model, lookup, answers)
        new = (answer.seconds for answer, known in zip(answers, lookup.answers, strict=True) if known is None)
        seconds = max(new, default=0.0)
        return ClassifyReply(
            tuple(answers), current.revision, seconds, request.characters, request.ignored, timings=timings
        )

    def require_room(self, model: ResolvedModel, lookup: Lookup) -> None:
        """Raises OverloadedError where `classify` would, before it costs anything; needs a loaded model to know."""
        loaded = self._registry.current(model.model_id)
        if loaded is not None and self._cache.must_compute(lookup):
            self._dispatcher.check_room(loaded.queue)

    def get_cached(self, model: ResolvedModel, lookup: Lookup) -> ClassifyReply | None:
        """The reply if the look-up has every answer, with the time of the slowest one (contract section 8)."""
        identity, request = lookup.identity, lookup.request
        if identity is None or not lookup.complete:
            return None
        answers = tuple(filter(None, lookup.answers))
        self._observe(model, lookup, answers)
        seconds = max([answer.seconds for answer in answers])
        return ClassifyReply(answers, identity.revision, seconds, request.characters, request.ignored, "cache")

    def _observe(self, model: ResolvedModel, lookup: Lookup, answers: Sequence[Answer]) -> None:
        """Counts the answers of a request and, if it reads the cache, its hits and misses; called once per request."""
        self._observer.answered(model.model_id, answers)
        if lookup.reads_cache:
            missed = lookup.answers.count(None)
            here = len(lookup.answers) - missed - lookup.from_shared
            self._observer.looked_up(here, lookup.from_shared, missed)

    async def _compute(
        self, loaded: LoadedModel, request: ClassifyRequest, timings: Timings, positions: Sequence[int]
    ) -> list[Answer]:
        """The answers to the texts at these positions of a request, encoded once, for this reply and for the cache."""
        began = time.perf_counter()
        texts = [request.texts[index] for index in positions]
        scored = await self.scorer.score(loaded, texts, request.parameters, positions, timings)
        seconds = time.perf_counter() - began
        return [finished(one, seconds) for one in scored]

    async def labels(self, model: ResolvedModel, options: Options = DEFAULT_OPTIONS) -> tuple[str, ...]:
        """A model's labels in the order of their ids; raises as `lease`."""
        async with self.lease(model, options) as loaded:
            return loaded.model.config.labels

    def labels_at_once(self, model: ResolvedModel) -> tuple[str, ...] | None:
        """The labels of a model that is loaded, else None; raises ModelBrokenError as `lease`."""
        loaded = self._registry.current(model.model_id)
        return None if loaded is None else self._named(loaded, model).model.config.labels

    def model_of(self, role: Role) -> str | None:
        """The name of the model that plays a part where a request names none; None for the default one."""
        return {"reranker": self._roles.reranker, "zero_shot": self._roles.zero_shot}.get(role)

    def resolve(self, name: str | None) -> ResolvedModel:
        """The model of this name or `id@revision`, None being the default; raises what `Resolver.find` raises."""
        return self._resolver.find(self.default_model if name is None else name)

    @asynccontextmanager
    async def lease(self, model: ResolvedModel, options: Options = DEFAULT_OPTIONS) -> AsyncIterator[LoadedModel]:
        """A lease of the loaded model for the duration of the context.

        Asked for by an alias, its labels have the alias's names. A model that is not loaded yet is waited for as the
        options say (contract section 8). Raises ModelLoadingError, ModelTooBusyError, ModelNotLoadedError,
        ModelBrokenError where the alias names labels that it does not have, or what loading raised.
        """
        if not options.load_model and not self._registry.is_loaded(model.model_id):
            raise ModelNotLoadedError(model.name)
        wait = self._residency.max_wait if options.wait_for_model else self._residency.load_grace
        async with AsyncExitStack() as stack:
            try:
                loaded = await stack.enter_async_context(self._registry.lease(model, wait))
            except TimeoutError:
                if options.wait_for_model:
                    raise ModelTooBusyError(wait) from None
                raise ModelLoadingError(model.name, self._estimated_time(model.model_id)) from None
            yield self._named(loaded, model)

    def _named(self, loaded: LoadedModel, model: ResolvedModel) -> LoadedModel:
        """The loaded model with the names of labels and the temperature that an alias has."""
        return loaded if model.alias is None else as_alias(loaded, model.alias, self._file)

    def state(self, model: ResolvedModel) -> ModelState:
        """The state of a model."""
        found = model.model_id
        if self._registry.is_loaded(found):
            return ModelState("Loaded")
        if found in self._registry.loads():
            return ModelState("Loading", self._estimated_time(found))
        if error := self._registry.failure(found):
            return failed(error)
        return ModelState("Loadable", self._estimated_time(found))

    def failure(self, model_id: str) -> Exception | None:
        """The failure of the model's last load, until it may be tried again; else None."""
        return self._registry.failure(model_id)

    def usage(self) -> Usage:
        """The current load of this process."""
        pool, cache, load = self._registry, self._cache.use(), self._dispatcher.load()
        return Usage(self.admission.count, pool.waiting, pool.loads(), pool.used(), pool.budget, cache, *load)

    def loaded_models(self) -> list[PoolEntry[LoadedModel]]:
        """The loaded models, the least recently used first."""
        return self._registry.loaded()

    @property
    def counts(self) -> Counts:
        """Loads, evictions and failed loads so far."""
        return self._registry.counts

    def _estimated_time(self, found: str) -> float:
        """Seconds until the model will be loaded: what those before it and itself still need."""
        loads = self._registry.loads()
        before = list(loads)[: list(loads).index(found)] if found in loads else list(loads)
        remaining = (self._loader.expected_seconds(one) - (loads.get(one) or 0.0) for one in (*before, found))
        return max(LEAST_ESTIMATE, sum(max(0.0, seconds) for seconds in remaining))

    async def info(self, model: ResolvedModel) -> dict[str, Any]:
        """The model's ids, labels and limits, for `/info`."""
        async with self.lease(model) as loaded:
            alias_of = {"alias_of": model.source} if model.alias else {}
            ranks = bool(model.alias and model.alias.rerank_label)
            described = describe(loaded.model, self._max_inputs, ranks=ranks)
            return {**described, "model_id": model.public_id, **alias_of}

    def ready(self) -> bool:
        """True when requests are admitted and answered: the service is not stopping, and no engine hangs."""
        return not self._stopping and not self.hung()

    def hung(self) -> bool:
        """True when the engine or a tokenizer hangs, so that this process must be replaced."""
        return self._dispatcher.hung() or self.scorer.hung(self._batch_timeout)

    def give_up(self) -> None:
        """Answers all who wait with an UnavailableError and admits nothing more, before a hung process is replaced."""
        self._stopping = True
        error = UnavailableError("The engine hangs and is being replaced: try again in a moment.")
        self._registry.close(error)
        self._dispatcher.close(error)
        self.scorer.give_up(error)

    def stop_loading(self) -> None:
        """Ends a running trial of precisions with an UnavailableError for those who wait for it."""
        self._loader.stop_trial()

    async def close(self) -> None:
        """Answers what was admitted, then ends the threads."""
        self._stopping = True
        self.stop_loading()
        self._registry.close(UnavailableError("This server is stopping: try again in a moment."))
        self._dispatcher.close()
        await self._dispatcher.join()
        await self._cache.close()
        self.scorer.shutdown()
        self._loader.shutdown()
        self.listing.shutdown()
