"""The setting `precision`: the precision that is requested for each model."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from labeld.errors import SettingsError
from labeld.literals import Precision

FASTER: tuple[Precision, ...] = ("bfloat16", "int8")
"""Precisions that a trial compares with float32."""

Asked = Literal[Precision, "auto"]
"""`auto`: the fastest precision whose answers differ little enough from float32's, by a trial at the first load."""

CHOICES: tuple[Asked, ...] = (*get_args(Precision), "auto")


@dataclass(frozen=True, slots=True)
class AskedPrecisions:
    """The requested precision of every model."""

    default: Asked = "float32"
    by_model: dict[str, Asked] = field(default_factory=dict)

    def of(self, model_id: str) -> Asked:
        """The requested precision of this model."""
        return self.by_model.get(model_id, self.default)

    @property
    def only_float32(self) -> bool:
        """True when no model is asked for in another precision."""
        return {self.default, *self.by_model.values()} == {"float32"}


def parse_precisions(setting: str) -> AskedPrecisions:
    """Reads `auto`, or `auto,org/name=float32`: a precision for all models, and others by model id.

    Raises SettingsError naming the wrong part.
    """
    default: Asked = "float32"
    by_model: dict[str, Asked] = {}
    seen = set()
    for part in (part.strip() for part in setting.split(",")):
        model_id, equals, word = part.rpartition("=")
        asked = next((choice for choice in CHOICES if choice == word), None)
        if asked is None or (equals and not model_id):
            raise SettingsError(
                f"precision has {part!r}, but each part must be one of {', '.join(CHOICES)} for all models, or "
                "org/name=… for one."
            )
        if model_id in seen:
            raise SettingsError(f"precision has two parts for {model_id or 'all models'}: leave one out.")
        seen.add(model_id)
        if model_id:
            by_model[model_id] = asked
        else:
            default = asked
    return AskedPrecisions(default, by_model)
