"""BERT and DistilBERT classifiers as packed graphs.

The references are transformers' BertForSequenceClassification and DistilBertForSequenceClassification.
"""

from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures.encoder import Layout, Names, Shape, embed, encode

BERT = Names.of("bert")
DISTILBERT = Names(
    "distilbert.embeddings.",
    "distilbert.transformer.layer.{}.",
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)
DISTILBERT_EPS = 1e-12
"""`eps` of every LayerNorm, a constant in transformers' DistilBERT."""


def build_bert(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of a BERT classifier; raises FolderError for a variant that cannot be computed exactly."""
    weights, shape = layers.Weights(checkpoint), Shape.of(config)
    x, layout = embed(config, weights, BERT, shape.hidden)
    x = encode(x, weights, BERT, shape, layout)
    x = op.tanh(weights.linear(x, "bert.pooler.dense", shape.hidden, shape.hidden))
    y = weights.linear(x, "classifier", shape.hidden, len(config.labels))
    return layout.finish(y, config.integer("max_position_embeddings"))


def build_distilbert(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of a DistilBERT classifier; it has no token types."""
    weights, root = layers.Weights(checkpoint), DISTILBERT.embeddings
    rows = config.integer("max_position_embeddings")
    shape = Shape(
        config.integer("n_layers"),
        config.integer("dim"),
        config.integer("n_heads"),
        config.integer("hidden_dim"),
        DISTILBERT_EPS,
        config.raw["activation"],
    )
    words = weights.words(root + "word_embeddings", config.integer("vocab_size"), shape.hidden)
    layout = Layout.of(words, types=0)
    x = op.add(layout.words, weights.embed(layout.positions, root + "position_embeddings", rows, shape.hidden))
    x = weights.norm(x, root + "LayerNorm", shape.hidden, shape.eps)
    x = encode(x, weights, DISTILBERT, shape, layout)
    x = op.relu(weights.linear(x, "pre_classifier", shape.hidden, shape.hidden))
    y = weights.linear(x, "classifier", shape.hidden, len(config.labels))
    return layout.finish(y, rows)
