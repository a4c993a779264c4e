"""Thresholds and a temperature as YAML, in the form that the configuration file of the server takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import yaml

from labeld.config.models_file import ModelEntry


def default_alias(model: str) -> str:
    """An alias for a model: the last part of its id, or where that is the whole of it with `-tuned` behind."""
    name = model.partition("@")[0]
    return name.rpartition("/")[2] if "/" in name else f"{name}-tuned"


def as_yaml(entry: ModelEntry, remarks: Sequence[str]) -> str:
    """The part of a configuration file with one alias; `remarks` stand above it as comments."""
    said: dict[str, object] = {"model": entry.model}
    if entry.rename:
        said["rename"] = dict(entry.rename)
    if entry.precision is not None:
        said["precision"] = entry.precision
    if entry.pin:
        said["pin"] = True
    if windows := {name: value for name, value in asdict(entry.windows).items() if value is not None}:
        said["windows"] = windows
    if zero_shot := {name: value for name, value in asdict(entry.zero_shot).items() if value not in {None, ()}}:
        labels = {name: list(value) for name, value in zero_shot.items() if isinstance(value, tuple)}
        said["zero_shot"] = zero_shot | labels
    if entry.temperature != 1.0:
        said["temperature"] = entry.temperature
    if entry.thresholds is not None:
        given = entry.thresholds
        said["thresholds"] = dict(given) if isinstance(given, Mapping) else given
    said |= {part: asdict(candidate) for part, candidate in entry.candidates.items()}
    dumped: str = yaml.safe_dump({"models": {entry.alias: said}}, sort_keys=False, allow_unicode=True, width=1000)
    comments = "".join(f"# {' '.join(remark.split())}\n" for remark in remarks)
    return comments + dumped
