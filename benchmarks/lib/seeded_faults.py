"""Engines with one seeded fault each. A parity check that lets one of them pass checks nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from labeld.engines.openvino import architectures, layers
from labeld.types import EncodedText

SEQUENCE_IDS, POSITIONS = -3, -2
"""Where the arrays of a packed batch are, from the end: a model without token types has one less in front."""


def _laid_out_wrongly(spoil: Callable[[layers.Inputs], None]) -> Any:
    """Every graph that is built inside lays its texts out, and then `spoil` alters the arrays."""
    real = architectures.build

    def build(*arguments: Any) -> layers.PackedGraph:
        graph = real(*arguments)

        def pack(texts: Sequence[EncodedText], short_multiple: int) -> layers.Inputs:
            inputs = graph.pack(texts, short_multiple)
            spoil(inputs)
            return inputs

        return replace(graph, pack=pack)

    return patch.object(architectures, "build", build)


def _no_mask(inputs: layers.Inputs) -> None:
    inputs[SEQUENCE_IDS][:] = 0


def _positions_off_by_one(inputs: layers.Inputs) -> None:
    inputs[POSITIONS] += 1


def _positions_never_restart(inputs: layers.Inputs) -> None:
    inputs[POSITIONS][0] = np.arange(inputs[POSITIONS].size)


def _large_eps() -> Any:
    real = layers.Weights.norm

    def norm(self: layers.Weights, x: Any, name: str, size: int, eps: float, **options: Any) -> Any:
        return real(self, x, name, size, eps + 1e-5, **options)

    return patch.object(layers.Weights, "norm", norm)


FAULTS: dict[str, Callable[[], Any]] = {
    "mask of zeros": lambda: _laid_out_wrongly(_no_mask),
    "positions off by one": lambda: _laid_out_wrongly(_positions_off_by_one),
    "positions that do not restart": lambda: _laid_out_wrongly(_positions_never_restart),
    "epsilon larger by 1e-5": _large_eps,
    "tanh GELU for erf": lambda: patch.dict(layers.ACTIVATIONS, gelu=layers.ACTIVATIONS["gelu_new"]),
}


@contextmanager
def seeded(fault: str) -> Iterator[None]:
    """Engines that are opened inside have this fault and keep it."""
    with FAULTS[fault]():
        yield
