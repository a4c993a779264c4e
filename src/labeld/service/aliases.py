"""Aliases of the configuration file, applied: their labels to a loaded model, their defaults to a request."""

import json
import logging
from dataclasses import replace

from labeld.config.labels import label_mistakes, renamed
from labeld.config.models_file import ModelEntry, ModelsFile
from labeld.errors import ModelBrokenError
from labeld.lifecycle.loader import LoadedModel
from labeld.repository.resolver import ResolvedModel
from labeld.types import Parameters

logger = logging.getLogger(__name__)


def as_alias(loaded: LoadedModel, alias: ModelEntry, file: ModelsFile) -> LoadedModel:
    """The model with the alias's names of labels and temperature; the answer cache keeps its answers apart.

    Raises ModelBrokenError, and logs the line, where the file names a label that the model does not have.
    """
    model = loaded.model
    for path, sentence in label_mistakes(alias, model.config.labels):
        logger.error("%s: %s", file.where("models", alias.alias, *path), sentence)
        raise ModelBrokenError(alias.alias, f"in the configuration of this server, {sentence}")
    changes = changed(alias)
    if not changes:
        return loaded
    config = replace(model.config, labels=renamed(alias, model.config.labels), temperature=alias.temperature)
    return replace(loaded, model=replace(model, config=config, changed=changes))


def changed(alias: ModelEntry | None) -> str:
    """What the alias changes of every answer as one text, for cache keys; empty where that is nothing."""
    if alias is None or (not alias.rename and alias.temperature == 1.0):
        return ""
    return json.dumps([dict(alias.rename), alias.temperature], sort_keys=True)


def as_candidate(live: ResolvedModel, found: ResolvedModel) -> ResolvedModel:
    """A second model of an alias as it answers for it: with its thresholds, windows and names of labels.

    A second model that is an alias itself has its own names of labels instead. The temperature is that of its own
    alias, and 1 without: the alias's was found for another model.
    """
    entry = live.alias
    assert entry is not None
    rename, temperature = (found.alias.rename, found.alias.temperature) if found.alias else (entry.rename, 1.0)
    return found._replace(
        name=live.name, alias=replace(entry, model=found.source, rename=rename, temperature=temperature)
    )


def with_defaults(asked: Parameters, alias: ModelEntry | None) -> Parameters:
    """The parameters of a request with the alias's defaults for what it leaves open.

    A request that asks for truncation, or for a stride of its own, is not read in the alias's windows.
    """
    if alias is None:
        return asked
    windows, thresholds = alias.windows, alias.thresholds
    if asked.threshold is None and thresholds is not None:
        default = thresholds if isinstance(thresholds, float) else tuple(sorted(thresholds.items()))
        asked = replace(asked, threshold=default)
    if asked.stride is None and asked.truncation is None and windows.stride is not None:
        asked = replace(asked, stride=windows.stride)
    if asked.stride is None:
        return asked
    return replace(
        asked, max_length=asked.max_length or windows.max_length, aggregate=asked.aggregate or windows.aggregate
    )
