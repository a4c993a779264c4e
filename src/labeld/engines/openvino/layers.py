"""The layers of packed graphs, each computed exactly as in transformers.

A packed graph reads several texts that lie end to end in one row of T tokens, with filler at the end. Activations are
float32 [1, T, hidden]; a block-diagonal mask keeps the texts apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node, PartialShape, Type
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.mapped_file import FloatArray, WeightArray, widen
from labeld.errors import FolderError, UnsupportedArchitectureError
from labeld.types import EncodedText

PackedSequence = NDArray[np.int32]
"""An input of a packed graph: int32 [1, T] with a number for each token, or [texts] for `sequence_starts`."""

Inputs = list[PackedSequence]
"""Token ids, and the arrays for all inputs of a graph but the first."""

MASKED = np.float32(-1e9)
"""Added to the attention scores between tokens of different texts; its exponential is exactly 0."""

ROW_MULTIPLE, SHORT_ROW_MULTIPLE = 16, 4
"""T is rounded up to a multiple of the first, in a short row to one of the second where the precision allows it: for
every new T OpenVINO prepares kernels and keeps them, while filler is much of a short row (decision 17)."""

SHORT_ROW = 64
"""Tokens of a short row, at most."""


@dataclass(frozen=True, slots=True)
class PackedGraph:
    """A model as an OpenVINO graph over packed texts, and the packing of texts for it."""

    model: ov.Model
    """Its one output is float32 [texts, labels]. Borrows the checkpoint's arrays, which must outlive it."""
    pack: Callable[[Sequence[EncodedText], int], Inputs]
    """Texts and a multiple for short rows -> token ids and the arrays for all but the first of `model.inputs`."""
    max_tokens: int
    """Tokens of the longest text: the positions of the table, or the length that a model without a table was trained
    for; `sys.maxsize` where nothing limits it."""
    words: WeightArray
    """The word embeddings, [vocabulary, size], which stay in their file: `model`'s first input is a batch's rows.

    NOTE: as part of the graph the whole table would be widened to float32: 47 MB more for labeld/sentiment-en.
    """

    def inputs(self, texts: Sequence[EncodedText], short_multiple: int) -> list[PackedSequence | FloatArray]:
        """The arrays for `model.inputs`, in their order. Raises IndexError for a token id beyond the vocabulary."""
        ids, *others = self.pack(texts, short_multiple)
        return [widen(self.words[ids]), *others]


def constant(array: WeightArray) -> Node:
    """A float32 constant that borrows the array, which must stay alive and unchanged; uint16 holds bits of bfloat16.

    NOTE: OpenVINO widens 16-bit arrays itself: BERT-base then peaks at 822 MB instead of 901, with equal logits.
    """
    whole = np.ascontiguousarray(array)
    if whole.dtype == np.float32:
        return op.constant(whole, shared_memory=True)
    stored = Type.f16 if whole.dtype == np.float16 else Type.bf16
    return op.convert(op.constant(ov.Tensor(whole, whole.shape, stored), shared_memory=True), "f32")


def integers(*values: int) -> Node:
    """An int64 constant."""
    return op.constant(np.array(values, np.int64))


AXIS_0 = np.int64(0)
AXIS_1 = np.int64(1)
AXIS_2 = np.int64(2)


