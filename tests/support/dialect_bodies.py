"""A body that works for each dialect, by the dialect's name, and the models that answer them."""

from pathlib import Path
from typing import Any

from transformers import BertConfig, BertForSequenceClassification

from tests.support.tiny_models import BERT, save

QUERY = "i like the film"
DOCUMENTS = ["the market fell", "a good film", "i love it", "hello world"]
LABELS = ["good", "bad", "market"]
_INSTANCES = {"instances": DOCUMENTS}
_TENSOR = {"name": "text", "shape": [4], "datatype": "BYTES", "data": DOCUMENTS}
BODIES: dict[str, dict[str, Any]] = {
    "rerank": {"query": QUERY, "texts": DOCUMENTS},
    "cohere": {"query": QUERY, "documents": DOCUMENTS},
    "text_ranking": {"inputs": {"query": QUERY, "texts": DOCUMENTS}},
    "score": {"queries": QUERY, "documents": DOCUMENTS},
    "nim": {"query": {"text": QUERY}, "passages": [{"text": one} for one in DOCUMENTS]},
    "zero_shot": {"inputs": DOCUMENTS, "parameters": {"candidate_labels": LABELS}},
    "predict": {"inputs": [[one] for one in DOCUMENTS]},
    "classify": {"input": DOCUMENTS},
    "open_inference": {"inputs": [_TENSOR]},
    "kserve": _INSTANCES,
    "vertex": _INSTANCES,
    "sagemaker": {"inputs": DOCUMENTS},
    "jina": {"input": DOCUMENTS, "labels": LABELS},
}
LISTS: dict[str, tuple[str | int, ...]] = {
    "rerank": ("texts",),
    "cohere": ("documents",),
    "text_ranking": ("inputs", "texts"),
    "score": ("documents",),
    "nim": ("passages",),
    "zero_shot": ("inputs",),
    "predict": ("inputs",),
    "classify": ("input",),
    "open_inference": ("inputs", 0, "data"),
    "kserve": ("instances",),
    "vertex": ("instances",),
    "sagemaker": ("inputs",),
    "jina": ("input",),
}
"""The place of the list of texts in each body."""

RERANKER, CLASSIFIER = "org/one-label", "org/bert"
NLI = {
    "org/nli": ("contradiction", "neutral", "entailment"),
    "org/nli-first": ("entailment", "neutral", "contradiction"),
    "org/nli-two": ("entailment", "not_entailment"),
}
"""NLI models, with their labels in the order of their ids."""


EQUAL, EQUAL_LABELS = "org/equal-labels", ("same", "other", "same")
"""A model of which two labels have one name, with its labels in the order of their ids."""


def build_models(root: Path) -> None:
    """The models of NLI, and the one of equal labels."""
    for name, labels in {**NLI, EQUAL: EQUAL_LABELS}.items():
        ids = {label: number for number, label in enumerate(labels)}
        config = BertConfig(**BERT, id2label=dict(enumerate(labels)), label2id=ids)
        save(BertForSequenceClassification, config, root / name)
