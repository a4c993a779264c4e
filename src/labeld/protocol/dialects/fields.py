"""The members of a JSON object that a dialect reads, each checked, with errors that name the member."""

from collections.abc import Sequence
from typing import Any

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.protocol.dialects.base import Call
from labeld.protocol.dialects.errors import EmptyInputError
from labeld.protocol.errors import wrong_value
from labeld.protocol.options import BODY_OPTIONS
from labeld.protocol.parameters import whole_number
from labeld.protocol.request import require_room

ACTIVATIONS = ("use_activation", "activation", "softmax")
"""The names that vLLM has given to the switch between scores and logits, the newest first."""
ANY_MODEL = "default/not-specified"
"""The name that Infinity's client sends where its caller has named no model."""
_OF_NO_ANSWER = {"model", "options", *BODY_OPTIONS, "user", "id", "request_id"}
"""Members that no parser needs to read, because they decide no answer or are read beside it."""


def with_model(call: Call, example: str) -> Call:
    """The call with the model that its body names, where its path names none."""
    named = Fields(call.value, example).model() if isinstance(call.value, dict) else None
    return call._replace(model=call.model or named)


class Fields:
    """A JSON object. Its methods raise InvalidRequestError, and remember which members were read."""

    def __init__(self, value: Any, example: str, place: str = "") -> None:
        """`example` is a body that works; `place` is where the object stands in the body."""
        if not isinstance(value, dict):
            raise wrong_value(place or "the body", "an object", value, f"send {example}")
        self.value: dict[str, Any] = value
        self._example, self._place = example, f"{place}." if place else ""
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.value.get(name) is not None

    def get(self, name: str, default: Any = ...) -> Any:
        """The value of a member as it is."""
        self._read.add(name)
        return self.value.get(name, default)

    def object(self, name: str, example: str = "") -> "Fields":
        """An object; an empty one where there is none, null, or an empty list, which is PHP's empty object.

        `example` is a value of it that works; without one the body's is shown.
        """
        value = self.get(name, None)
        value = {} if value is None or value == [] else value
        return Fields(value, example or self._example, f"{self._place}{name}")

    def unread(self) -> tuple[str, ...]:
        """The members that were sent and that nobody has read, by the names that a warning gives them."""
        place = "" if self._place == "parameters." else self._place
        known = self._read | _OF_NO_ANSWER
        return tuple(
            [f"{place}{name}" for name, value in self.value.items() if value is not None and name not in known]
        )

    def model(self) -> str | None:
        """The model that the object names, or None where it leaves the choice to the server."""
        name = self.optional_text("model")
        return None if name == ANY_MODEL else name

    def text(self, name: str, *, default: str | None = None) -> str:
        """A string; without a default one that has to be there, and with more than white space in it."""
        value = self.get(name, ... if default is None else default)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        if default is None and not value.strip():
            raise EmptyInputError(f"`{self._place}{name}` is empty: send {self._example}.")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or None where there is none."""
        return self.text(name, default="") or None

    def texts(self, name: str, limits: InputLimits, *, members: Sequence[str] = ()) -> list[str]:
        """A list of strings; with `members` an item may be an object that has its string in one of them."""
        value = self.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list of strings", value)
        if not value:
            raise EmptyInputError(f"`{self._place}{name}` is empty: send {self._example}.")
        require_room(f"{self._place}{name}", len(value), limits)
        return [self._item(f"{name}[{index}]", one, members) for index, one in enumerate(value)]

    def one_or_more(self, name: str, limits: InputLimits, *, members: Sequence[str] = ()) -> list[str]:
        """A string, or a list as `texts` reads it."""
        is_one = isinstance(self.value.get(name), str)
        return [self.text(name)] if is_one else self.texts(name, limits, members=members)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.get(name, None)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def number(self, name: str, *, minimum: int = 1) -> int | None:
        """A whole number, or None where there is none."""
        value = self.get(name, None)
        if value is None:
            return None
        found = whole_number(value, minimum)
        if found is None:
            raise self._wrong(name, f"a whole number from {minimum}", value)
        return found

    def one_of(self, name: str, allowed: Sequence[str]) -> str | None:
        """One of these words, in any case, or None where there is none."""
        value = self.get(name, None)
        if value is None:
            return None
        found = {word.lower(): word for word in allowed}.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            raise self._wrong(name, " or ".join(allowed), value)
        return found

    def first_of(self, names: Sequence[str]) -> str:
        """The first of these members that is there, or the first of all where none is."""
        return next((name for name in names if name in self), names[0])

    def has_activation(self) -> bool:
        """False where vLLM's clients ask for logits."""
        return self.flag(self.first_of(ACTIVATIONS), default=True)

    def _item(self, place: str, value: Any, members: Sequence[str]) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and members:
            for name in members:
                if isinstance(value.get(name), str):
                    return str(value[name])
            raise self._wrong(f"{place}.{members[0]}", "a string", value.get(members[0], ...))
        raise self._wrong(place, "a string", value)

    def _wrong(self, name: str, allowed: str, value: Any) -> InvalidRequestError:
        return wrong_value(f"{self._place}{name}", allowed, value, f"send {self._example}")
