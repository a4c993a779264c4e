"""The tables of defaults and of other names are those of transformers' config classes, key by key."""

import dataclasses

import pytest
from transformers import CONFIG_MAPPING, PreTrainedConfig

from labeld.checkpoint.config_defaults import DEFAULTS, OTHER_NAMES, completed
from labeld.engines.openvino.architectures import BUILDERS

NO_MATTER = {
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "qa_dropout"),
    *("seq_classif_dropout", "classifier_dropout", "pooler_dropout", "embedding_dropout", "mlp_dropout"),
    *("initializer_range", "initializer_cutoff_factor", "use_cache", "tie_word_embeddings", "legacy"),
    *("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"),
    *("summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"),
    *("sinusoidal_pos_embds", "decoder_bias", "deterministic_flash_attn", "sparse_prediction"),
    *("activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std", "forced_eos_token_id"),
    *("sparse_pred_ignore_index", "is_decoder"),
}
"""Keys that change nothing in what a classifier computes from its weights, but for types whose table has them."""

PADDING = "pad_token_id"
"""Only RoBERTa's positions depend on it."""


@pytest.mark.parametrize("model_type", BUILDERS)
def test_every_key_of_the_class_has_its_default_in_the_table(model_type: str) -> None:
    """A key that a new transformers adds turns this red until somebody says what it does."""
    kind = CONFIG_MAPPING[model_type]
    own = {field.name: field.default for field in dataclasses.fields(kind)}
    for common in dataclasses.fields(PreTrainedConfig):
        own.pop(common.name, None)
    table = DEFAULTS[model_type]
    own_keys = set(own) - ((NO_MATTER | {PADDING}) - set(table))

    assert own_keys <= set(table)
    assert {key: table[key] for key in own_keys} == {key: own[key] for key in own_keys}
    read_otherwise = kind()
    for key in set(table) - own_keys:  # with getattr, whose defaults tests/engines/openvino/test_config_keys.py has
        assert not hasattr(read_otherwise, key)


@pytest.mark.parametrize("model_type", BUILDERS)
def test_every_other_name_is_in_the_table(model_type: str) -> None:
    """And counts where a key is there by both names."""
    kind = CONFIG_MAPPING[model_type]
    names = kind.attribute_map

    assert names == OTHER_NAMES.get(model_type, {})
    for number, (other, own) in enumerate(names.items(), 24):
        stated = {own: 12, other: number}
        assert getattr(kind(**stated), own) == completed(model_type, stated)[own] == number
        assert other not in completed(model_type, stated)
