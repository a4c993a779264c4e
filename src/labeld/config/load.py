"""Flags and the environment -> settings: the only place that reads the environment.

A setting `max_inputs` is the flag `--max-inputs` and the variable `LABELD_MAX_INPUTS`; the flag wins, then the
variable, then the default. A setting that people already have by another name keeps it (`HF_VARIABLES`).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, fields
from typing import Any, get_type_hints

from labeld.config.fields import validate
from labeld.config.settings import GROUPS, Settings

HF_VARIABLES = {"hf_endpoint": "HF_ENDPOINT", "hf_token": "HF_TOKEN", "offline": "HF_HUB_OFFLINE"}
"""Settings whose variable is huggingface_hub's."""


def every_setting() -> Iterator[tuple[type[Any], Field[Any], Any]]:
    """Each setting's group, its field (name, default, `metadata["help"]`) and its type."""
    for group in GROUPS.values():
        hints = get_type_hints(group)
        for one in fields(group):
            yield group, one, hints[one.name]


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return HF_VARIABLES.get(name, f"LABELD_{name.upper()}")


def flag(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


def load(
    given: Mapping[str, Any], environ: Mapping[str, str] | None = None, name_of: Callable[[str], str] = flag
) -> Settings:
    """Settings from what is given (where it is not `None`), then the environment, then the defaults.

    `name_of` says how the caller knows a setting that is given: by its flag, or by the name of a parameter. Raises
    SettingsError naming the first setting with an impossible value.
    """
    environ = os.environ if environ is None else environ
    groups = {}
    for name, group in GROUPS.items():
        hints = get_type_hints(group)
        values = {}
        for one in fields(group):
            if given.get(one.name) is not None:
                values[one.name] = validate(one, name_of(one.name), given[one.name], hints[one.name])
            elif variable(one.name) in environ:
                values[one.name] = validate(one, variable(one.name), environ[variable(one.name)], hints[one.name])
        groups[name] = group(**values)
    return Settings(**groups)
