"""The options of a request, from its headers or the object `options` of its body (contract section 3.3). Pure."""

from collections.abc import Mapping
from typing import Any

from labeld.protocol.errors import wrong_value
from labeld.types import Options

HEADER_OPTIONS = {"x-use-cache": "use_cache", "x-wait-for-model": "wait_for_model", "x-load-model": "load_model"}
"""Header -> field of Options."""

BODY_OPTIONS = {
    "use_cache": ("use_cache", True),
    "wait_for_model": ("wait_for_model", True),
    "dont_load_model": ("load_model", False),
}
"""Key of `options` -> field of Options, and what the field becomes when the key is true."""

_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_DEFAULT_OPTIONS = Options()


def read_options(headers: Mapping[str, str], body_options: dict[str, Any]) -> Options:
    """The options; a header wins over the body, and unknown keys mean nothing. Raises InvalidRequestError."""
    chosen: dict[str, bool] = {}
    for key, (name, meaning) in BODY_OPTIONS.items() if body_options else ():
        if body_options.get(key) is not None:
            chosen[name] = _switch(body_options[key], f"options.{key}") is meaning
    for header, name in HEADER_OPTIONS.items():
        if header in headers:
            chosen[name] = _switch(headers[header], f"the header {header}")
    return Options(**chosen) if chosen else _DEFAULT_OPTIONS


def _switch(value: Any, place: str) -> bool:
    """true, false, 1 or 0, however it is spelled."""
    found = _SWITCH.get(str(value).strip().lower())
    if found is None:
        raise wrong_value(place, "true, false, 1 or 0", value)
    return found
