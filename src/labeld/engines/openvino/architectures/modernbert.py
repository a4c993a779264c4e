"""ModernBERT classifiers as packed graphs. The reference is transformers' ModernBertForSequenceClassification.

Pre-norm blocks with rotary embeddings; some attend to the whole text, others to a sliding window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from openvino import Node
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures.encoder import Layout
from labeld.errors import FolderError, UnsupportedArchitectureError

FULL, SLIDING = "full_attention", "sliding_attention"
THETAS = {FULL: "global_rope_theta", SLIDING: "local_rope_theta"}
"""The older key of each kind of layer's rotary base."""
LAST = 2**31 - 1
"""The end of an axis, in a slice."""
ROPE_KEYS = {"rope_type", "type", "rope_theta"}


@dataclass(frozen=True, slots=True)
class _Shape:
    """Sizes and options of the blocks, validated."""

    hidden: int
    heads: layers.Heads
    intermediate: int
    activation: object
    eps: float
    layer_types: Sequence[str]
    thetas: dict[str, float]
    """Base of the rotary embeddings for each kind of layer."""
    window: int
    """Tokens that a sliding layer sees on each side."""
    pooling: str
    norm_bias: bool
    attention_bias: bool
    mlp_bias: bool

    @classmethod
    def of(cls, config: ModelConfig) -> "_Shape":
        hidden = config.integer("hidden_size")
        heads = layers.Heads.of(config.integer("num_attention_heads"), hidden)
        if heads.size % 2 or config.raw.get("head_dim", heads.size) != heads.size:
            raise FolderError(
                f"config.json: head_dim is {config.raw.get('head_dim', heads.size)!r}, but must be even and "
                f"hidden_size / num_attention_heads, which is {heads.size}."
            )
        pooling = config.raw["classifier_pooling"]
        if pooling not in ("cls", "mean"):
            raise FolderError(f"config.json: classifier_pooling is {pooling!r}, but must be cls or mean.")
        return cls(
            hidden,
            heads,
            config.integer("intermediate_size"),
            config.raw["hidden_activation"],
            config.number("norm_eps"),
            _layer_types(config),
            _thetas(config),
            _window(config),
            pooling,
            config.flag("norm_bias"),
            config.flag("attention_bias"),
            config.flag("mlp_bias"),
        )


