"""What a configuration file says beside settings: models by alias, and policies. Read by file.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labeld.config.mistakes import Place
from labeld.config.precision import Asked
from labeld.literals import Aggregate

Thresholds = float | Mapping[str, float]
"""The least score that an answer keeps: of every label, or by label; a label that is not named is kept."""


DEFAULT_THRESHOLD = 0.5
"""Of a policy's label that has no other."""

MAX_TEMPERATURE = 100
"""Of an alias: scores that are divided by more say nothing any more."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Defaults for requests that say nothing of how long texts are read; None leaves the server's own default."""

    stride: int | None = None
    """Tokens that two windows of a text share."""
    aggregate: Aggregate | None = None
    max_length: int | None = None
    """Tokens of a window, special tokens included."""


@dataclass(frozen=True, slots=True)
class ZeroShotDefaults:
    """Defaults of zero-shot classification for what a request leaves open; None leaves the server's own default."""

    hypothesis_template: str | None = None
    multi_label: bool | None = None
    """True where several labels may hold, so that each is scored by itself."""
    candidate_labels: tuple[str, ...] = ()
    """Empty where requests have to name them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A second model of an alias, which answers a share of its requests (split) or is asked beside (shadow)."""

    model: str
    """An alias, or `id` or `id@revision`."""
    share: float = 1.0
    """Share of the requests, above 0 up to 1."""


Part = Literal["split", "shadow"]
"""The part that a second model plays."""


@dataclass(frozen=True, slots=True)
class PolicyModel:
    """The part of one model in a policy."""

    threshold: Thresholds = field(default=DEFAULT_THRESHOLD, hash=False)
    """The score from which a label is flagged; a table has labels that count, each with its own."""
    categories: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Labels that count, each with its category; a label that counts and is not named is its own category."""
    safe_labels: tuple[str, ...] = ()
    """Labels that do not count, where neither a threshold nor a category names those that do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Models that texts are checked with, by alias or id."""

    models: Mapping[str, PolicyModel] = field(hash=False)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model by alias, with the defaults of requests that ask for it."""

    alias: str
    model: str
    """`id` or `id@revision`; never an alias."""
    precision: Asked | None = None
    """None: that of the setting `precision`."""
    pin: bool = False
    """True for a model that is never evicted once loaded."""
    windows: Windows = field(default_factory=Windows)
    rename: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Name in answers of each label of the model that is to be called otherwise."""
    thresholds: Thresholds | None = field(default=None, hash=False)
    """By the names in answers; None keeps every label."""
    rerank_label: str | None = None
    """By its name in answers, the label whose score ranks documents where a request names none."""
    zero_shot: ZeroShotDefaults = field(default_factory=ZeroShotDefaults)
    temperature: float = 1.0
    """What the logits are divided by before softmax or sigmoid."""
    shadow: Candidate | None = None
    """A model that is asked beside, and whose answers nobody gets."""
    split: Candidate | None = None
    """A model that answers a share of the requests."""

    @property
    def candidates(self) -> dict[Part, Candidate]:
        """Its second models by their parts."""
        parts: tuple[tuple[Part, Candidate | None], ...] = (("split", self.split), ("shadow", self.shadow))
        return {part: one for part, one in parts if one is not None}


@dataclass(frozen=True, slots=True)
class ModelsFile:
    """The models and policies of a configuration file; without one there are none."""

    path: Path | None = None
    """The file, as it was named."""
    models: Mapping[str, ModelEntry] = field(default_factory=dict, hash=False)
    """By alias, in the order of the file."""
    policies: Mapping[str, Policy] = field(default_factory=dict, hash=False)
    places: Mapping[tuple[str, ...], Place] = field(default_factory=dict, repr=False, hash=False)
    """Position of each value in the file, by the names on its way, such as `("models", "sentiment", "pin")`."""

    def where(self, *path: str) -> str:
        """`file:line:column` of a value, or of the nearest mapping around it that the file has."""
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path, Place(1, 1))
        return f"{self.path}:{place.line}:{place.column}"
