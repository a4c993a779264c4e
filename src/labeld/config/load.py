"""Settings from flags, the environment and the configuration file. No other module reads the environment.

A setting `max_inputs` is the flag `--max-inputs` and the variable `LABELD_MAX_INPUTS`; the flag wins, then the
variable, then the file, then the default. Settings that huggingface_hub has too are read from its variables
(`HF_VARIABLES`), as its `constants.py` reads them.
"""

import difflib
import os
import re
import warnings
from collections.abc import Callable, Container, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from labeld.config.against import TOKEN_VARIABLE
from labeld.config.fields import validate
from labeld.config.file import NO_FILE, read_file
from labeld.config.names import HF_VARIABLES, PREFIX, every_setting, flag, variable
from labeld.config.settings import GROUPS, Settings
from labeld.errors import SettingsError

HF_FOLDERS = {"hf_home": (), "hf_hub_cache": ("HUGGINGFACE_HUB_CACHE",)}
"""Folders of huggingface_hub, in whose variables others may stand, with older names that it still reads."""
USUAL_CACHES = "XDG_CACHE_HOME"
"""The variable with the folder in which the Hugging Face libraries have theirs where nothing names another."""


def load(
    given: Mapping[str, Any], environ: Mapping[str, str] | None = None, name_of: Callable[[str], str] = flag
) -> Settings:
    """Settings from the given values that are not None, then the environment, the configuration file, the defaults.

    `name_of` gives the caller's name of a given setting: its flag, or a parameter. Raises SettingsError naming the
    first value that is impossible, and ConfigFileError with all mistakes of the file.
    """
    environ = os.environ if environ is None else environ
    path = given.get("config") or environ.get(variable("config"))
    file = read_file(Path(path)) if path else NO_FILE
    groups: dict[str, Any] = {}
    for name, group in GROUPS.items():
        hints = get_type_hints(group)
        values = {}
        for one in fields(group):
            if given.get(one.name) is not None:
                values[one.name] = validate(one, name_of(one.name), given[one.name], hints[one.name])
            elif (said := _said(one.name, environ)) is not None:
                values[one.name] = validate(one, variable(one.name), said, hints[one.name])
            elif one.name in file.settings:
                values[one.name] = file.settings[one.name]
            elif one.name == "hf_home" and USUAL_CACHES in environ:
                values[one.name] = Path(_with_variables(environ[USUAL_CACHES], environ), "huggingface")
            _require_home(one.name, values.get(one.name, one.default))
        groups[name] = group(**values)
    pinned = tuple(alias for alias, entry in file.models.models.items() if entry.pin)
    groups["residency"] = replace(groups["residency"], pin=(*groups["residency"].pin, *pinned))
    return Settings(**groups, file=file.models)


def given_by_environment(left_out: Container[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the environment says of settings, but for the secrets and those left out: for processes elsewhere."""
    environ = os.environ if environ is None else environ
    named = (one for _, one, _ in every_setting() if one.name not in left_out and not one.metadata["secret"])
    return {one.name: said for one in named if (said := _said(one.name, environ)) is not None}


def secret_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of the environment that has secrets: all that counts in a process whose settings were given to it."""
    environ = os.environ if environ is None else environ
    names = (variable(one.name) for _, one, _ in every_setting() if one.metadata["secret"])
    return {name: environ[name] for name in names if name in environ}


def proxy_timeout(environ: Mapping[str, str] | None = None) -> float | None:
    """Seconds for which the HAProxy of Ray Serve waits for an answer; None where it waits without end."""
    environ = os.environ if environ is None else environ
    return float(environ.get("RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S") or 0) or None


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A warning for each LABELD_ variable that is not a setting's, with the most similar name that is."""
    environ = os.environ if environ is None else environ
    known = [TOKEN_VARIABLE, *(variable(one.name) for _, one, _ in every_setting())]
    sentences = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        near = difflib.get_close_matches(name, known, 1)
        hint = f": is it {near[0]}?" if near else "; `labeld serve --help` has all."
        sentences.append(f"The environment variable {name} is no setting{hint}")
    return sentences


def warn_of_unknown_variables() -> None:
    """Python's warnings of `unknown_variables`, which point at the caller of whoever calls this."""
    for sentence in unknown_variables():
        warnings.warn(sentence, stacklevel=3)


def _said(name: str, environ: Mapping[str, str]) -> str | None:
    """What the environment says of a setting; of a folder of huggingface_hub as that reads it."""
    for one in (variable(name), *HF_FOLDERS.get(name, ())):
        if one in environ:
            return _with_variables(environ[one], environ) if name in HF_FOLDERS else environ[one]
    return None


def _with_variables(value: str, environ: Mapping[str, str]) -> str:
    """The value with those of the variables that it names, as `os.path.expandvars` writes them."""

    def said(found: "re.Match[str]") -> str:
        return environ.get(found[1].strip("{}"), found[0])

    return re.sub(r"\$(\w+|\{[^}]*\})", said, value, flags=re.ASCII)


def _require_home(name: str, value: Any) -> None:
    """Raises SettingsError where a path is below a home folder and there is none."""
    if isinstance(value, Path) and name not in HF_VARIABLES:  # there is no Hugging Face cache without a home
        try:
            value.expanduser()
        except RuntimeError:
            raise SettingsError(
                f"{name} is {value}, but this user has no home folder: name another place in {variable(name)}."
            ) from None
