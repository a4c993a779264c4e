"""Small models of every architecture and variant with seeded weights, and what transformers computes with them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers

from labeld.checkpoint.config import read_config
from labeld.engines import open_engine
from labeld.engines.base import Engine, EngineOptions
from labeld.types import EncodedText, Logits

LENGTHS = [1, 2, 8, 64, 512]
VOCABULARY = 300

SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": VOCABULARY,
    "num_labels": 3,
}
ROBERTA = SIZES | {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
MODERNBERT = SIZES | {
    "num_hidden_layers": 4,
    "max_position_embeddings": 2048,
    "local_attention": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
}
SLIDING, FULL = "sliding_attention", "full_attention"
BIASES = {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True}
ROPE = {FULL: {"rope_type": "default", "rope_theta": 500.0}, SLIDING: {"rope_type": "default", "rope_theta": 70.0}}

BART = {
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "vocab_size": VOCABULARY,
    "num_labels": 3,
}

BERT_CONFIG, DISTILBERT_CONFIG = transformers.BertConfig, transformers.DistilBertConfig
VARIANTS: dict[str, transformers.PreTrainedConfig] = {
    "bert": BERT_CONFIG(**SIZES),
    "bert-one-type": BERT_CONFIG(**SIZES, type_vocab_size=1, hidden_act="gelu_accurate"),
    "distilbert": DISTILBERT_CONFIG(dim=64, n_layers=2, n_heads=4, hidden_dim=96, vocab_size=VOCABULARY, num_labels=3),
    "roberta": transformers.RobertaConfig(**ROBERTA),
    "roberta-pad-0-types": transformers.RobertaConfig(
        **ROBERTA | {"max_position_embeddings": 513, "type_vocab_size": 2}, pad_token_id=0, hidden_act="gelu_new"
    ),
    "roberta-pad-7": transformers.RobertaConfig(
        **ROBERTA | {"max_position_embeddings": 520, "num_labels": 1}, pad_token_id=7, hidden_act="quick_gelu"
    ),
    "xlm-roberta": transformers.XLMRobertaConfig(**ROBERTA, hidden_act="gelu_fast"),
    "camembert": transformers.CamembertConfig(**ROBERTA, problem_type="multi_label_classification", hidden_act="relu"),
    "electra": transformers.ElectraConfig(**SIZES, embedding_size=32),
    "electra-no-projection": transformers.ElectraConfig(
        **SIZES, embedding_size=64, hidden_act="mish", type_vocab_size=3, layer_norm_eps=1e-6, summary_activation="tanh"
    ),
    "modernbert": transformers.ModernBertConfig(**MODERNBERT),
    "modernbert-mean-biases": transformers.ModernBertConfig(**MODERNBERT, **BIASES, classifier_pooling="mean"),
    "modernbert-sliding-mean": transformers.ModernBertConfig(
        **MODERNBERT | {"local_attention": 9},
        layer_types=[SLIDING, FULL, SLIDING, SLIDING],
        rope_parameters=ROPE,
        classifier_pooling="mean",
        classifier_activation="silu",
    ),
    "modernbert-full-cls": transformers.ModernBertConfig(
        **MODERNBERT, layer_types=[FULL] * 4, rope_parameters=ROPE, hidden_activation="gelu_new", norm_eps=1e-3
    ),
    "modernbert-old-keys": transformers.ModernBertConfig(**MODERNBERT),
    "bart": transformers.BartConfig(**BART),
    "bart-scaled-uneven": transformers.BartConfig(
        **BART | {"encoder_layers": 3, "decoder_layers": 1, "decoder_attention_heads": 8, "decoder_ffn_dim": 80},
        max_position_embeddings=600,
        scale_embedding=True,
        activation_function="relu",
    ),
    "bart-other-tokens": transformers.BartConfig(
        **BART | {"encoder_layers": 1, "decoder_layers": 3, "encoder_ffn_dim": 48, "num_labels": 1},
        eos_token_id=5,
        decoder_start_token_id=7,
        pad_token_id=0,
        activation_function="gelu_new",
        is_decoder=True,
    ),
}
OLD_KEYS = {"global_attn_every_n_layers": 2, "global_rope_theta": 900.0, "local_rope_theta": 40.0}
"""ModernBERT's keys before transformers 5, in place of `layer_types` and `rope_parameters`."""


