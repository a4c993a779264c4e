"""transformers' own model, built from config.json and labeld's checkpoint.

transformers gets a config object and tensors, never the folder: so it finds no code, no adapter, no other weights and
no name of anything to download.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.errors import FolderError

_log = logging.getLogger(__name__)

LAYER_COUNT = re.compile(r"(^|_)layers?$")
"""Matches the fields of config.json that give a number of layers."""

LAYER_LIMIT = 1000
"""Layers of a model, at most; the deepest published models have about 130."""

COPIES = 4
"""Parameters of a model for each number in its files, at most: BART makes three tables of one before it ties them."""

TABLE_NUMBERS = 2**28
"""Numbers in the buffers that transformers computes, at most; the masks of the largest GPT-Neo have 134 million."""

UNUSED_KEYS = frozenset(
    {
        "attn_implementation",  # this and the next may name code on the Hub
        "experts_implementation",
        "fusion_config",
        "num_labels",  # given by id2label
        "output_attentions",  # this and the next two add to a forward's result or change its form
        "output_hidden_states",
        "quantization_config",  # the weights count as the numbers that they are
        "return_dict",
        "torchscript",
    }
)
"""Fields of config.json that are withheld from transformers, as is each that begins with an underscore."""

_build_lock = threading.Lock()
"""Held while a model is built: transformers then changes settings of the whole process, and the hooks are global."""


def build_model(config: ModelConfig, checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    """The model as AutoModelForSequenceClassification would load it, in evaluation mode, on the CPU.

    In float32 its parameters are views of the checkpoint's mapped files where those are float32.

    Raises FolderError naming the field or the tensor when config, weights and transformers do not fit together.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)  # its report of the tensors becomes FolderErrors below
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own
    config_class, model_class = _classes(config)
    with _build_lock, _bounded(checkpoint), refusals(config, "build"):
        settings = config_class.from_dict(_settings(config))
        model, report = model_class.from_pretrained(
            None,
            config=settings,
            state_dict={name: _tensor(array) for name, array in checkpoint.take_all()},
            dtype=dtype,
            ignore_mismatched_sizes=True,  # so that the report has the names
            output_loading_info=True,
        )
    for name, stored, needed in sorted(report["mismatched_keys"]):
        raise FolderError(
            f"{checkpoint.file_name}: tensor {name} has shape {list(stored)}, but {list(needed)} is needed."
        )
    for name in sorted(report["missing_keys"]):
        raise FolderError(f"{checkpoint.file_name} has no tensor {name}.")
    checkpoint.warn_of_extra(sorted(report["unexpected_keys"]))
    return model


@contextmanager
def refusals(config: ModelConfig, what: str) -> Iterator[None]:
    """Turns any exception of transformers into a FolderError: it cannot `what` this model. Logs the exception."""
    try:
        yield
    except FolderError:
        raise
    except Exception as error:  # noqa: BLE001  # each architecture raises its own for an invalid config
        _log.warning("transformers cannot %s %s: %s", what, config.architecture, error)
        raise FolderError(
            f"config.json: transformers {transformers.__version__} cannot {what} this model of model_type "
            f"{config.model_type!r}; the log has the reason."
        ) from None


def _classes(config: ModelConfig) -> tuple[Any, Any]:
    """Transformers' classes of the config and of the model, as AutoModelForSequenceClassification finds them."""
    if config.model_type not in transformers.CONFIG_MAPPING:
        raise FolderError(
            f"config.json: model_type {config.model_type!r} is unknown to transformers {transformers.__version__}."
        )
    config_class = transformers.CONFIG_MAPPING[config.model_type]
    model_class = transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(config_class, None)
    if model_class is None:
        raise FolderError(
            f"config.json: transformers {transformers.__version__} has no ForSequenceClassification for model_type "
            f"{config.model_type!r}."
        )
    return config_class, model_class


def _settings(config: ModelConfig) -> dict[str, Any]:
    """The fields of config.json that transformers gets."""
    labels = dict(enumerate(config.labels))
    return _without_unused(config.raw) | {"id2label": labels, "label2id": {label: key for key, label in labels.items()}}


def _without_unused(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without `UNUSED_KEYS`, at every depth; raises FolderError for too many layers."""
    kept = {}
    for key, value in settings.items():
        if LAYER_COUNT.search(key) and isinstance(value, int) and value > LAYER_LIMIT:
            raise FolderError(f"config.json: {key} is {value}, more than the limit of {LAYER_LIMIT}.")
        if key not in UNUSED_KEYS and not key.startswith("_"):
            kept[key] = _without_unused(value) if isinstance(value, dict) else value
    return kept


@contextmanager
def _bounded(checkpoint: Checkpoint) -> Iterator[None]:
    """Raises FolderError when transformers would build a model much larger than its weights, before it allocates them.

    transformers builds a model on torch's meta device first, where a tensor has a shape and no memory.
    """
    room = {"parameters": COPIES * checkpoint.numel, "tables": TABLE_NUMBERS}

    def count(kind: str, tensor: torch.Tensor | None) -> None:
        if tensor is not None and tensor.is_meta:
            room[kind] -= tensor.numel()
            if room[kind] < 0:
                raise FolderError(
                    f"config.json describes a model that is too large for {checkpoint.file_name}, which has "
                    f"{checkpoint.numel} numbers: they do not belong together."
                )

    hooks = [
        register_module_parameter_registration_hook(lambda _module, _name, tensor: count("parameters", tensor)),
        register_module_buffer_registration_hook(lambda _module, _name, tensor: count("tables", tensor)),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensor(array: Any) -> torch.Tensor:
    """A tensor on the array's own memory, or on a copy where that is not aligned as torch requires."""
    return torch.from_numpy(np.require(array, requirements=["ALIGNED", "WRITEABLE"]))
