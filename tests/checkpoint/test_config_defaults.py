"""The tables of defaults and of other names are those of transformers' config classes, key by key."""

import dataclasses
import inspect

import pytest
import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from labeld.checkpoint.config import READS_AT_END
from labeld.checkpoint.config_defaults import DEFAULTS, LABEL_COUNTS, OTHER_NAMES, completed
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


@pytest.mark.slow
def test_the_usual_number_of_labels_is_that_of_the_class() -> None:
    """Of every model_type with a text classifier, with a packed graph or without."""
    counts = {
        model_type: CONFIG_MAPPING[model_type]().num_labels
        for model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    }

    assert {model_type: count for model_type, count in counts.items() if count != 2} == LABEL_COUNTS


@pytest.mark.slow
def test_the_types_that_read_at_the_end_token_are_those_that_look_for_it() -> None:
    """Other classifiers read the first token, the last one, or all of them."""
    forwards = {
        model_type: inspect.getsource(getattr(transformers, name).forward)
        for model_type, name in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.items()
    }

    assert {model_type for model_type, source in forwards.items() if "eos_token_id" in source} == READS_AT_END
