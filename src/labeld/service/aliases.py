"""Aliases of the configuration file, applied: their labels to a loaded model, their defaults to a request."""

import json
import logging
from dataclasses import replace

from labeld.config.labels import label_mistakes, renamed
from labeld.config.models_file import ModelEntry, ModelsFile, ZeroShotDefaults
from labeld.errors import ModelBrokenError
from labeld.lifecycle.loader import LoadedModel
from labeld.protocol.dialects.base import Question
from labeld.protocol.dialects.labelled import HostedTexts, takes_candidates
from labeld.protocol.dialects.ranking import Ranking
from labeld.protocol.dialects.zero_shot import ZeroShot
from labeld.repository.resolver import ResolvedModel
from labeld.types import ClassifyRequest, Parameters

logger = logging.getLogger(__name__)

OF_WINDOWS = ("aggregate", "return_windows")
"""Parameters that only texts in windows have."""


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


def as_candidate(live: ResolvedModel, found: ResolvedModel) -> ResolvedModel:
    """A second model of an alias as it answers for it: with its thresholds, windows and names of labels.

    A second model that is an alias itself has its own names of labels instead, and a temperature is always its own.
    """
    entry = live.alias
    assert entry is not None
    rename = found.alias.rename if found.alias else entry.rename
    temperature = found.alias.temperature if found.alias else 1.0
    alias = replace(entry, model=found.source, rename=rename, temperature=temperature)
    return found._replace(name=live.name, alias=alias)


def changed(alias: ModelEntry | None) -> str:
    """What the alias changes of every answer as one text, for cache keys; empty where that is nothing."""
    if alias is None or (not alias.rename and alias.temperature == 1.0):
        return ""
    return json.dumps([dict(alias.rename), alias.temperature], sort_keys=True)


def as_asked(request: ClassifyRequest, alias: ModelEntry | None) -> ClassifyRequest:
    """The request with the alias's defaults; where it has no windows, what only windows have is named as ignored."""
    parameters = with_defaults(request.parameters, alias)
    if parameters.stride is None and (parameters.aggregate is not None or parameters.return_windows):
        names = [name for name in OF_WINDOWS if getattr(parameters, name)]
        parameters = replace(parameters, aggregate=None, return_windows=False)
        request = request._replace(ignored=(*request.ignored, *names))
    return request if parameters is request.parameters else request._replace(parameters=parameters)


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


def completed(question: Question, alias: ModelEntry | None) -> Question:
    """The question with what the alias says of what it leaves open: the label to rank by, and zero-shot's defaults.

    Raises InvalidRequestError where neither has candidate labels for a question that needs them.
    """
    said = alias.zero_shot if alias else ZeroShotDefaults()
    if isinstance(question, HostedTexts) and said.candidate_labels and takes_candidates(question.asked):
        question = question.by_candidates()
    if isinstance(question, ZeroShot):
        return question.completed(said)
    if alias and isinstance(question, Ranking) and question.label is None:
        return replace(question, label=alias.rerank_label)
    return question


def read_as(question: Question, alias: ModelEntry) -> Question:
    """The question with the alias's windows for what it leaves open of how long texts are read."""
    question = question.windowed(alias.windows)
    if isinstance(question, ZeroShot):  # unlike all others it makes the scores of windows one by itself
        return replace(question, parameters=with_defaults(question.parameters, alias))
    return question


def cut_instead(asked: ClassifyRequest, alias: ModelEntry | None) -> ClassifyRequest | None:
    """The request that is asked instead where the alias's windows cannot read it: one whose long texts are cut.

    None where the request itself wants windows. `asked` is the request without the alias's windows.
    """
    parameters = asked.parameters
    wants_windows = parameters.stride is not None or parameters.return_windows
    if alias is None or alias.windows.stride is None or wants_windows:
        return None
    return asked._replace(parameters=replace(parameters, truncation=parameters.truncation or "longest_first"))