class Weights:
    """Layers with the weights of one checkpoint, by their names in transformers."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._take, self._take_matrix = checkpoint.take_stored, checkpoint.take_matrix

    def linear(self, x: Node, name: str, in_features: int, out_features: int, *, bias: bool = True) -> Node:
        """`torch.nn.Linear`: x [1, n, in_features] -> [1, n, out_features]."""
        (product,) = self.linears(x, name, in_features, [out_features], bias=bias)
        return product

    def linears(self, x: Node, name: str, in_features: int, sizes: Sequence[int], *, bias: bool) -> list[Node]:
        """`torch.nn.Linear` and `split` of its features in parts of these sizes, each computed by itself."""
        matrix = self._take_matrix(f"{name}.weight", sum(sizes), in_features)
        parts = [slice(end - size, end) for end, size in zip(accumulate(sizes), sizes, strict=True)]
        products = [_named(op.matmul(x, constant(matrix[part]), False, True), name) for part in parts]
        if not bias:
            return products
        added = self._take(f"{name}.bias", sum(sizes))[None, None]
        return [op.add(one, constant(added[..., part])) for one, part in zip(products, parts, strict=True)]

    def norm(self, x: Node, name: str, size: int, eps: float, *, bias: bool = True) -> Node:
        """`torch.nn.LayerNorm` over the last axis."""
        y = op.mvn(x, np.array([-1], np.int64), True, eps, "INSIDE_SQRT")
        scaled = op.multiply(y, constant(self._take(f"{name}.weight", size)[None, None]))
        return self._add_bias(scaled, name, size) if bias else scaled

    def words(self, name: str, rows: int, size: int) -> tuple[Node, WeightArray]:
        """`torch.nn.Embedding` of token ids: an input [1, T, size] for the rows of a batch, and the table."""
        rows_input = op.parameter(PartialShape([1, -1, size]), Type.f32)
        return _named(rows_input, "words"), self._take(f"{name}.weight", rows, size)

    def embed(self, index: Node, name: str, rows: int, size: int) -> Node:
        """`torch.nn.Embedding`: index [1, n] -> [1, n, size]."""
        return op.gather(constant(self._take(f"{name}.weight", rows, size)), index, op.constant(AXIS_0))

    def _add_bias(self, x: Node, name: str, size: int) -> Node:
        return op.add(x, constant(self._take(f"{name}.bias", size)[None, None]))


def _gelu_erf(x: Node) -> Node:
    return op.gelu(x, "erf")


def _gelu_tanh(x: Node) -> Node:
    return op.gelu(x, "tanh")


ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "gelu": _gelu_erf,
    "gelu_python": _gelu_erf,
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_accurate": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_python_tanh": _gelu_tanh,
    "quick_gelu": lambda x: op.swish(x, op.constant(np.float32(1.702))),
    "mish": op.mish,
    "relu": op.relu,
    "sigmoid": op.sigmoid,
    "silu": op.swish,
    "swish": op.swish,
    "tanh": op.tanh,
}
"""Activations by their names in config.json, each in the form that transformers computes for the name."""


def activation(name: object) -> Callable[[Node], Node]:
    """The activation of this name in config.json; raises UnsupportedArchitectureError if the table lacks it."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise UnsupportedArchitectureError(f"the activation {name!r}")
    return ACTIVATIONS[name]


def row_input(name: str) -> Node:
    """An int32 input [1, T] of the graph."""
    return _named(op.parameter(PartialShape([1, -1]), Type.i32), name)


def texts_input(name: str) -> Node:
    """An int32 input [texts] of the graph: an index in the row for each text, such as that of its first token."""
    return _named(op.parameter(PartialShape([-1]), Type.i32), name)


def _named(node: Node, name: str) -> Node:
    node.set_friendly_name(name)
    return node


def block_mask(sequence_ids: Node) -> Node:
    """Sequence ids [1, T] -> a mask to add to attention scores, float32 [1, 1, T, T]: 0 within a text."""
    same = op.equal(op.unsqueeze(sequence_ids, integers(2)), op.unsqueeze(sequence_ids, integers(1)))
    return op.unsqueeze(op.select(same, op.constant(np.float32(0)), op.constant(MASKED)), integers(1))


