"""config.json -> a model's architecture, its labels, and the meaning of its logits."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeld.checkpoint.config_defaults import LABEL_COUNTS, completed
from labeld.checkpoint.plain_file import TEXT_LIMIT, read_plain
from labeld.errors import FolderError
from labeld.literals import FunctionName

PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
"""The values of problem_type that transformers knows."""

READS_AT_END = frozenset({"bart", "bigbird_pegasus", "mbart", "mt5", "mvp", "plbart", "t5", "umt5"})
"""model_type of the classifiers that read their answer at the last end token, and fail on a text without one."""

VOCABULARY = ("vocab_size", "n_words", "n_token")
"""The key for the number of word embeddings, and its other names in XLM and XLNet."""

LABEL_LIMIT = 100_000
"""Labels of a model, at most; more is a broken or hostile file."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The parts of config.json that every architecture has, and the whole of it for the engines."""

    model_type: str
    architecture: str
    """Class name of transformers, such as `BertForSequenceClassification`."""
    labels: tuple[str, ...]
    """Labels in the order of their ids."""
    default_function: FunctionName
    """The function from logits to scores when the request names none (contract section 5)."""
    raw: dict[str, Any]
    """The whole of it, by the names and with the defaults of transformers' config class, where labeld knows that."""
    temperature: float = 1.0
    """What the logits are divided by before softmax or sigmoid: 1, or what an alias has."""
    remarks: tuple[str, ...] = ()
    """Sentences on what was read otherwise than whoever wrote the file may have meant: as transformers reads it."""

    @property
    def vocabulary(self) -> int | None:
        """Rows of the word embeddings: token ids are below it. Raises FolderError as `integer`.

        None where config.json has none and the architecture is one of those whose defaults only transformers knows.
        """
        return self.integer(*VOCABULARY) if any(name in self.raw for name in VOCABULARY) else None

    @property
    def token_types(self) -> int | None:
        """Number of token types; None where the model has none. Raises FolderError as `integer`."""
        count = self.raw.get("type_vocab_size")
        return count if type(count) is int and count > 0 else None

    @property
    def positions(self) -> int | None:
        """Rows of the table of positions, of which a model may use fewer; None where it has none, as DeBERTa-v3."""
        count = self.raw.get("max_position_embeddings")
        if self.raw.get("position_biased_input") is False:
            return None
        return count if type(count) is int and count > 0 else None

    @property
    def end_token(self) -> int | None:
        """Id of the token that every text must have, since the model reads its answer there; None where it does not."""
        end = self.raw.get("eos_token_id") if self.model_type in READS_AT_END else None
        return end if type(end) is int else None

    def integer(self, *names: str) -> int:
        """The first of these keys that is there, as a positive int; raises FolderError naming the key."""
        value = next((self.raw[name] for name in names if name in self.raw), None)
        if type(value) is not int or not 0 < value <= 10_000_000:
            raise FolderError(f"config.json: {names[0]} is {value!r}, but must be a positive whole number.")
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """An int of either sign, `default` if the key is absent; raises FolderError naming the key."""
        value = self.raw.get(name, default)
        if type(value) is not int or not -10_000_000 <= value <= 10_000_000:
            raise FolderError(f"config.json: {name} is {value!r}, but must be a whole number.")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; raises FolderError naming the key."""
        value = self.raw.get(name)
        if type(value) is not bool:
            raise FolderError(f"config.json: {name} is {value!r}, but must be true or false.")
        return value

    def number(self, name: str) -> float:
        """A positive float; raises FolderError naming the key."""
        value: Any = self.raw.get(name)
        if type(value) not in (int, float) or not 0 < value < 1:
            raise FolderError(f"config.json: {name} is {value!r}, but must be a number between 0 and 1.")
        return float(value)


def read_json(path: Path, limit: int = TEXT_LIMIT) -> dict[str, Any]:
    """A JSON object from a file of at most `limit` bytes; raises FolderError naming the file when there is none."""
    try:
        value = json.loads(read_plain(path, limit))
    except (ValueError, RecursionError):
        raise FolderError(f"{path.name} is not valid JSON.") from None
    if not isinstance(value, dict):
        raise FolderError(f"{path.name} is not a JSON object.")
    return value


def read_config(folder: Path) -> ModelConfig:
    """The config of a model folder.

    Raises FolderError naming the key when something is missing, of the wrong type, or not a sequence classifier.
    """
    stated = read_json(folder / "config.json")
    model_type = stated.get("model_type")
    if not isinstance(model_type, str):
        raise FolderError("config.json has no model_type.")
    architectures = stated.get("architectures") or []
    architecture = architectures[0] if isinstance(architectures, list) and architectures else ""
    if not isinstance(architecture, str) or not architecture.endswith("ForSequenceClassification"):
        raise FolderError(
            f"config.json: architectures is {architectures!r}, but labeld serves text classifiers, whose architecture "
            "ends in ForSequenceClassification."
        )
    labels = _labels(stated, LABEL_COUNTS.get(model_type, 2))
    function = _default_function(stated, len(labels))
    return ModelConfig(
        model_type, architecture, labels, function, completed(model_type, stated), remarks=tuple(_remarks(stated))
    )


def _labels(stated: dict[str, Any], usual: int) -> tuple[str, ...]:
    """Labels in id order (contract section 5).

    They are `LABEL_0`, `LABEL_1`, … where there is no id2label, or where it has not as many as num_labels says: then
    transformers drops it. There are `usual` many where there is neither.
    """
    id2label = stated.get("id2label")
    named = None if id2label is None else _by_id(id2label)
    count = stated.get("num_labels", usual if named is None else len(named))
    if named is not None and count == len(named) > 0:
        if sorted(named) != list(range(len(named))):
            raise FolderError(f"config.json: the keys of id2label are not 0 to {len(named) - 1}.")
        return tuple(_label(named[index]) for index in range(len(named)))
    if type(count) is not int or not 0 < count <= LABEL_LIMIT:
        key = "num_labels" if "num_labels" in stated else "the number of labels in id2label"
        raise FolderError(f"config.json: {key} is {count!r}, but must be between 1 and {LABEL_LIMIT}.")
    return tuple(f"LABEL_{index}" for index in range(count))


def _by_id(id2label: Any) -> dict[int, Any]:
    if not isinstance(id2label, dict) or len(id2label) > LABEL_LIMIT:
        raise FolderError(f"config.json: id2label must be an object of at most {LABEL_LIMIT} labels.")
    try:
        return {int(key): label for key, label in id2label.items()}
    except ValueError:
        raise FolderError("config.json: a key of id2label is not a whole number.") from None


def _label(value: Any) -> str:
    """A label as clients get it: numbers, true and null, which transformers passes on, as the file writes them."""
    if isinstance(value, dict | list):
        raise FolderError("config.json: a label of id2label is an object or a list, but must be a string.")
    return value if isinstance(value, str) else json.dumps(value)


def _default_function(stated: dict[str, Any], labels: int) -> FunctionName:
    """The rule of contract section 5: regression, then one label, then softmax; other problem types are ignored."""
    problem_type = stated.get("problem_type")
    if problem_type == "single_label_classification" and labels == 1:
        raise FolderError("config.json: problem_type single_label_classification needs more than one label.")
    if problem_type == "regression":
        return "none"
    return "sigmoid" if problem_type == "multi_label_classification" or labels == 1 else "softmax"


def _remarks(stated: dict[str, Any]) -> Iterator[str]:
    named, count, problem_type = stated.get("id2label"), stated.get("num_labels"), stated.get("problem_type")
    if named and count is not None and len(_by_id(named)) != count:
        yield (
            f"num_labels {count} does not fit the {len(named)} labels of id2label, so the labels are LABEL_0, LABEL_1 "
            "and so on, as in transformers: remove num_labels."
        )
    if problem_type is not None and problem_type not in PROBLEM_TYPES:
        yield (
            f"problem_type {problem_type!r} is none of {', '.join(PROBLEM_TYPES)}, so the number of labels decides how "
            "logits become scores, as in transformers."
        )
    if stated.get("quantization_config"):
        yield "quantization_config is not used: the weights count as the numbers that they are."
