"""Text and parameters -> cache key: a hash of everything that decides the answer. Pure."""

import hashlib
import json
from dataclasses import fields
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

from labeld.types import ClassifyRequest, Parameters

WRITER = f"labeld {version('labeld')}, keys 2"
"""The first field of every key: another release may compute another answer."""


class Identity(NamedTuple):
    """The properties of a model that decide its answers."""

    revision: str
    precision: str
    max_tokens: int
    """Tokens of a text that truncation keeps."""
    max_characters: int
    """Characters of a text that are tokenised at most."""
    changed: str = ""
    """What an alias changes of every answer (names of labels, temperature), as JSON; empty where that is nothing."""


def answer_keys(identity: Identity, request: ClassifyRequest, scope: str) -> list[bytes]:
    """The key of each text: SHA-256, 32 bytes.

    Only requests of one `scope` find each other's answers. Every field says its kind and its length, and their number
    is fixed, so the bytes of two different questions differ.
    """
    common = _common(identity, scope, request.parameters)
    keys = []
    for text, pair in request.texts:
        one = common.copy()
        one.update(_field(text) + _field(pair))
        keys.append(one.digest())
    return keys


@lru_cache
def _common(identity: Identity, scope: str, asked: Parameters) -> "hashlib._Hash":
    """The hash of what all texts of such a request have in common; only ever copied."""
    parameters = [getattr(asked, one.name) for one in fields(asked) if one.name != "threshold"]
    threshold = json.dumps(asked.threshold)
    return hashlib.sha256(b"".join([_field(one) for one in (WRITER, *identity, scope, *parameters, threshold)]))


def _field(value: str | int | None) -> bytes:
    """One field: its kind, its length in 8 bytes, itself."""
    if value is None:
        return b"-"
    if isinstance(value, int):
        return b"i" + value.to_bytes(8, "big", signed=True)
    # NOTE: standard input may bring halves of surrogate pairs; they must not become equal
    content = value.encode("utf-8", "surrogatepass")
    return b"s" + len(content).to_bytes(8, "big") + content
