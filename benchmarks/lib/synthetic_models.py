"""Synthetic models: the shapes, labels and file formats of the reference models, with seeded random weights.

BART is of the base size: what a large one tells of parity, it tells in a third of the time and memory.

They are for machines that do not have the real ones. synthetic_files.py writes their files, and model_folders.py keeps
them in the cache.
"""

from typing import Any, Literal, NamedTuple

EDITION = 4
"""Raise it when a change makes other weights."""


class SyntheticModel(NamedTuple):
    """A model to imitate."""

    name: str
    config: dict[str, Any]
    """Its config.json."""
    weights: Literal["safetensors", "zip", "legacy"]
    """Its weights' form: model.safetensors, or pytorch_model.bin in one of its two formats."""
    tokenizer: Literal["vocab.txt", "vocab.json", "bpe", "unigram", "spm.model"]
    """Its tokenizer's form; all but the first need data."""
    checkpoint: str = ""
    """Folder under `checkpoints/` of the data that has its tokenizer files."""

    @property
    def model_id(self) -> str:
        """Its id where `models_dir` is the folder of all synthetic models."""
        return f"synthetic/{self.name}-{EDITION}"

    @property
    def num_layers(self) -> int:
        """Its transformer layers, of encoder and decoder together."""
        named = ("n_layers", "num_hidden_layers", "encoder_layers", "decoder_layers")
        return sum(self.config.get(name, 0) for name in named)


_BERT_SHAPE = {
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
}
_ROBERTA_SHAPE = {
    **_BERT_SHAPE,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "pad_token_id": 1,
    "type_vocab_size": 1,
}
LANGUAGES = [
    *("ja", "nl", "ar", "pl", "de", "it", "pt", "tr", "es", "hi"),
    *("el", "ur", "bg", "en", "fr", "zh", "ru", "th", "sw", "vi"),
]


def _labelled(architecture: str, labels: list[str]) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


DISTILBERT = SyntheticModel(
    "distilbert",
    {
        **_labelled("DistilBertForSequenceClassification", ["NEGATIVE", "POSITIVE"]),
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": 768,
        "hidden_dim": 3072,
        "n_heads": 12,
        "n_layers": 6,
        "max_position_embeddings": 512,
        "vocab_size": 30522,
    },
    "safetensors",
    "vocab.txt",
    "distilbert-sst2",
)
BERT = SyntheticModel(
    "bert",
    {
        **_labelled("BertForSequenceClassification", ["positive", "negative", "neutral"]),
        **_BERT_SHAPE,
        "model_type": "bert",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    "legacy",
    "vocab.txt",
    "finbert",
)
ROBERTA = SyntheticModel(
    "roberta",
    {
        **_labelled("RobertaForSequenceClassification", ["Negative", "Neutral", "Positive"]),
        **_ROBERTA_SHAPE,
        "model_type": "roberta",
        "vocab_size": 50265,
    },
    "zip",
    "vocab.json",
    "twitter-roberta-latest",
)
XLM_ROBERTA = SyntheticModel(
    "xlm-roberta",
    {
        **_labelled("XLMRobertaForSequenceClassification", LANGUAGES),
        **_ROBERTA_SHAPE,
        "model_type": "xlm-roberta",
        "vocab_size": 250002,
    },
    "safetensors",
    "unigram",
)
DEBERTA = SyntheticModel(
    "deberta-v2",
    {
        **_labelled("DebertaV2ForSequenceClassification", ["LABEL_0"]),
        **_BERT_SHAPE,
        "model_type": "deberta-v2",
        "layer_norm_eps": 1e-07,
        "max_position_embeddings": 512,
        "max_relative_positions": -1,
        "norm_rel_ebd": "layer_norm",
        "pad_token_id": 0,
        "pooler_dropout": 0,
        "pooler_hidden_act": "gelu",
        "pooler_hidden_size": 768,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "position_buckets": 256,
        "relative_attention": True,
        "share_att_key": True,
        "type_vocab_size": 0,
        "vocab_size": 128100,
    },
    "safetensors",
    "spm.model",
    "deberta-v3-base",
)
BART = SyntheticModel(
    "bart",
    {
        **_labelled("BartForSequenceClassification", ["contradiction", "neutral", "entailment"]),
        "model_type": "bart",
        "activation_function": "gelu",
        "bos_token_id": 0,
        "d_model": 768,
        "decoder_attention_heads": 12,
        "decoder_ffn_dim": 3072,
        "decoder_layers": 6,
        "decoder_start_token_id": 2,
        "encoder_attention_heads": 12,
        "encoder_ffn_dim": 3072,
        "encoder_layers": 6,
        "eos_token_id": 2,
        "is_encoder_decoder": True,
        "max_position_embeddings": 1024,
        "pad_token_id": 1,
        "scale_embedding": False,
        "vocab_size": 50265,
    },
    "safetensors",
    "vocab.json",
    "twitter-roberta-latest",
)
MINILM = BERT._replace(
    name="minilm",
    config={
        **BERT.config,
        **_labelled("BertForSequenceClassification", ["LABEL_0"]),
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 6,
    },
    weights="safetensors",
)
"""The shape of the small rerankers, such as ms-marco-MiniLM-L6; of BERT's kind `ALL` has a larger one."""
DEBERTA_NLI = DEBERTA._replace(
    name="deberta-v2-nli",
    config={
        **DEBERTA.config,
        **_labelled("DebertaV2ForSequenceClassification", ["entailment", "neutral", "contradiction"]),
    },
)
"""DeBERTa-v2 as zero-shot classification uses it; of its shape `ALL` has the reranker."""
MODERNBERT = SyntheticModel(
    "modernbert",
    {
        **_labelled("ModernBertForSequenceClassification", ["contradiction", "neutral", "entailment"]),
        "model_type": "modernbert",
        "bos_token_id": 0,
        "classifier_pooling": "mean",
        "cls_token_id": 0,
        "eos_token_id": 2,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "hidden_activation": "gelu",
        "hidden_size": 768,
        "intermediate_size": 1152,
        "local_attention": 128,
        "local_rope_theta": 10000.0,
        "max_position_embeddings": 8192,
        "num_attention_heads": 12,
        "num_hidden_layers": 22,
        "pad_token_id": 1,
        "sep_token_id": 2,
        "vocab_size": 50265,
    },
    "safetensors",
    "bpe",
    "twitter-roberta-latest",
)
"""ModernBERT's base shape with RoBERTa's tokens; only `compare` measures it."""
ALL = (DISTILBERT, BERT, ROBERTA, XLM_ROBERTA, DEBERTA, BART)
