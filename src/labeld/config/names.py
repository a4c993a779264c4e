"""The names of every setting: its own, its command-line flag and its environment variable."""

from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any, get_type_hints

from labeld.config.settings import GROUPS

PREFIX = "LABELD_"

HF_VARIABLES = {
    "hf_endpoint": "HF_ENDPOINT",
    "hf_token": "HF_TOKEN",
    "offline": "HF_HUB_OFFLINE",
    "hf_home": "HF_HOME",
    "hf_hub_cache": "HF_HUB_CACHE",
}
"""Settings that are read from huggingface_hub's variables."""


def every_setting() -> Iterator[tuple[type[Any], Field[Any], Any]]:
    """Each setting's group, its field (name, default, `metadata["help"]`) and its type."""
    for group in GROUPS.values():
        hints = get_type_hints(group)
        for one in fields(group):
            yield group, one, hints[one.name]


def variable(name: str) -> str:
    """Name of a setting's environment variable."""
    return HF_VARIABLES.get(name, f"{PREFIX}{name.upper()}")


def flag(name: str) -> str:
    """Name of a setting's command-line flag."""
    return f"--{name.replace('_', '-')}"
