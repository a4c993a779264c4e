"""Defaults and other names of config.json's keys, as transformers' config classes have them.

Only keys that change what a classifier computes are here; those for training and for other tasks are not. Some are not
of the class, but read with a default by what it configures. A test compares both tables with the classes.
"""

from typing import Any

_BERT: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "is_decoder": False,
    "add_cross_attention": False,
}
_ROBERTA = _BERT | {"pad_token_id": 1}

DEFAULTS: dict[str, dict[str, Any]] = {
    "bert": _BERT,
    "distilbert": {
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "n_layers": 6,
        "n_heads": 12,
        "dim": 768,
        "hidden_dim": 3072,
        "activation": "gelu",
    },
    "roberta": _ROBERTA | {"vocab_size": 50265},
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": _BERT | {"embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    "deberta-v2": {
        "vocab_size": 128100,
        "hidden_size": 1536,
        "num_hidden_layers": 24,
        "num_attention_heads": 24,
        "intermediate_size": 6144,
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "relative_attention": False,
        "max_relative_positions": -1,
        "position_biased_input": True,
        "pos_att_type": None,
        "pooler_hidden_act": "gelu",
        "position_buckets": -1,
        "share_att_key": False,
        "norm_rel_ebd": "none",
        "conv_kernel_size": 0,
        "conv_groups": 1,
        "conv_act": "tanh",
    },
    "bart": {
        "vocab_size": 50265,
        "max_position_embeddings": 1024,
        "d_model": 1024,
        "encoder_layers": 12,
        "encoder_ffn_dim": 4096,
        "encoder_attention_heads": 16,
        "decoder_layers": 12,
        "decoder_ffn_dim": 4096,
        "decoder_attention_heads": 16,
        "activation_function": "gelu",
        "scale_embedding": False,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "tie_word_embeddings": True,
    },
    "modernbert": {
        "vocab_size": 50368,
        "hidden_size": 768,
        "intermediate_size": 1152,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "hidden_activation": "gelu",
        "max_position_embeddings": 8192,
        "norm_eps": 1e-5,
        "norm_bias": False,
        "attention_bias": False,
        "layer_types": None,
        "rope_parameters": None,
        "local_attention": 128,
        "mlp_bias": False,
        "classifier_pooling": "cls",
        "classifier_bias": False,
        "classifier_activation": "gelu",
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
    },
}
"""model_type -> key -> its value where config.json has none."""

OTHER_NAMES: dict[str, dict[str, str]] = {
    "bart": {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    },
    "distilbert": {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"},
}
"""model_type -> another name of a key -> the key (`attribute_map`)."""

LABEL_COUNTS = {"bart": 3}
"""model_type -> number of labels where config.json has neither id2label nor num_labels; 2 for all others."""


def completed(model_type: str, stated: dict[str, Any]) -> dict[str, Any]:
    """The content of config.json as transformers' config class of this model_type takes it.

    Where a key is there by both names, the other name counts, as it does there.
    """
    names = OTHER_NAMES.get(model_type, {})
    own = {key: value for key, value in stated.items() if key not in names}
    renamed = {names[key]: value for key, value in stated.items() if key in names}
    return DEFAULTS.get(model_type, {}) | own | renamed
