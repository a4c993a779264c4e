"""BART's packed graph: transformers' logits whatever lies beside a text, and seeded faults that would be seen."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as op
from transformers import AutoModelForSequenceClassification, BartConfig, BartForSequenceClassification

from labeld.checkpoint.config import read_config
from labeld.engines.base import EngineOptions
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures import bart
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.types import EncodedText, Logits
from tests.support.graph_models import BART, VOCABULARY, edit_config
from tests.support.tiny_models import seeded

TOLERANCE = 1e-5
"""Largest difference of a logit. The logits of these models spread over a tenth at least."""

START, PAD, END = 0, 1, 2
LENGTHS = [1, 2, 3, 5, 16, 17, 40, 64, 90, 128]
SIZES = BART | {"max_position_embeddings": 128}

VARIANTS: dict[str, dict[str, object]] = {
    "as published": {},
    "scaled words": {"scale_embedding": True},
    "relu": {"activation_function": "relu"},
    "deep encoder": {"encoder_layers": 4, "decoder_layers": 1, "num_labels": 1},
    "deep decoder": {"encoder_layers": 1, "decoder_layers": 4, "num_labels": 5},
    "other heads": {"encoder_attention_heads": 2, "decoder_attention_heads": 8},
    "other widths": {"encoder_ffn_dim": 48, "decoder_ffn_dim": 112},
    "dropout": {"classifier_dropout": 0.5, "dropout": 0.5, "attention_dropout": 0.5, "decoder_layerdrop": 0.5},
}
OF_OLD = {
    "add_final_layer_norm": True,
    "normalize_before": True,
    "normalize_embedding": False,
    "extra_pos_embeddings": 1,
}
"""Keys of the first published configs, which transformers no longer reads."""


def save(folder: Path, **changes: object) -> Path:
    """A small BART with seeded weights."""
    seeded(BartForSequenceClassification, BartConfig(**SIZES | changes)).save_pretrained(folder)
    return folder


def engine(folder: Path) -> OpenVinoEngine:
    """The engine on a folder."""
    return OpenVinoEngine(folder, read_config(folder), EngineOptions(2))


def text(*ids: int) -> EncodedText:
    """A text of these tokens."""
    return EncodedText(np.array(ids, np.int32), np.zeros(len(ids), np.int32))


def texts(lengths: Sequence[int] = LENGTHS) -> list[EncodedText]:
    """Seeded texts that begin and end as BART's tokenizer has them, every other one a pair."""
    rng = np.random.default_rng(3)
    made = []
    for number, length in enumerate(lengths):
        ids = rng.integers(4, VOCABULARY, length).astype(np.int32)
        ids[0] = START
        if number % 2:
            ids[length // 2 - 1 : length // 2 + 1] = END
        ids[-1] = END
        made.append(text(*ids))
    return made


def reference(folder: Path, batch: Sequence[EncodedText]) -> Logits:
    """Logits of transformers, one text at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return np.concatenate([model(torch.tensor(one.ids[None].astype(np.int64))).logits.numpy() for one in batch])


def require_same(folder: Path, batch: Sequence[EncodedText]) -> OpenVinoEngine:
    """The logits of transformers alone, and in packed batches of any neighbours and order; by this engine."""
    ours, expected = engine(folder), reference(folder, batch)
    rng = np.random.default_rng(5)

    assert np.ptp(expected, axis=0).max() > 0.1
    np.testing.assert_allclose(np.concatenate([ours.run([one]) for one in batch]), expected, rtol=0, atol=TOLERANCE)
    for _ in range(4):
        order = rng.choice(len(batch), rng.integers(2, len(batch) + 1), replace=False)
        packed = ours.run([batch[index] for index in order])
        np.testing.assert_allclose(packed, expected[order], rtol=0, atol=TOLERANCE)
    return ours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the first variant."""
    return save(tmp_path_factory.mktemp("bart") / "model")


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_of_transformers_alone_and_packed(tmp_path: Path, variant: str) -> None:
    """From a single token to the last position, with depths and widths of each stack its own."""
    require_same(save(tmp_path, **VARIANTS[variant]), texts())


def test_keys_that_transformers_no_longer_reads_change_nothing(tmp_path: Path) -> None:
    """Whatever they say of norms and positions."""
    save(tmp_path)
    edit_config(tmp_path, OF_OLD)

    require_same(tmp_path, texts())


def test_the_answer_is_that_of_the_last_end_token(folder: Path) -> None:
    """Texts may hold any number of them, also as their first token and before others, and padding as a word."""
    batch = [
        text(START, END, END, END),
        text(END),
        text(END, 30, 31),
        text(START, 40, END, 41, 42, END, 43),
        text(START, PAD, 50, PAD, END),
        text(END, 60, END, 61),
    ]

    require_same(folder, batch)


def test_a_text_without_an_end_token_has_no_answer(folder: Path) -> None:
    """Nor has it one in transformers; its neighbours keep theirs, and the text before it lends it no end."""
    before, after = texts([9, 12])
    logits = engine(folder).run([before, text(START, 70, 71), after])

    assert np.isnan(logits[1]).all()
    np.testing.assert_allclose(logits[::2], reference(folder, [before, after]), rtol=0, atol=TOLERANCE)
    with pytest.raises(ValueError, match="at least one <eos> token"):
        reference(folder, [text(START, 70, 71)])


def test_a_long_text_uses_every_position(tmp_path: Path) -> None:
    """All 1024 of the published models, after others and before them, and no more."""
    save(tmp_path, max_position_embeddings=1024)
    batch = texts([5, 1024, 90, 700])

    assert engine(tmp_path).max_tokens == 1024
    require_same(tmp_path, batch)
    with pytest.raises(IndexError):
        reference(tmp_path, texts([1025]))


ATTEND, EMBED = bart._Blocks._attend, bart._Blocks.embed  # faults are put where they would arise


def to_neighbours(self: Any, x: ov.Node, states: ov.Node, *others: Any) -> ov.Node:
    """Cross attention to the states of all texts in the row."""
    heads, name, mask = others
    leaking = op.multiply(mask, op.constant(np.float32(0))) if name.endswith("encoder_attn") else mask
    return ATTEND(self, x, states, heads, name, leaking)


def to_itself(self: Any, x: ov.Node, states: ov.Node, *others: Any) -> ov.Node:
    """Cross attention to the decoder's own states."""
    own = x if others[1].endswith("layers.0.encoder_attn") else states
    return ATTEND(self, x, own, *others)


def moved(tokens: int) -> Callable[..., ov.Node]:
    """Embeddings whose positions are so many rows further on."""

    def embed(self: Any, words: ov.Node, positions: ov.Node, stack: str, rows: int) -> ov.Node:
        other = op.add(positions, op.constant(np.int32(tokens)))
        return EMBED(self, words, other, stack, rows)

    return embed


def of_the_encoder(self: Any, words: ov.Node, positions: ov.Node, stack: str, rows: int) -> ov.Node:
    """The decoder's embeddings with the encoder's positions."""
    return EMBED(self, words, positions, "model.encoder.", rows)


def first_ends(ids: np.ndarray, sequence_starts: np.ndarray, lengths: np.ndarray, end: int) -> np.ndarray:
    """Index of each text's first end token."""
    ends = np.flatnonzero(ids[0] == end)
    return np.array([next((index for index in ends if index >= start), 0) for start in sequence_starts], np.int32)


def own_last_tokens(ids: np.ndarray, sequence_starts: np.ndarray, lengths: np.ndarray, end: int) -> np.ndarray:
    """Index of each text's last token, of whatever kind."""
    return (sequence_starts + lengths - 1).astype(np.int32)


def other_start(words: ov.Node, start: ov.Node, positions: ov.Node) -> ov.Node:
    """Words one token late, each text after the token that the row begins with."""
    return SHIFT(words, layers.keep_first_tokens(words, layers.integers(0)), positions)


SHIFT = bart.one_token_late
FAULTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "positions from the table's second row on": lambda: patch.object(bart._Blocks, "embed", moved(-1)),
    "positions from the table's fourth row on": lambda: patch.object(bart._Blocks, "embed", moved(1)),
    "a decoder that sees what comes": lambda: patch.object(bart, "not_later", lambda mask, positions: mask),
    "a decoder that is not late": lambda: patch.object(bart, "one_token_late", lambda words, start, positions: words),
    "a decoder that starts with another token": lambda: patch.object(bart, "one_token_late", other_start),
    "head at the first end token": lambda: patch.object(bart, "last_ends", first_ends),
    "head at the last token": lambda: patch.object(bart, "last_ends", own_last_tokens),
    "cross attention to neighbours": lambda: patch.object(bart._Blocks, "_attend", to_neighbours),
    "cross attention to the decoder": lambda: patch.object(bart._Blocks, "_attend", to_itself),
    "positions of the encoder in the decoder": lambda: patch.object(bart._Blocks, "embed", of_the_encoder),
    "another epsilon": lambda: patch.object(bart, "EPS", 1e-12),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_fails_the_check(folder: Path, fault: str) -> None:
    """Each moves a logit by several times what is tolerated above."""
    batch = [text(START, 80, 81, END, 82), *texts()]
    with FAULTS[fault]():
        spoilt = engine(folder).run(batch)

    assert np.abs(spoilt - reference(folder, batch)).max() > 5 * TOLERANCE
