"""What the pages say of a model: one set of facts, as HTML and as JSON, gathered without loading or downloading it."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from labeld.autotune.trial import PrecisionChoice
from labeld.errors import LabeldError
from labeld.lifecycle.loader import LoadedModel
from labeld.lifecycle.registry import PoolEntry
from labeld.repository.model_info import ModelInfo
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
"""Each with its name on the pages and what that means."""

NLI = {"entailment", "contradiction"}
PAIRS_BY_NATURE = 1
"""Labels of a model that scores a pair, such as a question and a passage."""


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model as the pages show it. None is what is not known before the model is loaded, or not here."""

    model_id: str
    state: State
    listed: ModelInfo | None
    resident: PoolEntry[LoadedModel] | None
    problem: str | None
    """Why it does not answer, in a sentence."""
    estimated_time: float | None
    """Seconds until it answers, of one that is here and not loaded."""
    last_used: float | None
    """Seconds since the epoch."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In id order; none when the model is not here."""
        return self.listed.config.labels if self.listed and self.listed.config else ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that its card names, or that are known of it."""
        known = KNOWN.get(self.model_id)
        of_card = self.listed.card.languages if self.listed else ()
        return of_card or (known.languages if known else ())

    @property
    def examples(self) -> tuple[Text, ...]:
        """Texts to try, of its card, or that are known to suit it; never none."""
        known = KNOWN.get(self.model_id)
        of_card = self.listed.card.examples if self.listed else ()
        if examples := of_card or (known.examples if known else ()):
            return examples
        return (PAIR,) if self.takes_pairs else (SINGLE,)

    @property
    def takes_pairs(self) -> bool:
        """Whether its answers are about two texts, as far as its labels or its examples tell."""
        known = KNOWN.get(self.model_id)
        if known and known.examples:
            return known.examples[0].pair is not None
        names = {label.lower() for label in self.labels}
        return names >= NLI or len(self.labels) == PAIRS_BY_NATURE

    @property
    def revision(self) -> str | None:
        """40 hex digits."""
        return self.resident.model.model.revision if self.resident else (self.listed.commit if self.listed else None)

    @property
    def precision(self) -> str | None:
        """In which it computes."""
        return self.resident.model.model.engine.precision if self.resident else None

    @property
    def choice(self) -> PrecisionChoice | None:
        """What the trial of precisions found."""
        return self.resident.model.model.choice if self.resident else None

    @property
    def tokens_per_second(self) -> float | None:
        """Measured here: of what it has computed since it was loaded, else by the trial of precisions."""
        if self.resident and (queue := self.resident.model.queue).seconds:
            return queue.tokens / queue.seconds
        if self.choice:
            return next(m.tokens_per_second for m in self.choice.measured if m.precision == self.precision)
        return None

    @property
    def max_input_length(self) -> int | None:
        """Tokens of a text, at most."""
        return self.resident.model.model.encoder.max_tokens if self.resident else None

    def as_json(self) -> dict[str, Any]:
        """The same for machines; what is not known is null."""
        config = self.listed.config if self.listed else None
        return {
            "model_id": self.model_id,
            "state": self.state,
            "error": self.problem,
            "estimated_time": self.estimated_time,
            "origin": self.listed.origin if self.listed else None,
            "architecture": config and config.architecture,
            "model_type": config and config.model_type,
            "id2label": dict(enumerate(self.labels)) if config else None,
            "function_to_apply": config and config.default_function,
            "languages": list(self.languages),
            "size": self.listed.size if self.listed else None,
            "sha": self.revision,
            "precision": self.precision,
            "precision_choice": self.choice.sentence() if self.choice else None,
            "memory": self.resident.bytes if self.resident else None,
            "tokens_per_second": self.tokens_per_second and round(self.tokens_per_second, 1),
            "max_input_length": self.max_input_length,
            "last_used": self.last_used and datetime.fromtimestamp(self.last_used, UTC).isoformat(timespec="seconds"),
        }


SINGLE = Text("I like you. I love you")
PAIR = Text("How many people live in Berlin?", "Berlin has 3.7 million registered inhabitants.")


async def of_all(service: Service) -> list[ModelView]:
    """Every model of this machine, and the known ones that are not; those that answer soonest first."""
    listed: dict[str, ModelInfo | None] = dict.fromkeys(KNOWN) | dict.fromkeys(
        one.model_id for one in service.residents()
    )
    listed |= {one.model_id: one for one in await service.listing.everything()}
    facts = [_facts(service, name, listed[name]) for name in listed]
    return sorted(facts, key=lambda one: (list(STATES).index(one.state), one.model_id.lower()))


async def of_one(service: Service, name: str) -> ModelView:
    """The model that a caller means by `name`; raises what `Resolver.find` raises, unless the model is known."""
    try:
        listed = await service.listing.here(service.resolve(name))
    except LabeldError:
        if name not in KNOWN:
            raise
        listed = None
    return _facts(service, listed.model_id if listed else name, listed)


def _facts(service: Service, name: str, listed: ModelInfo | None) -> ModelView:
    resident = next((one for one in service.residents() if one.model_id == name), None)
    state, problem, estimate = _state(service, name, listed)
    return ModelView(name, state, listed, resident, problem, estimate, _last_used(resident, listed))


def _state(service: Service, name: str, listed: ModelInfo | None) -> tuple[State, str | None, float | None]:
    """Where it stands; why it does not answer; in how many seconds it would."""
    if listed and listed.problem:
        return "unsupported", listed.problem, None
    try:
        found = service.state(service.resolve(name))
    except LabeldError:
        return "absent", None, None
    if found.state in {"Loaded", "Loading"}:
        return ("loaded", None, None) if found.state == "Loaded" else ("loading", None, found.estimated_time)
    if found.error:
        return "failed", found.error, None
    return ("here" if listed else "downloadable"), None, found.estimated_time if listed else None


def _last_used(resident: PoolEntry[LoadedModel] | None, listed: ModelInfo | None) -> float | None:
    """When it last computed an answer in this process, or when the store says that it was opened."""
    if resident and resident.model.queue.texts:
        idle = 0.0 if resident.leases else asyncio.get_running_loop().time() - resident.last_used
        return time.time() - idle
    return listed.last_used if listed else None


def languages_of(models: list[ModelView]) -> Iterator[str]:
    """Every code that is named, once."""
    yield from sorted({code for one in models for code in one.languages})
