"""Small real model folders with seeded weights, as transformers writes them."""

import shutil
import string
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

WORDS = (
    *("the", "a", "film", "was", "good", "bad", "love", "like", "i", "you", "it", "is", "not", "very"),
    *("market", "rose", "fell", "day", "world", "hello"),
)
CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation + "éüñ世界日本語"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *CHARACTERS, *(f"##{one}" for one in CHARACTERS)]
VOCABULARY = list(dict.fromkeys(VOCABULARY))

BERT = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 128,
    "vocab_size": len(VOCABULARY),
}
DISTILBERT = {
    "dim": 64,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 128,
    "max_position_embeddings": 128,
    "vocab_size": len(VOCABULARY),
}
NAMES = {0: "negative", 1: "neutral", 2: "positive"}
TEXTS = [
    "I like you. I love you",
    "",
    "the market fell",
    "a [SEP] b",
    "日本語 é ñ",
    "not very good - it was bad",
    "x" * 40,
]
"""Texts between which the answers of each model must differ."""

VOCABULARY_ONLY = "org/vocabulary-only"
"""The model whose folder has no tokenizer.json, as Hub folders of 2020 have none."""


def seeded(kind: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """A model with seeded weights, large enough that a wrong detail of a layer cannot hide in them."""
    torch.manual_seed(7)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


def spread_out(model: PreTrainedModel, tokenizer: BertTokenizer) -> None:
    """Scales the last layer so that each label's logits lie around 0 and differ between `TEXTS`."""
    layer = model.classifier
    logits = answers(model, tokenizer)
    with torch.no_grad():
        scale = 2.0 / logits.std(0)
        layer.weight.mul_(scale[:, None])
        layer.bias.copy_(scale * (layer.bias - logits.mean(0)))


def answers(model: PreTrainedModel, tokenizer: BertTokenizer) -> torch.Tensor:
    """Logits [texts, labels] of `TEXTS`."""
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in TEXTS])


def save(kind: type[PreTrainedModel], config: PreTrainedConfig, folder: Path) -> None:
    """Writes a model and its tokenizer as a Hub folder has them."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer.from_pretrained(folder, model_max_length=128)
    tokenizer.save_pretrained(folder)
    model = seeded(kind, config)
    spread_out(model, tokenizer)
    model.save_pretrained(folder)


def build_all(root: Path) -> None:
    """The models that the tests serve: five of `org`, a `bare` one, and `a/same` beside `b/same`."""
    bert, distilbert = BertForSequenceClassification, DistilBertForSequenceClassification
    save(bert, BertConfig(**BERT, id2label=NAMES), root / "org/bert")
    save(distilbert, DistilBertConfig(**DISTILBERT), root / "org/distilbert")
    save(bert, BertConfig(**BERT, num_labels=1), root / "org/one-label")
    multi = BertConfig(**BERT, id2label=NAMES, problem_type="multi_label_classification")
    save(bert, multi, root / "org/multi-label")
    for name in ("bare", "a/same", "b/same"):
        save(distilbert, DistilBertConfig(**DISTILBERT | {"n_layers": 1}), root / name)
    shutil.copytree(root / "org/bert", root / VOCABULARY_ONLY)
    (root / VOCABULARY_ONLY / "tokenizer.json").unlink()
