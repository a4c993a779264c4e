"""Engines with one planted mistake each. A parity check that lets one of them pass checks nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from labeld import graphs
from labeld.graphs import blocks
from labeld.messages import EncodedText

SEGMENTS, POSITIONS = -3, -2
"""Where the arrays of a packed batch are, from the end: a model without token types has one less in front."""


def _laid_out_wrongly(spoil: Callable[[blocks.Inputs], None]) -> Any:
    """Every graph that is built inside lays its texts out, and then `spoil` alters the arrays."""
    real = graphs.build

    def build(*arguments: Any) -> blocks.PackedGraph:
        graph = real(*arguments)

        def pack(texts: Sequence[EncodedText], short_multiple: int) -> blocks.Inputs:
            inputs = graph.pack(texts, short_multiple)
            spoil(inputs)
            return inputs

        return replace(graph, pack=pack)

    return patch.object(graphs, "build", build)


def _no_mask(inputs: blocks.Inputs) -> None:
    inputs[SEGMENTS][:] = 0


def _positions_off_by_one(inputs: blocks.Inputs) -> None:
    inputs[POSITIONS] += 1


def _positions_never_restart(inputs: blocks.Inputs) -> None:
    inputs[POSITIONS][0] = np.arange(inputs[POSITIONS].size)


def _large_eps() -> Any:
    real = blocks.Weights.norm

    def norm(self: blocks.Weights, x: Any, name: str, size: int, eps: float, **options: Any) -> Any:
        return real(self, x, name, size, eps + 1e-5, **options)

    return patch.object(blocks.Weights, "norm", norm)


DEFECTS: dict[str, Callable[[], Any]] = {
    "mask of zeros": lambda: _laid_out_wrongly(_no_mask),
    "positions off by one": lambda: _laid_out_wrongly(_positions_off_by_one),
    "positions that do not restart": lambda: _laid_out_wrongly(_positions_never_restart),
    "epsilon larger by 1e-5": _large_eps,
    "tanh GELU for erf": lambda: patch.dict(blocks.ACTIVATIONS, gelu=blocks.ACTIVATIONS["gelu_new"]),
}


@contextmanager
def planted(defect: str) -> Iterator[None]:
    """Engines that are opened inside have this defect, and keep it."""
    with DEFECTS[defect]():
        yield
