"""DeBERTa-v2's relative positions: the embedding of the distance between two tokens, and its row in the table.

NumPy only; the graph that gathers the rows is in `disentangled_attention.py`. The names are those of
DisentangledSelfAttention and DebertaV2Encoder in transformers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.checkpoint.mapped_file import FloatArray
from labeld.errors import FolderError

MIN_REACH = 16
"""Half the smallest number of rows in use. That number is 32, 64, 128, …, so that few shapes occur: OpenVINO prepares
kernels for every new one."""


@dataclass(frozen=True, slots=True)
class Distances:
    """The relative positions that config.json describes."""

    c2p: bool
    """A query scores the distance to a key ("content to position")."""
    p2c: bool
    """A key scores the distance to a query ("position to content")."""
    scale_factor: int
    """Scores are divided by the square root of this times the size of a head. Counts c2p and p2c even where unused."""
    shared: bool
    """`share_att_key`: distances are projected by the layer's own query and key projections."""
    normed: bool
    """`norm_rel_ebd`: the embeddings of the distances go through a LayerNorm."""
    buckets: int
    """`position_buckets`; 0 where every distance has its own row."""
    longest: int
    """`max_relative_positions`: distances from this on share one row."""

    @classmethod
    def of(cls, config: ModelConfig) -> "Distances":
        """The fields of config.json, validated; raises FolderError naming a wrong one."""
        kinds = _pos_att_type(config)
        relative = config.flag("relative_attention")
        longest = config.whole("max_relative_positions")
        longest = longest if longest > 0 else config.integer("max_position_embeddings")
        buckets = max(config.whole("position_buckets"), 0) if relative else 0
        if buckets and (buckets < 2 or longest - 1 <= buckets // 2):
            raise FolderError(
                f"config.json: position_buckets is {buckets}, but must be at least 2 and, for distances up to "
                f"{longest}, less than {2 * (longest - 1)}."
            )
        norms = config.raw["norm_rel_ebd"]
        if not isinstance(norms, str):
            raise FolderError(f"config.json: norm_rel_ebd is {norms!r}, but must be a string, such as layer_norm.")
        return cls(
            c2p=relative and "c2p" in kinds,
            p2c=relative and "p2c" in kinds,
            scale_factor=1 + ("c2p" in kinds) + ("p2c" in kinds),
            shared=config.flag("share_att_key"),
            normed="layer_norm" in (norm.strip() for norm in norms.lower().split("|")),
            buckets=buckets,
            longest=longest,
        )

    @property
    def counted(self) -> bool:
        """True when distances enter the scores at all."""
        return self.c2p or self.p2c

    @property
    def span(self) -> int:
        """Half the rows of the table, and the row of distance 0."""
        return self.buckets or self.longest

    def bucket(self, distance: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of each distance relative to that of distance 0, not clipped to the table.

        This is `make_log_bucket_position` of transformers: exact for near tokens, logarithmic for far ones. It computes
        in float32 as that does, since a different rounding moves a distance to the next row.
        """
        if not self.buckets:
            return distance
        middle = self.buckets // 2
        far = np.maximum(np.abs(distance), middle)  # nearer distances need no logarithm
        share = _log(far.astype(np.float32) / np.float32(middle)) / _log(np.float32((self.longest - 1) / middle))
        steps = np.ceil(share * np.float32(middle - 1)).astype(np.int64)
        return np.where(far <= middle, distance, np.sign(distance) * (steps + middle))

    def rows_in_use(self, tokens: int, longest_text: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Begin and end of the table's rows in use, int32 [2], and the row of each distance within them.

        The rows are int32 [2 * tokens - 1], for the distances 1 - tokens to tokens - 1. Distances that no text of the
        packed row has may get any row.
        """
        reach = MIN_REACH
        farthest = int(self.bucket(np.array([longest_text - 1]))[0])
        while reach <= farthest:
            reach *= 2
        reach = min(reach, self.span)
        rows = np.clip(self.bucket(np.arange(1 - tokens, tokens)) + reach, 0, 2 * reach - 1)
        return np.array([self.span - reach, self.span + reach], np.int32), rows.astype(np.int32)

    def embeddings(self, checkpoint: Checkpoint, hidden: int, eps: float) -> FloatArray:
        """`get_rel_embedding` of transformers: float32 [2 * span, hidden]."""
        table = checkpoint.take("deberta.encoder.rel_embeddings.weight", 2 * self.span, hidden)
        if not self.normed:
            return table
        weight, bias = (checkpoint.take(f"deberta.encoder.LayerNorm.{name}", hidden) for name in ("weight", "bias"))
        wide = table.astype(np.float64)
        wide -= wide.mean(-1, keepdims=True)
        wide /= np.sqrt((wide * wide).mean(-1, keepdims=True) + eps)
        return (wide * weight + bias).astype(np.float32)


def _log(values: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """The logarithm in float32, rounded once: closer to torch's than NumPy's float32 logarithm is."""
    return np.asarray(np.log(np.float64(values)), np.float32)


def _pos_att_type(config: ModelConfig) -> list[str]:
    """The kinds in `pos_att_type`, a list or one string such as `c2p|p2c`, as DebertaV2Config reads it."""
    kinds = config.raw["pos_att_type"]
    if isinstance(kinds, str):
        return [kind.strip() for kind in kinds.lower().split("|")]
    if kinds is not None and not (isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)):
        raise FolderError(f"config.json: pos_att_type is {kinds!r}, but must be a list of c2p and p2c.")
    return kinds or []
