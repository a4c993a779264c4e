"""Text -> JSON value, strictly and within limits, however hostile the text is (reliability.md, row 11).

Knows JSON, but nothing of what a request means. Beyond Python's own parser it refuses duplicate keys, NaN, numbers too
large to be a number, lone surrogates, and more nesting or strings than the limits allow; it never raises anything but
InvalidRequestError, and never takes long: the limits are checked before the parser runs.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Never

from labeld.config.settings import InputLimits
from labeld.errors import InvalidJsonError, InvalidRequestError
from labeld.protocol.errors import TooManyTextsError

MAX_NUMBER_CHARACTERS = 4300
"""Characters of a number, at most; the limit is Python's own for whole numbers."""

VALUES_PER_STRING = 4
"""Numbers, lists and objects may be this many times `max_json_strings`: no valid body has so many, hostile ones do."""

# NOTE: the closing quote is optional and the quantifiers are possessive, so that hostile text takes linear time
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def loads(text: str, limits: InputLimits) -> Any:
    """The JSON value of `text`.

    Raises InvalidJsonError when it is no JSON at all, and InvalidRequestError when it is JSON that is not accepted.
    """
    _check_limits(text, limits)
    try:
        value = decode(text)
    except RecursionError:  # only where max_json_depth was set beyond what Python can do
        raise _too_deep(limits) from None
    if "\\ud" in text or "\\uD" in text:  # an escape that may be half a pair
        _check_surrogates(value)
    return value


def decode(text: str) -> Any:
    """The JSON value of `text`, whatever its size; lone surrogates are not looked for.

    Raises as `loads`, and RecursionError for more nesting than Python can do.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"line {error.lineno}, column {error.colno}") from None
    except ValueError:  # int() of too many digits
        raise _too_long_number() from None


def _check_limits(text: str, limits: InputLimits) -> None:
    """Raise InvalidRequestError when there are too many strings or values, or when they are nested too deep."""
    most_values = VALUES_PER_STRING * limits.max_json_strings
    brackets = text.count("[") + text.count("{")
    if (
        brackets <= limits.max_json_depth
        and text.count('"') <= 2 * limits.max_json_strings
        and text.count(",") <= most_values - limits.max_json_depth
    ):
        return  # NOTE: these upper bounds cost 0.3 microseconds and let every ordinary body pass
    bare, strings = _STRING.subn(b"", text.encode("utf-8", "surrogatepass"), limits.max_json_strings + 1)
    if strings > limits.max_json_strings:
        raise TooManyTextsError(
            f"The body has more than {limits.max_json_strings} strings (setting max_json_strings): send several "
            "requests."
        )
    if bare.count(b"[") + bare.count(b"{") + bare.count(b",") > most_values:
        raise InvalidRequestError(
            f"The body has more than {most_values} values, which is {VALUES_PER_STRING} times the limit of strings "
            "(setting max_json_strings): send several requests."
        )
    nested = bare.translate(_SQUARE, _NOT_BRACKETS)
    for _ in range(limits.max_json_depth):  # each round takes off the innermost level
        outer = nested.replace(b"[]", b"")
        if outer == nested:
            break
        nested = outer
    if b"[]" in nested or nested.count(b"[") > limits.max_json_depth:
        raise _too_deep(limits)


def _too_deep(limits: InputLimits) -> InvalidRequestError:
    """The error for too much nesting."""
    return InvalidRequestError(
        f"The JSON of the body is nested deeper than the limit of {limits.max_json_depth} levels (setting "
        'max_json_depth): send {"inputs": ["some text", ...]}.'
    )


def _too_long_number() -> InvalidRequestError:
    """The error for a number that is no number any more."""
    return InvalidRequestError(
        f"A number in the body has more than {MAX_NUMBER_CHARACTERS} digits: texts must be strings, in quotes."
    )


def _check_surrogates(value: Any) -> None:
    """Raise InvalidRequestError when a string or key inside `value` cannot be UTF-8, saying where it stands."""
    for place, text in _strings(value, ""):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = ord(text[error.start])
            where = f"`{place}`" if place else "A string in the body"
            raise InvalidRequestError(
                f"{where} has half of a surrogate pair (\\u{half:04x}), which is no character: escape both halves, or "
                "send the character itself as UTF-8."
            ) from None


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every string and key inside a value, with its place as in `inputs[3].text`. NOTE: the nesting is bounded."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _strings(one, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield "", key
            yield from _strings(one, f"{place}.{key}" if place else key)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, whose keys must differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidRequestError(f"The body has the key {name[:60]!r} twice in one object: send it once.")
    return found


def _finite(number: str) -> float:
    """A number with a fraction or an exponent, which must not overflow."""
    if len(number) > MAX_NUMBER_CHARACTERS:
        raise _too_long_number()
    value = float(number)
    if math.isinf(value):
        raise InvalidRequestError(
            f"The number {number[:60]} in the body is too large: texts must be strings, in quotes."
        )
    return value


def _no_constant(name: str) -> Never:
    """Refuse NaN and Infinity, which Python would take."""
    raise InvalidJsonError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