@dataclass(frozen=True, slots=True)
class Heads:
    """Multi-head attention: `count` heads of `size` features each."""

    count: int
    size: int

    @classmethod
    def of(cls, count: int, hidden: int) -> "Heads":
        """Heads that divide `hidden` features evenly; raises FolderError when they cannot."""
        if hidden % count:
            raise FolderError(f"config.json: {count} attention heads do not divide a width of {hidden}.")
        return cls(count, hidden // count)

    def split(self, x: Node) -> Node:
        """[1, T, heads * size] -> [1, heads, T, size]."""
        return op.transpose(op.reshape(x, integers(1, -1, self.count, self.size), True), integers(0, 2, 1, 3))

    def attend(self, query: Node, key: Node, value: Node, mask: Node) -> Node:
        """Scaled dot-product attention of unsplit [1, T, heads * size] projections -> [1, T, heads * size]."""
        return self.attend_split(self.split(query), self.split(key), self.split(value), mask)

    def attend_split(self, query: Node, key: Node, value: Node, mask: Node) -> Node:
        """Scaled dot-product attention of split [1, heads, T, size] projections -> [1, T, heads * size]."""
        scale = op.constant(np.float32(self.size**-0.5))
        return self.join(op.scaled_dot_product_attention(query, key, value, mask, scale))

    def join(self, context: Node) -> Node:
        """[1, heads, T, size] -> [1, T, heads * size]."""
        return op.reshape(op.transpose(context, integers(0, 2, 1, 3)), integers(1, -1, self.count * self.size), True)


def keep_first_tokens(x: Node, sequence_starts: Node) -> Node:
    """[1, T, hidden] -> [1, texts, hidden]: the first token of each text."""
    return op.gather(x, sequence_starts, op.constant(AXIS_1))


def mean_of_tokens(x: Node, sequence_ids: Node, sequence_starts: Node) -> Node:
    """[1, T, hidden] -> [1, texts, hidden]: the mean over each text's tokens."""
    owners = op.unsqueeze(op.gather(sequence_ids, sequence_starts, op.constant(AXIS_1)), integers(2))
    own = op.convert(op.equal(owners, op.unsqueeze(sequence_ids, integers(1))), "f32")
    return op.divide(op.matmul(own, x, False, False), op.reduce_sum(own, integers(2), True))


def logits(y: Node, inputs: Sequence[Node]) -> ov.Model:
    """The finished graph around the head's output, [1, texts, labels] -> [texts, labels]."""
    return ov.Model([op.result(op.squeeze(y, op.constant(AXIS_0)))], list(inputs), "packed")


def lay_out(texts: Sequence[EncodedText], short_multiple: int) -> tuple[Inputs, NDArray[np.int64]]:
    """The texts end to end in one row, and their lengths, int64 [texts].

    Gives token ids, token types and sequence ids, int32 [1, T], and sequence starts, int32 [texts]. Filler tokens have
    id 0 and sequence id -1, so that no text attends to them.
    """
    lengths = np.fromiter((len(text.ids) for text in texts), np.int64, len(texts))
    total = int(lengths.sum())
    multiple = short_multiple if total <= SHORT_ROW else ROW_MULTIPLE
    row = -(-total // multiple) * multiple
    ids, types = np.zeros((1, row), np.int32), np.zeros((1, row), np.int32)
    sequence_ids, sequence_starts = np.full((1, row), -1, np.int32), np.zeros(len(texts), np.int32)
    np.concatenate([text.ids for text in texts], out=ids[0, :total])
    np.concatenate([text.type_ids for text in texts], out=types[0, :total])
    sequence_ids[0, :total] = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
    np.cumsum(lengths[:-1], out=sequence_starts[1:])
    return [ids, types, sequence_ids, sequence_starts], lengths


def positions(ids: PackedSequence, sequence_starts: PackedSequence, lengths: NDArray[np.int64]) -> PackedSequence:
    """Position of each token within its text, int32 [1, T], from 0 on; 0 for filler."""
    result = np.zeros_like(ids)
    total = int(lengths.sum())
    result[0, :total] = np.arange(total, dtype=np.int32) - np.repeat(sequence_starts, lengths)
    return result
