"""config.json -> what labeld needs to know of a model: its architecture, its labels and what its logits mean."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeld.errors import FolderError
from labeld.types import FunctionName

LABEL_LIMIT = 100_000
"""Labels of a model, at most; more is a broken or hostile file."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The parts of config.json that every architecture has, and the whole of it for the graph builders."""

    model_type: str
    architecture: str
    """Class name of transformers, such as `BertForSequenceClassification`."""
    labels: tuple[str, ...]
    """In id order."""
    default_function: FunctionName
    """How logits become scores when the request does not say (contract section 5)."""
    raw: dict[str, Any]

    def integer(self, *names: str) -> int:
        """The first of these keys that is there, as a positive int; raises FolderError naming the key."""
        value = next((self.raw[name] for name in names if name in self.raw), None)
        if type(value) is not int or not 0 < value <= 10_000_000:
            raise FolderError(f"config.json: {names[0]} is {value!r}, but must be a positive whole number.")
        return value

    def whole(self, name: str, default: int) -> int:
        """An int of either sign, `default` if the key is absent; raises FolderError naming the key."""
        value = self.raw.get(name, default)
        if type(value) is not int or not -10_000_000 <= value <= 10_000_000:
            raise FolderError(f"config.json: {name} is {value!r}, but must be a whole number.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean, `default` if the key is absent; raises FolderError naming the key."""
        value = self.raw.get(name, default)
        if type(value) is not bool:
            raise FolderError(f"config.json: {name} is {value!r}, but must be true or false.")
        return value

    def number(self, name: str, default: float) -> float:
        """A positive float, `default` if the key is absent; raises FolderError naming the key."""
        value = self.raw.get(name, default)
        if type(value) not in (int, float) or not 0 < value < 1:
            raise FolderError(f"config.json: {name} is {value!r}, but must be a number between 0 and 1.")
        return float(value)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises FolderError naming the file when there is none."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FolderError(f"{path.name} is missing.") from None
    except OSError:
        raise FolderError(f"{path.name} cannot be read.") from None
    except (ValueError, RecursionError):
        raise FolderError(f"{path.name} is not valid JSON.") from None
    if not isinstance(value, dict):
        raise FolderError(f"{path.name} is not a JSON object.")
    return value


def read_config(folder: Path) -> ModelConfig:
    """The config of a model folder.

    Raises FolderError naming the key when something is missing, of the wrong type, or not a sequence classifier.
    """
    raw = read_json(folder / "config.json")
    model_type = raw.get("model_type")
    if not isinstance(model_type, str):
        raise FolderError("config.json has no model_type.")
    architectures = raw.get("architectures") or []
    architecture = architectures[0] if isinstance(architectures, list) and architectures else ""
    if not isinstance(architecture, str) or not architecture.endswith("ForSequenceClassification"):
        raise FolderError(
            f"config.json: architectures is {architectures!r}, but labeld serves text classifiers, whose architecture "
            "ends in ForSequenceClassification."
        )
    labels = _labels(raw)
    return ModelConfig(model_type, architecture, labels, _default_function(raw, len(labels)), raw)


def _labels(raw: dict[str, Any]) -> tuple[str, ...]:
    """Labels in id order; without id2label `LABEL_0`, `LABEL_1`, … for num_labels, default 2 (contract section 5)."""
    id2label = raw.get("id2label")
    if id2label is None:
        count = raw.get("num_labels", 2)
        if type(count) is not int or not 0 < count <= LABEL_LIMIT:
            raise FolderError(f"config.json: num_labels is {count!r}, but must be between 1 and {LABEL_LIMIT}.")
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(id2label, dict) or not 0 < len(id2label) <= LABEL_LIMIT:
        raise FolderError(f"config.json: id2label must be an object of 1 to {LABEL_LIMIT} labels.")
    try:
        by_id = {int(key): label for key, label in id2label.items()}
    except ValueError:
        raise FolderError("config.json: a key of id2label is not a whole number.") from None
    if sorted(by_id) != list(range(len(id2label))):
        raise FolderError(f"config.json: the keys of id2label are not 0 to {len(id2label) - 1}.")
    return tuple(str(by_id[index]) for index in range(len(by_id)))


def _default_function(raw: dict[str, Any], labels: int) -> FunctionName:
    """Contract section 5: regression beats one label, one label beats softmax."""
    problem_type = raw.get("problem_type")
    if problem_type not in (None, "regression", "multi_label_classification", "single_label_classification"):
        raise FolderError(
            f"config.json: problem_type is {problem_type!r}, but must be regression, single_label_classification or "
            "multi_label_classification."
        )
    if problem_type == "single_label_classification" and labels == 1:
        raise FolderError("config.json: problem_type single_label_classification needs more than one label.")
    if problem_type == "regression":
        return "none"
    return "sigmoid" if problem_type == "multi_label_classification" or labels == 1 else "softmax"
