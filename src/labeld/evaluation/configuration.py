"""Thresholds and a temperature as YAML, in the form that the configuration file of the server takes."""

from collections.abc import Sequence

import yaml

from labeld.config.models_file import ModelEntry
from labeld.evaluation.thresholds import Threshold


def default_alias(model: str) -> str:
    """An alias for a model: the last part of its id, or where that is the whole of it with `-tuned` behind."""
    name = model.partition("@")[0]
    return name.rpartition("/")[2] if "/" in name else f"{name}-tuned"


def as_yaml(
    entry: ModelEntry, temperature: float | None, thresholds: Sequence[Threshold], remarks: Sequence[str]
) -> str:
    """The part of a configuration file with one alias, which keeps its names of labels and its precision.

    A temperature of None leaves the entry's own. `remarks` stand above it as comments.
    """
    said: dict[str, object] = {"model": entry.model}
    if entry.rename:
        said["rename"] = dict(entry.rename)
    if entry.precision is not None:
        said["precision"] = entry.precision
    if temperature is not None or entry.temperature != 1.0:
        said["temperature"] = entry.temperature if temperature is None else temperature
    if thresholds:
        said["thresholds"] = {one.label: one.value for one in thresholds}
    dumped: str = yaml.safe_dump({"models": {entry.alias: said}}, sort_keys=False, allow_unicode=True, width=1000)
    comments = "".join(f"# {' '.join(remark.split())}\n" for remark in remarks)
    return comments + dumped
