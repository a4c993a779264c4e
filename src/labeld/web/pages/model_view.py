"""The state and metadata of a model for HTML and JSON, gathered without loading or downloading it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from labeld.autotune.trial import PrecisionChoice
from labeld.config.labels import renamed
from labeld.config.models_file import ModelEntry
from labeld.errors import LabeldError
from labeld.lifecycle.loader import LoadedModel
from labeld.lifecycle.pool_entry import PoolEntry
from labeld.protocol.dialects.errors import tasks_of
from labeld.repository.model_info import ModelInfo
from labeld.repository.resolver import ResolvedModel
from labeld.service.service import Service
from labeld.types import Text
from labeld.web.pages.recommended_models import KNOWN

State = Literal["loaded", "loading", "here", "failed", "unsupported", "downloadable", "absent"]
STATES: dict[State, tuple[str, str]] = {
    "loaded": ("Loaded", "It answers at once."),
    "loading": ("Loading", "It is being loaded now."),
    "here": ("Here", "On this machine; the first request loads it."),
    "failed": ("Failed", "It could not be loaded; a later request tries again."),
    "unsupported": ("Unsupported", "Its files are not those of a text classifier that labeld serves."),
    "downloadable": ("On the Hub", "Not on this machine; the first request downloads it."),
    "absent": ("Not here", "Not on this machine, and requests may not download it."),
}
"""Each state with its name on the pages and its meaning."""

NLI = {"entailment", "contradiction"}
"""Labels of every model for natural language inference, which takes pairs."""

RERANKER_LABELS = 1
"""Number of labels of a model that scores a pair, such as a question and a passage."""


@dataclass(frozen=True, slots=True)
class ModelView:
    """The data of a model for the pages. Values that need its files, or the loaded model, are None until known."""

    model_id: str
    state: State
    info: ModelInfo | None
    """Its files on this machine; None if there are none."""
    entry: PoolEntry[LoadedModel] | None
    """Its place among the loaded models; None while it is not loaded."""
    problem: str | None
    """The reason why it does not answer, one sentence."""
    estimated_time: float | None
    """Seconds until it answers, if it is on this machine and not loaded."""
    last_used: float | None
    """Seconds since the epoch."""
    alias: ModelEntry | None = None
    """What the configuration file says of it, where the id is an alias."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in id order, as answers have them; none when the model is not on this machine."""
        labels = self.info.config.labels if self.info and self.info.config else ()
        return renamed(self.alias, labels) if self.alias else labels

    @property
    def tasks(self) -> list[str]:
        """Its tasks, by the Hub's names; text classification alone while its labels are not known."""
        return tasks_of(self.labels)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of its languages, from its card or from `KNOWN`."""
        known = KNOWN.get(self.model_id)
        of_card = self.info.card.languages if self.info else ()
        return of_card or (known.languages if known else ())

    @property
    def examples(self) -> tuple[Text, ...]:
        """Texts to try, from its card, from `KNOWN`, or default ones; at least one."""
        known = KNOWN.get(self.model_id)
        of_card = self.info.card.examples if self.info else ()
        if examples := of_card or (known.examples if known else ()):
            return examples
        return (PAIR,) if self.takes_pairs else (SINGLE,)

    @property
    def takes_pairs(self) -> bool:
        """True for a model that classifies pairs, judged by its examples or its labels, and not by an alias's own."""
        if self.alias and self.alias.zero_shot.candidate_labels:
            return False
        known = KNOWN.get(self.model_id)
        if known and known.examples:
            return known.examples[0].pair is not None
        names = {label.lower() for label in self.labels}
        return names >= NLI or len(self.labels) == RERANKER_LABELS

    @property
    def revision(self) -> str | None:
        """Git commit, 40 hex digits."""
        return self.entry.model.model.revision if self.entry else (self.info.commit if self.info else None)

    @property
    def precision(self) -> str | None:
        """The precision in which it computes, when it is loaded."""
        return self.entry.model.model.engine.precision if self.entry else None

    @property
    def choice(self) -> PrecisionChoice | None:
        """The result of its precision trial, if there was one."""
        return self.entry.model.model.choice if self.entry else None

    @property
    def tokens_per_second(self) -> float | None:
        """Speed on this machine: since it was loaded, else from its precision trial."""
        if self.entry and (queue := self.entry.model.queue).seconds:
            return queue.tokens / queue.seconds
        if self.choice:
            return next(m.tokens_per_second for m in self.choice.measured if m.precision == self.precision)
        return None

    @property
    def max_input_length(self) -> int | None:
        """Tokens of a text, at most, when it is loaded."""
        return self.entry.model.model.encoder.max_tokens if self.entry else None

    def as_json(self) -> dict[str, Any]:
        """The view as a JSON object; what is not known is null."""
        config = self.info.config if self.info else None
        return {
            "model_id": self.model_id,
            "alias_of": self.alias and self.alias.model,
            "tasks": self.tasks,
            "state": self.state,
            "error": self.problem,
            "estimated_time": self.estimated_time,
            "origin": self.info.origin if self.info else None,
            "architecture": config and config.architecture,
            "model_type": config and config.model_type,
            "id2label": dict(enumerate(self.labels)) if config else None,
            "function_to_apply": config and config.default_function,
            "languages": list(self.languages),
            "size": self.info.size if self.info else None,
            "sha": self.revision,
            "precision": self.precision,
            "precision_choice": self.choice.sentence() if self.choice else None,
            "memory": self.entry.bytes if self.entry else None,
            "tokens_per_second": self.tokens_per_second and round(self.tokens_per_second, 1),
            "max_input_length": self.max_input_length,
            "last_used": self.last_used and datetime.fromtimestamp(self.last_used, UTC).isoformat(timespec="seconds"),
        }


