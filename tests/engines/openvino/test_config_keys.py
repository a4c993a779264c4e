"""A key of config.json that is left out, or there by its other name, means what transformers takes it for."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError

from labeld.checkpoint.config import read_config
from labeld.checkpoint.config_defaults import DEFAULTS, OTHER_NAMES
from labeld.engines.base import EngineOptions
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.errors import FolderError
from labeld.types import EncodedText
from tests.support.graph_models import FULL, ROPE, SLIDING, reference, save, some_texts

LENGTHS = [3, 90, 200]
SIZES = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
BERT = SIZES | {"vocab_size": 300, "num_labels": 3, "hidden_act": "relu", "layer_norm_eps": 1e-2}
DISTILBERT = {"dim": 48, "n_layers": 1, "n_heads": 4, "hidden_dim": 32, "activation": "relu"}
MODERNBERT = SIZES | {
    "vocab_size": 300,
    "num_labels": 3,
    "num_hidden_layers": 2,
    "norm_eps": 1e-2,
    "local_attention": 16,
    "hidden_activation": "relu",
    "classifier_activation": "relu",
    "classifier_pooling": "mean",
    "norm_bias": True,
    "attention_bias": True,
    "mlp_bias": True,
    "classifier_bias": True,
    "layer_types": [SLIDING, FULL],
    "rope_parameters": ROPE,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
}
DEBERTA = BERT | {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_buckets": 8,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "conv_kernel_size": 3,
    "conv_groups": 2,
    "conv_act": "relu",
    "position_biased_input": False,
    "type_vocab_size": 2,
    "pooler_hidden_act": "relu",
    "max_relative_positions": 40,
}
BART = {
    "vocab_size": 300,
    "num_labels": 3,
    "d_model": 48,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "activation_function": "relu",
    "scale_embedding": True,
    "eos_token_id": 5,
    "decoder_start_token_id": 7,
}
CONFIGS: dict[str, transformers.PreTrainedConfig] = {
    "bert": transformers.BertConfig(**BERT),
    "distilbert": transformers.DistilBertConfig(**DISTILBERT, vocab_size=300, num_labels=3),
    "roberta": transformers.RobertaConfig(**BERT, max_position_embeddings=520),
    "xlm-roberta": transformers.XLMRobertaConfig(**BERT, max_position_embeddings=520, pad_token_id=3),
    "camembert": transformers.CamembertConfig(**BERT, max_position_embeddings=520, pad_token_id=0),
    "electra": transformers.ElectraConfig(**BERT | {"hidden_size": 24, "num_attention_heads": 2}),
    "deberta-v2": transformers.DebertaV2Config(**DEBERTA),
    "modernbert": transformers.ModernBertConfig(**MODERNBERT),
    "bart": transformers.BartConfig(**BART),
}
"""One of each type, with other values than the defaults wherever the tensors have the same shapes for both."""


def outcome(folder: Path, texts: list[EncodedText]) -> np.ndarray | None:
    """Logits that transformers computes; None where it refuses the folder, or makes weights up that are not there."""
    try:
        model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True
        )
    except (RuntimeError, ValueError, AssertionError, StrictDataclassError):
        return None
    return None if report["missing_keys"] else reference(model.eval(), texts)


def ours(folder: Path, texts: list[EncodedText]) -> np.ndarray | None:
    """The logits of labeld's engine."""
    try:
        engine = OpenVinoEngine(folder, read_config(folder), EngineOptions())
    except FolderError:
        return None
    return engine.run(texts)


def require_alike(folder: Path, texts: list[EncodedText], what: str) -> bool:
    """Whether both compute it, which they then do alike."""
    expected, found = outcome(folder, texts), ours(folder, texts)
    assert (expected is None) == (found is None), what
    if expected is not None and found is not None:
        np.testing.assert_allclose(found, expected, atol=2e-4, err_msg=what)
    return expected is not None


@pytest.mark.parametrize("model_type", CONFIGS)
def test_a_key_that_is_left_out_has_the_default_of_the_class(model_type: str, tmp_path: Path) -> None:
    """Each in turn: transformers' logits, or a refusal where it has none of its own."""
    save(CONFIGS[model_type], tmp_path)
    texts = some_texts(CONFIGS[model_type], LENGTHS)
    path = tmp_path / "config.json"
    stated = json.loads(path.read_text())
    computed = set()
    for key in DEFAULTS[model_type].keys() & stated.keys():
        path.write_text(json.dumps({other: value for other, value in stated.items() if other != key}))
        if require_alike(tmp_path, texts, key):
            computed.add(key)

    assert {key for key in DEFAULTS[model_type] if "act" in key or "eps" in key or "heads" in key} <= computed


@pytest.mark.parametrize("model_type", OTHER_NAMES)
def test_a_key_by_its_other_name_is_the_key(model_type: str, tmp_path: Path) -> None:
    """Each in turn, and beside another value by its own name."""
    save(CONFIGS[model_type], tmp_path)
    texts = some_texts(CONFIGS[model_type], LENGTHS)
    path = tmp_path / "config.json"
    stated = json.loads(path.read_text())
    for other, key in OTHER_NAMES[model_type].items():
        renamed = {name: value for name, value in stated.items() if name != key} | {other: stated[key]}
        for config in (renamed, renamed | {key: 2 * stated[key]}):
            path.write_text(json.dumps(config))
            assert require_alike(tmp_path, texts, other)


def test_modernbert_takes_a_sliding_window_before_local_attention(tmp_path: Path) -> None:
    """Its config class sets the one by the other."""
    save(CONFIGS["modernbert"], tmp_path)
    texts = some_texts(CONFIGS["modernbert"], LENGTHS)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sliding_window": 3}))

    assert require_alike(tmp_path, texts, "sliding_window")
