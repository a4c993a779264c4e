"""Settings -> a running Service."""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from labeld.auth.authenticator import Authenticator
from labeld.auth.database_url import locate
from labeld.auth.rate_limit import SharedCounts
from labeld.autotune.texts import read_evaluation_texts, read_labelled_texts
from labeld.cache.answers import AnswerCache
from labeld.cache.memory import MemoryStore
from labeld.config.hub import Policy
from labeld.config.models_file import ModelEntry
from labeld.config.precision import AskedPrecisions, parse_precisions
from labeld.config.settings import Answers, Compute, Settings
from labeld.errors import LabeldError, SettingsError
from labeld.lifecycle.folder_check import FolderCheck
from labeld.lifecycle.loader import ModelLoader
from labeld.lifecycle.model import LoadOptions, check_without_weights
from labeld.metrics.observer import UNOBSERVED, Observer
from labeld.repository.folders import Folders
from labeld.repository.resolver import Resolver
from labeld.repository.store import Store
from labeld.scheduler.dispatcher import Dispatcher
from labeld.service.file_check import warn_of_mistakes
from labeld.service.service import Service
from labeld.system import memory
from labeld.system.cpu import require_few, usable_cores
from labeld.types import Text

logger = logging.getLogger(__name__)

THREADS_PER_STREAM = 8


