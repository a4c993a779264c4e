"""Records of access tokens, without their text, and the validation of new ones. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from labeld.auth.errors import TokenRequestError
from labeld.model_id import SEGMENT, valid_id

Role = Literal["inference", "admin"]
"""Rights of an access token: to classify texts, or also to use the settings page."""

MAX_NAME_CHARACTERS = 100
MAX_MODELS = 100
MAX_PER_MINUTE = 1_000_000

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,6})([mhdw])")
_ALL_OF = re.compile(rf"{SEGMENT}/\*")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One access token. Times are seconds since the epoch."""

    token_id: str
    """12 hexadecimal digits."""
    name: str
    role: Role
    models: tuple[str, ...]
    """Models that it may use, `org/name` or `org/*`; empty: all."""
    expires: float | None
    per_minute: int | None
    """Requests per minute, at most; None without a limit."""
    created: float
    """Time at which its present text was made."""
    last_used: float | None
    revoked: float | None

    def allows(self, model_id: str) -> bool:
        """True when the token may use this model, `org/name` or `org/name@revision`; the revision does not matter."""
        if not self.models:
            return True
        model_id = model_id.partition("@")[0]
        owner, slash, _ = model_id.partition("/")
        return model_id in self.models or (bool(slash) and f"{owner}/*" in self.models)

    def live(self, now: float) -> bool:
        """True when the token is valid at this time: neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The access tokens that were not revoked at one moment."""

    version: str = ""
    """Differs after every change of the store."""
    access_tokens: Mapping[bytes, AccessToken] = field(default_factory=dict)
    """By the HMAC of their text."""
    any_made: bool = False
    """True when an access token was ever made, revoked ones included."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A request for a new access token."""

    name: str
    role: Role = "inference"
    models: tuple[str, ...] = ()
    expires: float | None = None
    per_minute: int | None = None

    def validate(self, now: float) -> "NewToken":
        """The request, its name stripped and its models unique; raises TokenRequestError naming an invalid field."""
        name = self.name.strip()
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            raise TokenRequestError(
                f"The name of an access token must be 1 to {MAX_NAME_CHARACTERS} printable characters."
            )
        if self.role not in get_args(Role):
            raise TokenRequestError(f"The role of an access token must be {' or '.join(get_args(Role))}.")
        if len(self.models) > MAX_MODELS:
            raise TokenRequestError(f"An access token may name at most {MAX_MODELS} models; org/* names all of org.")
        for number, model in enumerate(self.models, 1):
            if not (valid_id(model) or _ALL_OF.fullmatch(model)):
                raise TokenRequestError(f"Model {number} of the access token is neither an id like org/name nor org/*.")
        if self.expires is not None and not (math.isfinite(self.expires) and self.expires > now):
            raise TokenRequestError("The expiry of an access token must be in the future.")
        if self.per_minute is not None and not 1 <= self.per_minute <= MAX_PER_MINUTE:
            raise TokenRequestError(
                f"The limit of an access token must be 1 to {MAX_PER_MINUTE} requests per minute, or none."
            )
        return NewToken(name, self.role, tuple(dict.fromkeys(self.models)), self.expires, self.per_minute)


def read_expiry(text: str, now: float) -> float:
    """Seconds since the epoch of an expiry as people write it: `30d`, `12h`, `2027-01-31`, `2027-01-31T18:00`.

    A date means its first moment; without a zone it is UTC. Raises TokenRequestError when it is malformed or past.
    """
    text = text.strip()
    try:
        if duration := _DURATION.fullmatch(text):
            expires = now + timedelta(**{UNITS[duration[2]]: int(duration[1])}).total_seconds()
        else:
            read = datetime.fromisoformat(text)
            expires = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
        datetime.fromtimestamp(expires, UTC)  # raises for a year beyond 9999
    except (ValueError, OverflowError, OSError):
        raise TokenRequestError(
            "The expiry of an access token must be a duration like 30d or 12h (or m, w), or a date like 2027-01-31."
        ) from None
    if expires <= now:
        raise TokenRequestError("The expiry of an access token must be in the future.")
    return expires