def build_modernbert(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of a ModernBERT classifier; raises FolderError for a variant that cannot be computed exactly.

    It has no position table: `max_tokens` is max_position_embeddings, the length it was trained for.
    """
    weights, shape = layers.Weights(checkpoint), _Shape.of(config)
    words = weights.words("model.embeddings.tok_embeddings", config.integer("vocab_size"), shape.hidden)
    layout = Layout.of(words, types=0)

    def norm(x: Node, name: str) -> Node:
        return weights.norm(x, name, shape.hidden, shape.eps, bias=shape.norm_bias)

    x = _encode(norm(layout.words, "model.embeddings.norm"), weights, shape, layout)
    x = norm(x, "model.final_norm")
    if shape.pooling == "mean":
        x = layers.mean_of_tokens(x, layout.sequence_ids, layout.sequence_starts)
    head_bias = config.flag("classifier_bias")
    x = weights.linear(x, "head.dense", shape.hidden, shape.hidden, bias=head_bias)
    x = norm(layers.activation(config.raw["classifier_activation"])(x), "head.norm")
    y = weights.linear(x, "classifier", shape.hidden, len(config.labels))
    return layout.finish(y, config.integer("max_position_embeddings"))


def _encode(x: Node, weights: layers.Weights, shape: _Shape, layout: Layout) -> Node:
    """All blocks: [1, T, hidden] -> [1, T, hidden], or [1, texts, hidden] if the head reads first tokens only."""
    full = layers.block_mask(layout.sequence_ids)
    masks = {FULL: full, SLIDING: near_only(full, layout.positions, shape.window)}
    rotations = {kind: Rotation.of(theta, shape.heads.size, layout.positions) for kind, theta in shape.thetas.items()}
    activate = layers.activation(shape.activation)
    for index, kind in enumerate(shape.layer_types):
        prefix = f"model.layers.{index}."
        # the embeddings are normed already, so the first layer has no attn_norm
        y = x if index == 0 else weights.norm(x, prefix + "attn_norm", shape.hidden, shape.eps, bias=shape.norm_bias)
        y = weights.linear(y, prefix + "attn.Wqkv", shape.hidden, 3 * shape.hidden, bias=shape.attention_bias)
        query, key, value = (shape.heads.split(part) for part in op.split(y, layers.AXIS_2, 3).outputs())
        y = shape.heads.attend_split(rotations[kind].turn(query), rotations[kind].turn(key), value, masks[kind])
        if shape.pooling == "cls" and index == len(shape.layer_types) - 1:
            y, x = (
                layers.keep_first_tokens(y, layout.sequence_starts),
                layers.keep_first_tokens(x, layout.sequence_starts),
            )
        x = op.add(x, weights.linear(y, prefix + "attn.Wo", shape.hidden, shape.hidden, bias=shape.attention_bias))
        y = weights.norm(x, prefix + "mlp_norm", shape.hidden, shape.eps, bias=shape.norm_bias)
        # NOTE: two products, since in bfloat16 and int8 OpenVINO computes the activation together with the first
        halves = [shape.intermediate] * 2
        value, gate = weights.linears(y, prefix + "mlp.Wi", shape.hidden, halves, bias=shape.mlp_bias)
        y = op.multiply(activate(value), gate)
        x = op.add(x, weights.linear(y, prefix + "mlp.Wo", shape.intermediate, shape.hidden, bias=shape.mlp_bias))
    return x


def near_only(mask: Node, positions: Node, window: int) -> Node:
    """The mask [1, 1, T, T] that also masks pairs of tokens more than `window` apart."""
    distance = op.abs(
        op.subtract(op.unsqueeze(positions, layers.integers(2)), op.unsqueeze(positions, layers.integers(1)))
    )
    near = op.unsqueeze(op.less_equal(distance, op.constant(np.int32(window))), layers.integers(1))
    return op.select(near, mask, op.constant(layers.MASKED))


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotary position embeddings of heads of `size` features: cosines and sines of the angles, [1, 1, T, size]."""

    cos: Node
    sin: Node
    size: int

    @classmethod
    def of(cls, theta: float, size: int, positions: Node) -> "Rotation":
        """`compute_default_rope_parameters` of transformers, in float32 as there.

        NOTE: the power is computed in float64 and rounded, which gives torch's bits. NumPy's float32 power does not:
        after thousands of tokens an angle would be wrong by 1e-4.
        """
        exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
        inverse = np.float32(1) / np.power(np.float64(theta), exponents.astype(np.float64)).astype(np.float32)
        position_ids = op.unsqueeze(op.convert(positions, "f32"), layers.integers(1, 3))
        angles = op.multiply(position_ids, op.constant(inverse[None, None, None]))
        angles = op.concat([angles, angles], 3)
        return cls(op.cos(angles), op.sin(angles), size)

    def turn(self, x: Node) -> Node:
        """`apply_rotary_pos_emb` of transformers: [1, heads, T, size] -> [1, heads, T, size].

        NOTE: written so, with a product by -1 and slices to the end, OpenVINO knows it and computes it in one pass.
        """
        first, second = _features(x, 0, self.size // 2), _features(x, self.size // 2, LAST)
        minus = op.constant(np.full((1, 1, 1, 1), -1, np.float32))
        turned = op.concat([op.multiply(second, minus), first], -1)
        return op.add(op.multiply(x, self.cos), op.multiply(turned, self.sin))


def _features(x: Node, start: int, end: int) -> Node:
    """Features from `start` to `end` of each token: [1, heads, T, size] -> [1, heads, T, end - start]."""
    return op.slice(x, layers.integers(start), layers.integers(end), layers.integers(1), layers.integers(3))


def _layer_types(config: ModelConfig) -> list[str]:
    """Kind of each layer, from `layer_types`, or from the older `global_attn_every_n_layers`."""
    num_layers = config.integer("num_hidden_layers")
    named = config.raw["layer_types"]
    if named is None:
        every = config.integer("global_attn_every_n_layers")
        return [SLIDING if index % every else FULL for index in range(num_layers)]
    if not isinstance(named, list) or len(named) != num_layers or any(kind not in (FULL, SLIDING) for kind in named):
        raise FolderError(f"config.json: layer_types must be a list of {num_layers} names, each {FULL} or {SLIDING}.")
    return named


def _window(config: ModelConfig) -> int:
    """Half of `local_attention`, rounded down; where `sliding_window` is there as well, it counts."""
    if "sliding_window" in config.raw:
        return config.integer("sliding_window")
    return config.integer("local_attention") // 2


def _thetas(config: ModelConfig) -> dict[str, float]:
    """Rotary base of each kind of layer, from `rope_parameters`, or from the older fields."""
    if config.raw.get("rope_scaling") is not None:
        raise UnsupportedArchitectureError("modernbert with rope_scaling")
    parameters = config.raw["rope_parameters"]
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict) or not set(parameters) <= set(THETAS):
        raise FolderError(f"config.json: rope_parameters must be an object with the keys {FULL} and {SLIDING}.")
    return {kind: _theta(config, kind, parameters.get(kind)) for kind in THETAS}


def _theta(config: ModelConfig, kind: str, parameters: Any) -> float:
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict) or not set(parameters) <= ROPE_KEYS:
        raise FolderError(
            f"config.json: rope_parameters.{kind} may have rope_type default and a rope_theta, and nothing else."
        )
    if parameters.get("rope_type", parameters.get("type", "default")) != "default":
        raise UnsupportedArchitectureError(f"modernbert with a rope_type in rope_parameters.{kind} that is not default")
    key = THETAS[kind]
    theta = parameters.get("rope_theta", config.raw[key])
    if type(theta) not in (int, float) or not 0 < theta < 1e12:
        raise FolderError(
            f"config.json: rope_theta of {kind} ({key}) is {theta!r}, but must be a number between 0 and 1e12."
        )
    return float(theta)
