"""Small real model folders with seeded weights, as transformers writes them."""

import string
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
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


def scaled(model: PreTrainedModel, seed: int = 7) -> PreTrainedModel:
    """The model with seeded weights large enough that its answers differ between texts and defects cannot hide."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


def save(model: PreTrainedModel, folder: Path) -> None:
    """Writes a model and its tokenizer as a Hub folder has them."""
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer.from_pretrained(folder, model_max_length=128)
    tokenizer.save_pretrained(folder)
    scaled(model).save_pretrained(folder)


def build_all(root: Path) -> None:
    """The models that the tests serve: four of `org`, a `bare` one, and `a/same` beside `b/same`."""
    save(BertForSequenceClassification(BertConfig(**BERT, id2label=NAMES)), root / "org/bert")
    save(DistilBertForSequenceClassification(DistilBertConfig(**DISTILBERT)), root / "org/distilbert")
    save(BertForSequenceClassification(BertConfig(**BERT, num_labels=1)), root / "org/one-label")
    multi = BertConfig(**BERT, id2label=NAMES, problem_type="multi_label_classification")
    save(BertForSequenceClassification(multi), root / "org/multi-label")
    for name in ("bare", "a/same", "b/same"):
        small = DistilBertConfig(**DISTILBERT | {"n_layers": 1})
        save(DistilBertForSequenceClassification(small), root / name)
