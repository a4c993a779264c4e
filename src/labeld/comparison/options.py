"""What a comparison was asked to do, checked as far as it can be before anything is loaded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from labeld.comparison.dialects import DIALECTS, ClientDialect, own_dialect
from labeld.comparison.labels import require_label
from labeld.errors import InvalidRequestError

TRANSFORMERS = "transformers"
"""The peer that is a library in this process."""
CONNECTIONS_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """Options of one comparison; raises InvalidRequestError where they contradict each other."""

    model: str
    against: str
    """A URL, or `transformers`."""
    dialect: str | None = None
    body: str | None = None
    """A request of the operator's own: JSON with "TEXT" in it."""
    against_model: str | None = None
    """The model's name at the peer; None: the model's own id, or the only one that the peer lists."""
    against_cores: int | None = None
    label_map: Sequence[str] = ()
    thresholds: Sequence[str] = ()
    truncation: bool = False
    connections: int = 1
    timeout: float = 30.0
    max_seconds: float = 600.0
    core_hour: float | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Checks them."""
        if self.dialect is not None and self.dialect not in DIALECTS:
            raise InvalidRequestError(f"--dialect is {self.dialect!r}, but must be one of {', '.join(DIALECTS)}.")
        if self.dialect is not None and self.body is not None:
            raise InvalidRequestError("--dialect and --body contradict each other: leave one out.")
        if not 1 <= self.connections <= CONNECTIONS_LIMIT:
            raise InvalidRequestError(
                f"--connections is {self.connections}, but must be from 1 to {CONNECTIONS_LIMIT}."
            )
        for name, value in (
            ("--timeout", self.timeout),
            ("--max-seconds", self.max_seconds),
            ("--core-hour", 1.0 if self.core_hour is None else self.core_hour),
        ):
            if not (value > 0 and math.isfinite(value)):
                raise InvalidRequestError(f"{name} is {value:g}, but must be a number above 0.")
        of_servers = {
            "--dialect": self.dialect,
            "--body": self.body,
            "--against-model": self.against_model,
            "--against-cores": self.against_cores,
        }
        for name, given in of_servers.items():
            if given is not None and self.against == TRANSFORMERS:
                raise InvalidRequestError(
                    f"{name} is for servers, and transformers runs in this process: leave it out."
                )
        for one in self.thresholds:
            _threshold(one)

    @property
    def model_name(self) -> str:
        """The model's id without a revision, by which others may know it too."""
        return self.model.partition("@")[0]

    def chosen_dialect(self) -> ClientDialect | None:
        """The dialect that was asked for; None where it has to be found."""
        if self.body is not None:
            return own_dialect(self.body)
        return None if self.dialect is None else DIALECTS[self.dialect]

    def thresholds_of(self, labels: Sequence[str]) -> dict[str, float]:
        """The threshold of each label that has one; raises InvalidRequestError for one that the model has not."""
        found: dict[str, float] = {}
        read = [_threshold(one) for one in self.thresholds]
        for label, value in sorted(read, key=lambda one: one[0] is not None):  # one of all labels yields to its own
            if label is not None:
                require_label("--threshold", label, labels)
            found |= dict.fromkeys(labels if label is None else [label], value)
        return found


def _threshold(given: str) -> tuple[str | None, float]:
    """A label, None for all, and its threshold."""
    label, equals, number = given.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (equals and not label):
        raise InvalidRequestError(f"--threshold is {given!r}, but must be a number such as 0.5, or like spam=0.9.")
    return (label if equals else None), value