def streams_and_threads(compute: Compute) -> tuple[int, int]:
    """The number of streams, and the number of threads that they share.

    Raises SettingsError where that is more than makes sense on this machine.
    """
    require_few("threads", compute.threads)
    require_few("streams", compute.streams)
    threads = compute.threads or usable_cores()
    return compute.streams or max(1, threads // THREADS_PER_STREAM), threads


def open_resolver(
    settings: Settings,
    policy: Policy,
    check: Callable[[Path], None] = check_without_weights,
    *,
    models_dir_was_checked: bool = False,
) -> Resolver:
    """The resolver of models in folders, the store and the Hub. Raises SettingsError naming the setting."""
    folders = Folders(settings.folders.models_dir, was_checked=models_dir_was_checked)
    store = Store(settings.store_dir, settings.hub.store_limit)
    for alias in settings.file.models.keys() & folders.by_id():
        raise SettingsError(f"{settings.file.where('models', alias)}: {alias} is a model's own id: take another alias.")
    return Resolver(folders, store, settings.hub, policy, check, settings.file.models)


def load_options(settings: Settings) -> LoadOptions:
    """The settings that loading a model needs; raises SettingsError naming the one that is wrong."""
    streams, threads = streams_and_threads(settings.compute)
    texts, labels = _evaluation_texts(settings.precisions.evaluation_texts)
    return LoadOptions(
        threads,
        streams,
        settings.inputs.max_text_characters,
        settings.inputs.max_tokens_per_text,
        settings.folders.cache_dir.expanduser(),
        _precisions(settings),
        settings.precisions,
        texts,
        labels,
        _judging_aliases(settings),
        settings.inputs.max_windows,
    )


def _evaluation_texts(path: Path | None) -> tuple[tuple[Text, ...] | None, tuple[tuple[str, ...], ...] | None]:
    """The operator's texts for trials of precisions, with their labels if it is a file that has them."""
    if path is None:
        return None, None
    if path.suffix.lower() == ".jsonl":
        return read_labelled_texts(path.expanduser())
    return read_evaluation_texts(path.expanduser()), None


def _judging_aliases(settings: Settings) -> dict[str, ModelEntry]:
    """By model id the alias whose thresholds count in a trial: its own, or of a shared model the first that has any."""
    found: dict[str, ModelEntry] = {}
    for alias, entry in settings.file.models.items():
        model_id = entry.model if entry.precision is None else alias
        if model_id not in found or (found[model_id].thresholds is None and entry.thresholds is not None):
            found[model_id] = entry
    return found


def _precisions(settings: Settings) -> AskedPrecisions:
    """Those of the setting, and those that aliases have of their own."""
    asked = parse_precisions(settings.precisions.precision)
    own = {alias: entry.precision for alias, entry in settings.file.models.items() if entry.precision is not None}
    return AskedPrecisions(asked.default, asked.by_model | own)


def warn_of_unknown(resolver: Resolver, precisions: AskedPrecisions) -> None:
    """Logs a warning for each model that the setting precision names and that is not here by that id."""
    for name in precisions.by_model:
        try:
            found = resolver.find(name)
        except LabeldError as error:
            logger.warning("precision names %s, which counts for no model: %s", name, str(error).rstrip("."))
            continue
        if found.model_id != name:
            logger.warning("precision names %s, which counts for no model: its id is %s", name, found.model_id)
        elif found.location is None:
            logger.warning("precision names %s, which is not here yet: it counts once it is downloaded", name)


def require_redis() -> None:
    """Raises SettingsError where the package redis is not installed."""
    try:
        import redis.asyncio  # noqa: F401, PLC0415  # an extra
    except ModuleNotFoundError:
        raise SettingsError("The setting cache needs the package redis: pip install 'labeld[redis]'.") from None


async def open_cache(answers: Answers) -> AnswerCache:
    """The answer cache; connected to Redis if the settings name one. Raises SettingsError when it cannot be used."""
    memory = MemoryStore(answers.cache_bytes, answers.cache_ttl)
    if answers.cache is None:
        return AnswerCache(memory, per_token=answers.cache_scope == "token")
    require_redis()
    from labeld.cache.redis import RedisStore  # noqa: PLC0415  # redis is an extra

    shared = RedisStore(answers.cache, answers.cache_secret or "", answers.cache_ttl)
    await shared.open()
    return AnswerCache(memory, shared, per_token=answers.cache_scope == "token")


@asynccontextmanager
async def open_authenticator(settings: Settings) -> AsyncIterator[Authenticator]:
    """The access tokens that count, kept up to date until the context ends. Raises SettingsError naming the setting."""
    access = settings.access
    location = locate(access.tokens_db)
    for name in location.open_to_others():
        logger.warning("other users may read or write %s, a file of the access tokens: chmod 600 it", name)
    counts = await _open_counts(settings.answers)
    authenticator = Authenticator(location, access.tokens_secret, settings.listen.workers, shared=counts)
    try:
        await authenticator.open()
        yield authenticator
    finally:
        await authenticator.close()
        if counts:
            await counts.close()


async def _open_counts(answers: Answers) -> SharedCounts | None:
    """Where the servers of one cache count requests per minute together: its Redis."""
    if answers.cache is None:
        return None
    require_redis()
    from labeld.cache.redis_counts import RedisCounts  # noqa: PLC0415  # redis is an extra

    counts = RedisCounts(answers.cache)
    await counts.open()
    return counts


@dataclass(frozen=True, slots=True)
class Hosting:
    """The differences between a service in labeld's own process and one in another program."""

    observer: Observer = UNOBSERVED
    """The receiver of events."""
    owns_process: bool = True
    """True for labeld's own process, whose environment and allocator are set up for serving."""
    models_dir_was_checked: bool = False
    """True where the server began with a models_dir that could be read: a worker may begin while that is away."""


LIBRARY = Hosting(owns_process=False)
"""Hosting inside another program, whose environment and allocator stay as they are."""


@asynccontextmanager
async def open_service(settings: Settings, hosting: Hosting = LIBRARY) -> AsyncIterator[Service]:
    """A service that answers; what it has admitted is answered before the context ends.

    Raises SettingsError naming the setting.
    """
    observer = hosting.observer
    if hosting.owns_process:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its own threads would take cores from the engine
        memory.map_large_blocks()
    streams, threads = streams_and_threads(settings.compute)
    dispatcher = Dispatcher(settings.compute, settings.queue, streams, observer, max(1, threads // streams))
    options = load_options(settings)
    if hosting.owns_process and streams == 1 and options.precisions.only_float32:
        # NOTE: oneDNN keeps the kernels of models that have left, and no streams are there to share them (decision 24)
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")
    check = FolderCheck(options.cache_dir, options.stopping, serves=hosting.owns_process)
    resolver = open_resolver(
        settings,
        settings.hub_policy(),
        check.check_without_weights,
        models_dir_was_checked=hosting.models_dir_was_checked,
    )
    warn_of_unknown(resolver, parse_precisions(settings.precisions.precision))
    warn_of_mistakes(settings, resolver)
    cache = await open_cache(settings.answers)
    loader = ModelLoader(resolver, dispatcher, options, check)
    service = Service(resolver, dispatcher, loader, cache, settings, observer=observer)
    dispatcher.start()
    try:
        yield service
    finally:
        await service.close()
