"""Scores of pieces for languages, and the BERT of one layer that computes the same from them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from language_texts import LANGUAGES

HIDDEN, FILLERS = 96, 28
"""A piece's vector: its scores, the same with the other sign, and fillers of both signs."""
LONGEST = 512
SMALL = 0.1
"""A factor for scores, twice: then neither the norms nor tanh change them by more than 1 %."""


class PieceScores(nn.Module):
    """The mean score of a text's pieces for every language; [CLS] and [SEP] count among them, with scores of zero."""

    def __init__(self, pieces: int, labels: int) -> None:
        super().__init__()
        self.scores = nn.Embedding(pieces, labels)
        nn.init.zeros_(self.scores.weight)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        """Logits of texts, whose first piece is [CLS] and whose last one is [SEP]."""
        inner = attention_mask.clone()
        inner[:, 0] = 0
        inner.scatter_(1, attention_mask.sum(1, keepdim=True) - 1, 0)
        total = (self.scores(input_ids) * inner.unsqueeze(-1)).sum(1)
        return SimpleNamespace(logits=total / attention_mask.sum(1, keepdim=True))


def as_bert(scores: torch.Tensor, pieces: int) -> BertForSequenceClassification:
    """The BERT that computes the mean scores.

    A vector has the scores of its piece and their negatives, so that its mean is 0, and fillers of both signs
    that bring its variance to 1: so the norm after the embeddings changes nothing. Queries and keys are zero, so that
    every piece counts alike for [CLS]; values are the scores, and feed-forward adds nothing.
    """
    labels = scores.shape[1]
    scores = scores.clone()
    scores[:5] = 0  # the special pieces
    scale = (2 * scores.square().sum(1).max() / HIDDEN).sqrt()
    vectors = scores / scale
    left = (HIDDEN - 2 * vectors.square().sum(1, keepdim=True)).clamp(min=0)
    fillers = (left / (2 * FILLERS)).sqrt().expand(-1, FILLERS)
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=LONGEST,
    )
    config.num_labels = labels
    model: BertForSequenceClassification = BertForSequenceClassification(config)
    for name, weight in model.state_dict().items():
        weight.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
    state, layer = model.state_dict(), "bert.encoder.layer.0.attention"
    state["bert.embeddings.word_embeddings.weight"].copy_(torch.cat([vectors, -vectors, fillers, -fillers], 1))
    one = torch.eye(labels)
    state[f"{layer}.self.value.weight"][:labels, : 2 * labels] = torch.cat([one, -one], 1) / 2
    state[f"{layer}.output.dense.weight"][: 2 * labels, :labels] = torch.cat([one, -one], 0) * SMALL
    state["bert.pooler.dense.weight"][:labels, :labels] = one * SMALL
    state["classifier.weight"][:, :labels] = one * scale / SMALL**2
    return model


def config_of(model: BertForSequenceClassification) -> dict[str, Any]:
    """The config as the folder says it, without the fields that only repeat a default."""
    names = "hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings vocab_size"
    names += " type_vocab_size hidden_act layer_norm_eps hidden_dropout_prob attention_probs_dropout_prob"
    names += " initializer_range pad_token_id"
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        **{name: getattr(model.config, name) for name in names.split()},
        "id2label": {str(index): language for index, language in enumerate(LANGUAGES)},
        "label2id": {language: index for index, language in enumerate(LANGUAGES)},
        "problem_type": "single_label_classification",
        "dtype": "float32",
    }