SINGLE = Text("I like you. I love you")
"""Example for a model without examples."""

PAIR = Text("How many people live in Berlin?", "Berlin has 3.7 million registered inhabitants.")


async def of_all(service: Service) -> list[ModelView]:
    """Views of every model on this machine and of all known ones; those that answer soonest first."""
    infos: dict[str, ModelInfo | None] = dict.fromkeys(KNOWN) | dict.fromkeys(
        one.model_id for one in service.loaded_models()
    )
    infos |= {one.model_id: one for one in await service.listing.everything()}
    views = [_view(service, name, infos[name]) for name in infos]
    return sorted(views, key=lambda one: (list(STATES).index(one.state), one.model_id.lower()))


async def of_one(service: Service, name: str) -> ModelView:
    """The view of the model that `name` resolves to; raises as resolving it does, unless the model is known."""
    try:
        model = service.resolve(name)
        name, info = model.public_id, await service.listing.here(model)
    except LabeldError:
        if name not in KNOWN:
            raise
        info = None
    return _view(service, name, info)


def _view(service: Service, name: str, info: ModelInfo | None) -> ModelView:
    model: ResolvedModel | None = None
    with suppress(LabeldError):
        model = service.resolve(name)
    entry = next((one for one in service.loaded_models() if model and one.model_id == model.model_id), None)
    state, problem, estimate = _state(service, model, info)
    return ModelView(name, state, info, entry, problem, estimate, _last_used(entry, info), model and model.alias)


def _state(
    service: Service, model: ResolvedModel | None, info: ModelInfo | None
) -> tuple[State, str | None, float | None]:
    """State, problem and estimated time of a model; None for one that requests cannot have."""
    if info and info.problem:
        return "unsupported", info.problem, None
    if model is None:
        return "absent", None, None
    found = service.state(model)
    if found.state in {"Loaded", "Loading"}:
        return ("loaded", None, None) if found.state == "Loaded" else ("loading", None, found.estimated_time)
    if found.error:
        return "failed", found.error, None
    return ("here" if info else "downloadable"), None, found.estimated_time if info else None


def _last_used(entry: PoolEntry[LoadedModel] | None, info: ModelInfo | None) -> float | None:
    """Time of its last answer in this process, else of its last opening according to the store; since the epoch."""
    if entry and entry.model.queue.texts:
        idle = 0.0 if entry.leases else asyncio.get_running_loop().time() - entry.last_used
        return time.time() - idle
    return info.last_used if info else None


def languages_of(models: list[ModelView]) -> Iterator[str]:
    """Every language code of these models, once, sorted."""
    yield from sorted({code for one in models for code in one.languages})
