"""The engine for every other architecture: transformers' own classes on PyTorch (the extra `labeld[torch]`)."""

import copy
import inspect
import logging
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import torch
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.checkpoint.config import ModelConfig, read_json
from labeld.engines.base import EngineOptions
from labeld.engines.torch.model import build_model, refusals
from labeld.errors import FolderError
from labeld.literals import Precision
from labeld.types import EncodedText, Logits

_log = logging.getLogger(__name__)

WARM_UP_TOKENS = 16
"""Tokens of the text that is run while a model loads, if it takes as many."""

POSITIONS = re.compile(r"(^|\.)(position_embeddings|embed_positions|positions_embed|wpe)$")
"""Names of the modules in transformers that have a row for each position."""

STATEFUL = frozenset({"big_bird", "bigbird_pegasus"})
"""Architectures whose modules change in a forward: a short text disables BigBird's sparse attention for good.
Each of their batches gets new modules, as if transformers had just loaded them."""

RANDOM = frozenset({"reformer"})
"""Architectures that draw random numbers in a forward, so that two answers to one text may differ."""


class TorchEngine:
    """One model in transformers' classes: float32 on the CPU, bfloat16 on a GPU if there is one.

    Texts of equal length run together, so that nothing is ever padded (decision 3). There is
    one set of modules for each stream, since some keep tables that a forward changes; the sets share the weights.

    Raises FolderError naming the field or the tensor when the folder's files do not fit together.
    """

    max_concurrent_batches = 1
    pipelined = False
    prefers_large_batches = False

    def __init__(self, folder: Path, config: ModelConfig, options: EngineOptions) -> None:
        if config.model_type in RANDOM:
            raise FolderError(f"config.json: model_type {config.model_type!r} is refused: its answers are random.")
        torch.set_num_threads(max(1, options.threads // options.streams))
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self.precision: Precision = "bfloat16" if self._device == "cuda" else "float32"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        model = build_model(config, open_checkpoint(folder, options.copies), dtype).to(self._device)
        self.nbytes = sum(one.numel() * one.element_size() for one in model.parameters())
        self._models: LifoQueue[Any] = LifoQueue()
        for one in (model, *(_with_shared_weights(model) for _ in range(1, options.streams))):
            self._models.put(one)
        self._is_stateful = config.model_type in STATEFUL
        self._forward = inspect.signature(model.forward).parameters
        text_settings = model.config.get_text_config()
        self._pads = getattr(text_settings, "pad_token_id", None) is not None
        ends = getattr(text_settings, "eos_token_id", None)
        self._ends = np.array([] if ends is None else ends, np.int32).reshape(-1)
        self._labels = len(config.labels)
        self.max_tokens = max_tokens_of(model)
        with refusals(config, "run"):
            self._token_types = "token_type_ids" in self._forward and _makes_token_types(folder, config)
            self._warm_up(getattr(text_settings, "vocab_size", None) or sys.maxsize)

    def run(self, texts: Sequence[EncodedText]) -> Logits:
        """Logits, float32 [texts, labels]; NaN for a text that transformers fails on, so that no other text fails."""
        logits = np.full((len(texts), self._labels), np.nan, np.float32)
        model = self._models.get()
        try:
            for indices in self._groups(texts):
                try:
                    logits[indices] = self._logits(model, [texts[index] for index in indices])
                except Exception:  # noqa: BLE001  # some fail on very short texts; others in the batch are fine
                    _log.exception("transformers failed on texts of %d tokens", len(texts[indices[0]].ids))
        finally:
            self._models.put(model)
        return logits

    run_concurrently = run

    def close(self) -> None:
        """Drops the modules, and with them the weights."""
        del self._models

    def _groups(self, texts: Sequence[EncodedText]) -> list[list[int]]:
        """Indices of the texts that run together.

        They have the same length and the same number of end tokens, which the BART and T5 classifiers require of a
        batch. GPT-2 and its relatives take one text at a time when config.json has no pad_token_id.
        """
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, text in enumerate(texts):
            kind = (len(text.ids), int(np.isin(text.ids, self._ends).sum())) if self._pads else (index,)
            groups[kind].append(index)
        return list(groups.values())

    def _logits(self, model: Any, texts: Sequence[EncodedText]) -> Logits:
        """Logits of texts of equal length, from the inputs that transformers' text-classification pipeline passes."""
        model = _with_shared_weights(model) if self._is_stateful else model
        ids = torch.from_numpy(np.stack([text.ids for text in texts]).astype(np.int64)).to(self._device)
        inputs: dict[str, Any] = {"input_ids": ids}
        if "attention_mask" in self._forward:
            inputs["attention_mask"] = torch.ones_like(ids)
        if self._token_types:
            types = np.stack([text.type_ids for text in texts]).astype(np.int64)
            inputs["token_type_ids"] = torch.from_numpy(types).to(self._device)
        if "use_cache" in self._forward:
            inputs["use_cache"] = False
        with torch.inference_mode():
            logits: Logits = model(**inputs).logits.float().cpu().numpy()
        return logits

    def _warm_up(self, vocabulary: int) -> None:
        """Runs one text with an end token, so that a model that needs more than token ids is refused while it loads."""
        ids = np.zeros(min(WARM_UP_TOKENS, self.max_tokens), np.int32)
        ids[-1] = next((end for end in self._ends.tolist() if 0 <= end < vocabulary), 0)
        self._logits(self._models.queue[0], [EncodedText(ids, np.zeros_like(ids))])


def _with_shared_weights(model: Any) -> Any:
    """A copy of the model: its own modules and buffers, the parameters of the original."""
    return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def max_tokens_of(model: Any) -> int:
    """Tokens of the longest text: the usable positions, or `sys.maxsize` for a model without a limit."""
    declared = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [sys.maxsize, *([declared] if type(declared) is int and declared > 0 else [])]
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Embedding) and POSITIONS.search(name):
            first = 0 if module.padding_idx is None else module.padding_idx + 1  # as the RoBERTa family counts
            limits.append(module.num_embeddings - first)
    return min(limits)


def _makes_token_types(folder: Path, config: ModelConfig) -> bool:
    """True when transformers' tokenizer of this folder gives token types, which GPT-2 would read as tokens.

    The rule is `model_input_names` of the class that AutoTokenizer takes.
    """
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.exists() else {}
    names = settings.get("model_input_names")
    if not isinstance(names, list):
        usual = TOKENIZER_MAPPING_NAMES.get(config.model_type)
        name = settings.get("tokenizer_class") or config.raw.get("tokenizer_class") or usual
        names = list(getattr(tokenizer_class_from_name(str(name)), "model_input_names", ()))
    return "token_type_ids" in names
