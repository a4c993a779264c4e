"""The form of a model id: `org/name` or `name`. An id is only ever compared, and never becomes part of a path."""

import re

SEGMENT = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
MODEL_ID = re.compile(rf"(?:{SEGMENT}/)?{SEGMENT}")
"""Our own pattern, not the Hub client's, which lets a trailing newline and look-alike letters through."""
REVISION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9_-])?")
"""A branch, a tag, `refs/pr/1`, or a commit."""


def valid_id(model_id: str) -> bool:
    """True when this has the form of a model's id, `org/name` or `name`."""
    return bool(MODEL_ID.fullmatch(model_id)) and ".." not in model_id and "--" not in model_id


def valid_name(name: str) -> bool:
    """True when this is an id, or `id@revision`."""
    model_id, at, revision = name.partition("@")
    return valid_id(model_id) and (not at or (bool(REVISION.fullmatch(revision)) and ".." not in revision))
