"""ELECTRA classifiers as packed graphs. The reference is transformers' ElectraForSequenceClassification."""

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures.encoder import Names, Shape, embed, encode

ELECTRA = Names.of("electra")


def build_electra(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of an ELECTRA classifier; raises FolderError for a variant that cannot be computed exactly.

    Its head always has GELU; config.json's `summary_*` are for other tasks.
    """
    weights, shape = layers.Weights(checkpoint), Shape.of(config)
    size = config.integer("embedding_size")
    x, layout = embed(config, weights, ELECTRA, size)
    if size != shape.hidden:
        x = weights.linear(x, "electra.embeddings_project", size, shape.hidden)
    x = encode(x, weights, ELECTRA, shape, layout)
    x = layers.activation("gelu")(weights.linear(x, "classifier.dense", shape.hidden, shape.hidden))
    y = weights.linear(x, "classifier.out_proj", shape.hidden, len(config.labels))
    return layout.finish(y, config.integer("max_position_embeddings"))
