"""The object `parameters` of a request -> Parameters (contract section 3.3, docs/reference/http-api.md). Pure.

Every sentence names the parameter, what is allowed there, and what was sent. The Python API reads its own with it.
"""

from collections.abc import Sequence
from typing import Any, cast, get_args

from labeld.literals import Aggregate, FunctionName, Side, TruncationStrategy
from labeld.protocol.errors import InvalidParameterError
from labeld.types import Parameters, Threshold

PARAMETERS = (
    "top_k",
    "function_to_apply",
    "truncation",
    "max_length",
    "return_all_scores",
    "truncation_side",
    "stride",
    "aggregate",
    "return_windows",
    "threshold",
)
"""Parameters that mean something here; all others are ignored, with a warning (contract section 3.3)."""

LARGEST_THRESHOLD = 1e30
"""Of a score; those of function_to_apply none are logits, and may be anything that float32 can be."""

TRUNCATIONS: dict[bool | str, TruncationStrategy | None] = {
    True: "longest_first",
    False: None,
    "do_not_truncate": None,
    **{strategy: strategy for strategy in get_args(TruncationStrategy)},
}
"""Value of `parameters.truncation` -> strategy, as transformers' tokenizers read it (contract section 3.3)."""

BIGGEST = 2**31 - 1
"""Of a whole number: tokens and labels are counted in 32 bits further down."""


def read_parameters(given: dict[str, Any]) -> Parameters:
    """The parameters of a request; null is the same as not given (contract section 3.3).

    Raises InvalidRequestError naming the parameter that is wrong.
    """
    top_k = _positive(given, "top_k", "{null} for all labels")
    if _switched_on(given, "return_all_scores") is False and "top_k" not in given:
        top_k = 1
    max_length = _positive(given, "max_length", "{null} for as many as the model takes")
    stride = _positive(given, "stride", "{null} for no windows", minimum=0)
    truncation = _truncation(given.get("truncation"), max_length)
    return Parameters(
        top_k=top_k,
        function_to_apply=_function(given.get("function_to_apply")),
        truncation=truncation,
        max_length=max_length if truncation or stride is not None else None,
        truncation_side=_one_of(given, "truncation_side", get_args(Side)),
        stride=stride,
        aggregate=_one_of(given, "aggregate", get_args(Aggregate)),
        return_windows=bool(_switched_on(given, "return_windows")),
        threshold=_threshold(given.get("threshold")),
    )


def _positive(given: dict[str, Any], name: str, null: str, minimum: int = 1) -> int | None:
    """A whole number from the minimum on, or None where it is not given."""
    value = given.get(name)
    if value is None:
        return None
    found = whole_number(value, minimum)
    if found is None:
        raise InvalidParameterError(name, f"a whole number from {minimum}, or {null}", value)
    return found


def whole_number(value: Any, minimum: int) -> int | None:
    """The value as a whole number from the minimum on, at most BIGGEST; None where it is none."""
    if type(value) is float and value.is_integer():  # as JSON libraries of languages without whole numbers write it
        value = int(value)
    if type(value) is not int or value < minimum:  # NOTE: type, because True is an int
        return None
    return min(value, BIGGEST)


def _function(value: Any) -> FunctionName | None:
    """The name of a function, whatever its case."""
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in get_args(FunctionName):
        allowed = "sigmoid, softmax, none, or {null} for the model's own default"
        raise InvalidParameterError("function_to_apply", allowed, value)
    return cast("FunctionName", value.lower())


def _truncation(value: Any, max_length: int | None) -> TruncationStrategy | None:
    """The strategy; as in transformers, `max_length` alone enables truncation, and an explicit false disables it."""
    if value is None:
        return "longest_first" if max_length else None
    if not isinstance(value, bool | str) or value not in TRUNCATIONS:
        allowed = "{true}, {false}, longest_first, only_first, only_second or do_not_truncate"
        raise InvalidParameterError("truncation", allowed, value)
    return TRUNCATIONS[value]


def _switched_on(given: dict[str, Any], name: str) -> bool | None:
    """True or false, or None where it is not given."""
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidParameterError(name, "{true} or {false}", value)
    return value


def _one_of(given: dict[str, Any], name: str, allowed: Sequence[str]) -> Any:
    """One of these words, or None where it is not given."""
    value = given.get(name)
    if value is not None and value not in allowed:
        raise InvalidParameterError(name, f"{', '.join(allowed)}, or {{null}} for the default", value)
    return value


def _threshold(value: Any) -> Threshold | None:
    """One number for all labels, or those of some labels in the order of their names."""
    if value is None or _is_number(value):
        return value if value is None else float(value)
    if not isinstance(value, dict) or not all(_is_number(one) for one in value.values()):
        what = f"a number of at most {LARGEST_THRESHOLD:g}, an object of one for each label, or {{null}}"
        raise InvalidParameterError("threshold", what, value)
    return tuple(sorted((label, float(one)) for label, one in value.items()))


def _is_number(value: Any) -> bool:
    """Whether it is finite and no truth value. NOTE: type, because True is an int; large ints overflow a float."""
    return type(value) in {int, float} and abs(value) <= LARGEST_THRESHOLD