class Case(NamedTuple):
    """A model, texts of all lengths, and what transformers says of them."""

    folder: Path
    texts: list[EncodedText]
    logits: Logits

    def open(self) -> Engine:
        """The engine on the model."""
        return open_engine(self.folder, read_config(self.folder), EngineOptions(2))

    def difference(self, logits: Logits) -> tuple[float, float]:
        """The largest of a probability and of a logit."""
        return float(np.abs(self.scores(logits) - self.scores(self.logits)).max()), float(
            np.abs(logits - self.logits).max()
        )

    def scores(self, logits: Logits) -> Logits:
        """Probabilities, by the model's own function."""
        softmax = read_config(self.folder).default_function == "softmax"
        rows = torch.from_numpy(np.ascontiguousarray(logits))
        return (rows.softmax(-1) if softmax else rows.sigmoid()).numpy()


def save(config: transformers.PreTrainedConfig, folder: Path) -> None:
    """A model with seeded weights in which a wrong detail cannot hide, and whose answers spread between texts."""
    torch.manual_seed(7)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
        head = model.classification_head if config.model_type == "bart" else model.classifier
        last = getattr(head, "out_proj", head)
        logits = torch.from_numpy(reference(model, some_texts(config)))
        scale = 2.5 / logits.std(0)
        last.weight.mul_(scale[:, None])
        last.bias.copy_(scale * (last.bias - logits.mean(0)))
    model.save_pretrained(folder)


def edit_config(folder: Path, changes: dict[str, object], *, without: Sequence[str] = ()) -> None:
    """Sets keys of config.json, and takes some out."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if key not in without}))


def token_types(config: transformers.PreTrainedConfig) -> int:
    """How many the model can tell apart."""
    return getattr(config, "type_vocab_size", 1)


def some_texts(config: transformers.PreTrainedConfig, lengths: Sequence[int] = LENGTHS) -> list[EncodedText]:
    """Seeded texts of each length; with token types, also as a pair that they tell apart.

    Those for BART end with its end token, and have its default in the middle, as a pair has.
    """
    rng = np.random.default_rng(3)
    types = token_types(config) - 1
    texts = []
    for length in lengths:
        for second in sorted({0, types}):
            ids = rng.integers(10, VOCABULARY, length).astype(np.int32)
            if config.model_type == "bart":
                ids[[length // 2, -1]] = 2, config.eos_token_id
            texts.append(EncodedText(ids, (np.arange(length) >= length / 2).astype(np.int32) * second))
    return texts


def reference(model: transformers.PreTrainedModel, texts: Sequence[EncodedText]) -> Logits:
    """Logits of transformers, one text at a time."""
    rows = []
    for text in texts:
        inputs = {"input_ids": torch.tensor(text.ids[None].astype(np.int64))}
        if token_types(model.config) > 1:
            inputs["token_type_ids"] = torch.tensor(text.type_ids[None].astype(np.int64))
        with torch.no_grad():
            rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def saved_reference(folder: Path, texts: Sequence[EncodedText]) -> Logits:
    """Logits of transformers for a saved model, one text at a time."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return reference(model.eval(), texts)


def make(name: str, folder: Path) -> Case:
    """A variant's model in this folder, and its answers."""
    config = VARIANTS[name]
    save(config, folder)
    if name == "modernbert-old-keys":
        edit_config(folder, OLD_KEYS, without=("layer_types", "rope_parameters"))
    texts = some_texts(config)
    return Case(folder, texts, saved_reference(folder, texts))
