"""The form of a model id: `org/name` or `name`. An id is only ever compared, and never becomes part of a path."""

import re

SEGMENT = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
MODEL_ID = re.compile(rf"(?:{SEGMENT}/)?{SEGMENT}")
"""Our own pattern, not the Hub client's, which lets a trailing newline and look-alike letters through."""


def valid_id(model_id: str) -> bool:
    """True when this has the form of a model's id, `org/name` or `name`."""
    return bool(MODEL_ID.fullmatch(model_id)) and ".." not in model_id and "--" not in model_id
