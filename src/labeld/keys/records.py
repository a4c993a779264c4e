"""What is known of an access token, but never the token itself; and what may be asked for when one is made. Pure."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["inference", "admin"]
"""What a key may do: classify, or also see and change the settings page."""


@dataclass(frozen=True, slots=True)
class Key:
    """One access token. Times are seconds since the epoch."""

    key_id: str
    name: str
    role: Role
    models: tuple[str, ...]
    """Models that it may use, `org/name` or `org/*`; empty = all."""
    expires: float | None
    per_minute: int | None
    """Requests per minute; None = as many as the server takes."""
    created: float
    last_used: float | None
    revoked: float | None

    def allows(self, model_id: str) -> bool:
        """Whether it may use this model."""
        if not self.models:
            return True
        owner = model_id.partition("/")[0]
        return model_id in self.models or f"{owner}/*" in self.models

    def live(self, now: float) -> bool:
        """Whether it counts at that time: neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)
