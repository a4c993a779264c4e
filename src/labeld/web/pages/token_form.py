"""The form for a new access token: its fields -> a NewToken, or an error sentence for each wrong field. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labeld.auth.errors import TokenRequestError
from labeld.auth.records import NewToken, read_expiry

FIELDS = ("name", "role", "models", "period", "date", "per_minute")
PERIODS = {"": "Never", "1d": "After a day", "7d": "After a week", "30d": "After 30 days", "90d": "After 90 days"}
PERIODS |= {"365d": "After a year"}
SOME_NAME = "name"
"""A valid name, with which the other fields are validated."""


@dataclass(frozen=True, slots=True)
class TokenForm:
    """The fields as they were typed, and their errors."""

    typed: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(FIELDS, "") | {"role": "inference"})
    errors: Mapping[str, str] = field(default_factory=dict)
    """A sentence by field."""
    new_token: NewToken | None = None
    """The valid request; None if a field is wrong, or nothing was typed yet."""

    def refused(self, name: str, error: TokenRequestError) -> "TokenForm":
        """The form with an error of this field that only the database could find."""
        return TokenForm(self.typed, {**self.errors, name: str(error)})


def read_token_form(sent: Mapping[str, str], now: float) -> TokenForm:
    """The form as it was sent; every field is validated."""
    typed = {name: sent.get(name, "").strip() for name in FIELDS}
    errors: dict[str, str] = {}

    def validated(name: str, make: Callable[[], NewToken]) -> NewToken:
        try:
            return make().validate(now)
        except TokenRequestError as error:
            errors[name] = str(error)
            return NewToken(SOME_NAME)

    name = validated("name", lambda: NewToken(typed["name"])).name
    role = validated("role", lambda: NewToken(SOME_NAME, typed["role"])).role  # type: ignore[arg-type]  # validated here
    models = validated("models", lambda: NewToken(SOME_NAME, models=_models(typed["models"], now))).models
    expires = validated("date", lambda: NewToken(SOME_NAME, expires=_expiry(typed, now))).expires
    per_minute = validated(
        "per_minute", lambda: NewToken(SOME_NAME, per_minute=_number(typed["per_minute"]))
    ).per_minute
    return TokenForm(typed, errors, None if errors else NewToken(name, role, models, expires, per_minute))


def _models(text: str, now: float) -> tuple[str, ...]:
    """Model ids of a text, separated by spaces or commas; raises TokenRequestError naming an invalid one."""
    models = tuple(text.replace(",", " ").split())
    for model in models:
        try:
            NewToken(SOME_NAME, models=(model,)).validate(now)
        except TokenRequestError:
            raise TokenRequestError(f"{model[:100]} is neither a model's id like org/name nor org/*.") from None
    return models


def _expiry(typed: Mapping[str, str], now: float) -> float | None:
    if typed["period"] and typed["date"]:
        raise TokenRequestError("The expiry of an access token must be a period or a date, not both.")
    either = typed["period"] or typed["date"]
    return read_expiry(either, now) if either else None


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise TokenRequestError(
            "The limit of an access token must be a whole number of requests per minute, or nothing."
        )
    return int(text)
