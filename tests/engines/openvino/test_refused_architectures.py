"""Only what is computed exactly is computed: activations are transformers' own, other configs are refused."""

import re
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import PartialShape, Type
from openvino import opset13 as op
from transformers.activations import ACT2FN

from labeld.checkpoint.config import read_config
from labeld.engines.base import EngineOptions
from labeld.engines.openvino import layers
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.errors import FolderError
from tests.support.graph_models import FULL, SLIDING, VARIANTS, edit_config, save


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_an_activation_is_the_one_that_transformers_has_by_this_name(name: str) -> None:
    """To the last bits of float32, where it bends and far out."""
    x = np.concatenate([np.linspace(-30, 30, 60_001), np.linspace(-1, 1, 20_001)]).astype(np.float32)[None, None]
    parameter = op.parameter(PartialShape([1, 1, -1]), Type.f32)
    model = ov.Model([op.result(layers.activation(name)(parameter))], [parameter], "activation")
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = ACT2FN[name](torch.from_numpy(x)).numpy()

    np.testing.assert_allclose(compiled([x])[0], expected, rtol=3e-7, atol=1.2e-6)


ROPE = {"rope_type": "default", "rope_theta": 10_000.0}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("bert", {"is_decoder": True}, "with is_decoder needs the torch engine"),
        ("roberta", {"is_decoder": True}, "with is_decoder needs the torch engine"),
        ("roberta", {"add_cross_attention": True}, "roberta with add_cross_attention needs the torch engine"),
        ("xlm-roberta", {"position_embedding_type": "relative_key"}, "only position_embedding_type absolute"),
        ("roberta", {"pad_token_id": None}, "pad_token_id is None, but must be a whole number from 0 to 512"),
        ("camembert", {"pad_token_id": -1}, "pad_token_id is -1, but must be a whole number from 0 to 512"),
        ("roberta", {"pad_token_id": 513}, "pad_token_id is 513, but must be a whole number from 0 to 512"),
        ("roberta", {"hidden_act": "gelu_10"}, "the activation 'gelu_10' needs the torch engine"),
        ("roberta", {"num_attention_heads": 5}, "5 attention heads do not divide a width of 64"),
        ("electra", {"embedding_size": 64}, "has shape [300, 32], but [300, 64] is needed"),
        ("electra", {"embedding_size": None}, "embedding_size is None, but must be"),
        ("electra", {"is_decoder": "no"}, "is_decoder is 'no', but must be true or false"),
        ("modernbert", {"rope_scaling": {"rope_type": "yarn"}}, "modernbert with rope_scaling needs the torch engine"),
        ("modernbert", {"rope_parameters": ROPE}, f"rope_parameters must be an object with the keys {FULL} and"),
        (
            "modernbert",
            {"rope_parameters": {FULL: ROPE | {"rope_type": "linear"}}},
            f"modernbert with a rope_type in rope_parameters.{FULL} that is not default needs the torch engine",
        ),
        (
            "modernbert",
            {"rope_parameters": {SLIDING: ROPE | {"partial_rotary_factor": 0.5}}},
            f"rope_parameters.{SLIDING} may have rope_type default and a rope_theta, and nothing else",
        ),
        (
            "modernbert",
            {"rope_parameters": {FULL: ROPE}, "local_rope_theta": None},
            f"rope_theta of {SLIDING} (local_rope_theta) is None",
        ),
        ("modernbert", {"layer_types": [[FULL]] * 4}, "layer_types must be a list of 4 names"),
        ("modernbert", {"layer_types": [FULL] * 3}, "layer_types must be a list of 4 names"),
        ("modernbert", {"layer_types": [FULL] * 3 + ["chunked_attention"]}, "layer_types must be a list of 4 names"),
        (
            "modernbert",
            {"layer_types": None, "global_attn_every_n_layers": 0},
            "global_attn_every_n_layers is 0, but must be a positive whole number",
        ),
        ("modernbert", {"sliding_window": "8"}, "sliding_window is '8', but must be a positive whole number"),
        ("modernbert", {"local_attention": -1}, "local_attention is -1, but must be a positive whole number"),
        ("modernbert", {"classifier_pooling": "max"}, "classifier_pooling is 'max', but must be cls or mean"),
        ("modernbert", {"head_dim": 8}, "head_dim is 8, but must be even"),
        ("modernbert", {"num_attention_heads": 64}, "head_dim is 1, but must be even"),
        ("modernbert", {"norm_bias": "yes"}, "norm_bias is 'yes', but must be true or false"),
        ("modernbert", {"mlp_bias": True}, "has no tensor model.layers.0.mlp.Wi.bias"),
        ("bart", {"eos_token_id": [2]}, "eos_token_id is [2], but must be a whole number"),
        ("bart", {"eos_token_id": None}, "eos_token_id is None, but must be a whole number"),
        ("bart", {"eos_token_id": 300}, "eos_token_id is 300, but must be a token id from 0 to 299"),
        ("bart", {"decoder_start_token_id": -1}, "decoder_start_token_id is -1, but must be a token id from 0 to 299"),
        ("bart", {"decoder_start_token_id": None}, "decoder_start_token_id is None, but must be a whole number"),
        ("bart", {"encoder_attention_heads": 5}, "5 attention heads do not divide a width of 64"),
        ("bart", {"decoder_attention_heads": 6}, "6 attention heads do not divide a width of 64"),
        ("bart", {"decoder_layers": 0}, "decoder_layers is 0, but must be a positive whole number"),
        ("bart", {"decoder_layers": 3}, "has no tensor model.decoder.layers.2.self_attn.q_proj.weight"),
        ("bart", {"encoder_ffn_dim": 80}, "layers.0.fc1.weight has shape [96, 64], but [80, 64] is needed"),
        ("bart", {"max_position_embeddings": 512}, "has shape [1026, 64], but [514, 64] is needed"),
        ("bart", {"scale_embedding": "yes"}, "scale_embedding is 'yes', but must be true or false"),
        ("bart", {"activation_function": "xielu"}, "the activation 'xielu' needs the torch engine"),
        ("bart", {"is_causal": False}, "bart with is_causal needs the torch engine"),
        ("bart", {"is_causal": True}, "bart with is_causal needs the torch engine"),
        ("electra", {"is_causal": True}, "electra with is_causal needs the torch engine"),
        ("modernbert", {"is_causal": True}, "modernbert with is_causal needs the torch engine"),
        ("bart", {"tie_word_embeddings": False}, "has no tensor model.encoder.embed_tokens.weight"),
        ("bart", {"id2label": {"0": "no", "1": "yes"}}, "out_proj.weight has shape [3, 64], but [2, 64] is needed"),
        ("bart", {"model_type": "mbart"}, "model_type 'mbart' needs the torch engine"),
        ("bart", {"model_type": "plbart"}, "model_type 'plbart' needs the torch engine"),
        ("modernbert", {"classifier_activation": "xielu"}, "the activation 'xielu' needs the torch engine"),
    ],
)
def test_a_config_that_asks_for_something_else_is_refused(
    folders: dict[str, Path], name: str, changes: dict[str, object], expected: str
) -> None:
    """One sentence names the key, and nothing is guessed."""
    folder = folders[name]
    before = (folder / "config.json").read_text()
    edit_config(folder, changes)
    try:
        with pytest.raises(FolderError, match=re.escape(expected)):
            OpenVinoEngine(folder, read_config(folder), EngineOptions())
    finally:
        (folder / "config.json").write_text(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each of these types."""
    root = tmp_path_factory.mktemp("refused")
    names = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "modernbert", "bart")
    for name in names:
        save(VARIANTS[name], root / name)
    return {name: root / name for name in names}
