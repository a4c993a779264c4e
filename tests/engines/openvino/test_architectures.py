"""Every architecture's packed graph gives transformers' scores, whatever the length, single and packed."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from safetensors.numpy import load_file, save_file

from benchmarks.lib.seeded_faults import seeded
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures import modernbert, roberta
from labeld.types import EncodedText
from tests.support.graph_models import FULL, SLIDING, VARIANTS, Case, make, saved_reference, some_texts

PROBABILITY_BAR, LOGIT_BAR = 1e-5, 1e-4
LEAST_SPREAD = 0.5
"""How much some label's probability must differ between two texts, or faults could hide."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Makes a variant's case when it is first asked for."""
    cases: dict[str, Case] = {}

    def cached(name: str) -> Case:
        if name not in cases:
            cases[name] = make(name, tmp_path_factory.mktemp("graphs") / name)
        return cases[name]

    return cached


@pytest.mark.parametrize("name", VARIANTS)
def test_scores_are_those_of_transformers_alone_and_packed(made: Callable[[str], Case], name: str) -> None:
    """From one token to the last position, with and without token types."""
    case = made(name)
    engine = case.open()
    single = np.concatenate([engine.run([text]) for text in case.texts])
    packed = engine.run(case.texts[::-1])[::-1]

    assert np.ptp(case.scores(case.logits), axis=0).max() >= LEAST_SPREAD
    for logits in (single, packed):
        probability, logit = case.difference(logits)
        assert probability <= PROBABILITY_BAR
        assert logit <= LOGIT_BAR


@pytest.mark.parametrize("name", ["roberta", "roberta-pad-0-types", "roberta-pad-7", "xlm-roberta", "camembert"])
def test_a_padding_token_inside_a_text_is_not_counted(made: Callable[[str], Case], name: str) -> None:
    """Positions skip it, and go on after it; its neighbours in the row are not moved."""
    case = made(name)
    pad = VARIANTS[name].pad_token_id
    rows = [[0, 20, pad, 30, 2], [pad, 40, 50], [pad], [60, pad, pad], [70, pad, 80] * 100]
    texts = [EncodedText(np.array(row, np.int32), np.zeros(len(row), np.int32)) for row in rows]
    padded = Case(case.folder, texts, saved_reference(case.folder, texts))
    engine = case.open()

    assert padded.difference(engine.run(texts))[1] <= LOGIT_BAR
    assert padded.difference(np.concatenate([engine.run([text]) for text in texts]))[1] <= LOGIT_BAR


def test_modernbert_turns_by_the_right_angle_thousands_of_tokens_on(made: Callable[[str], Case]) -> None:
    """Beyond the lengths above, up to the last position it was made for."""
    case = made("modernbert-mean-biases")
    texts = some_texts(VARIANTS["modernbert-mean-biases"], [2048, 9])
    far = Case(case.folder, texts, saved_reference(case.folder, texts))

    assert far.difference(case.open().run(texts))[1] <= LOGIT_BAR


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("roberta", 512),
        ("roberta-pad-0-types", 512),
        ("roberta-pad-7", 512),
        ("xlm-roberta", 512),
        ("bert", 512),
        ("electra", 512),
        ("modernbert", 2048),
        ("bart", 1024),
    ],
)
def test_the_longest_text_is_what_positions_are_left_for(made: Callable[[str], Case], name: str, expected: int) -> None:
    """RoBERTa's 514 positions are 512 tokens; ModernBERT has no table, and its config says the length."""
    assert expected == made(name).open().max_tokens


@pytest.mark.parametrize("name", ["roberta", "electra", "modernbert", "bart"])
def test_weights_without_the_base_models_prefix_are_found(
    made: Callable[[str], Case], tmp_path: Path, name: str
) -> None:
    """Some folders name the encoder's tensors as the bare encoder does."""
    case = made(name)
    shutil.copytree(case.folder, tmp_path, dirs_exist_ok=True)
    prefix = "model." if name in ("modernbert", "bart") else f"{name}."
    tensors = load_file(case.folder / "model.safetensors")
    save_file({key.removeprefix(prefix): tensor for key, tensor in tensors.items()}, tmp_path / "model.safetensors")
    bare = case._replace(folder=tmp_path)

    assert bare.difference(saved_reference(tmp_path, case.texts))[1] <= LOGIT_BAR
    assert bare.difference(bare.open().run(case.texts))[1] <= LOGIT_BAR


NORM, FIRST_TOKENS, NEAR_ONLY = layers.Weights.norm, layers.keep_first_tokens, modernbert.near_only
SWAPPED = {FULL: modernbert.THETAS[SLIDING], SLIDING: modernbert.THETAS[FULL]}


def other_eps(self: layers.Weights, x: ov.Node, name: str, size: int, eps: float, **options: bool) -> ov.Node:
    """LayerNorm with 1e-12 for 1e-5, or the other way round."""
    return NORM(self, x, name, size, 1e-5 if eps < 1e-6 else 1e-12, **options)


def replaced(module: object, name: str, fault: object) -> Callable[[], AbstractContextManager[object]]:
    """A fault that stands in for one of the graphs' functions or tables."""
    return lambda: patch.object(module, name, fault)


FAULTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no mask": lambda: seeded("mask of zeros"),
    "positions off by one": lambda: seeded("positions off by one"),
    "positions that do not restart": lambda: seeded("positions that do not restart"),
    "tanh GELU": lambda: seeded("tanh GELU for erf"),
    "another epsilon": replaced(layers.Weights, "norm", other_eps),
    "second tokens": replaced(
        layers,
        "keep_first_tokens",
        lambda x, sequence_starts: FIRST_TOKENS(x, op.add(sequence_starts, op.constant(np.int32(1)))),
    ),
    "no mean": replaced(
        layers, "mean_of_tokens", lambda x, sequence_ids, sequence_starts: FIRST_TOKENS(x, sequence_starts)
    ),
    "no offset": replaced(
        roberta,
        "positions",
        lambda ids, sequence_starts, lengths, padding_idx: layers.positions(
            np.zeros_like(ids), sequence_starts, lengths
        ),
    ),
    "wider window": replaced(
        modernbert, "near_only", lambda mask, positions, window: NEAR_ONLY(mask, positions, window + 1)
    ),
    "thetas swapped": replaced(modernbert, "THETAS", SWAPPED),
}
COMMON = ["no mask", "tanh GELU", "another epsilon"]
TABLE = ["positions off by one", "positions that do not restart", "second tokens"]
SEEDED = {
    "roberta": [*COMMON, *TABLE, "no offset"],
    "electra": [*COMMON, *TABLE],
    "modernbert": [*COMMON, "second tokens", "wider window"],
    "modernbert-mean-biases": [*COMMON, "no mean", "wider window"],
    "modernbert-old-keys": ["thetas swapped"],
}
"""Of each model the faults that it can have: rotary embeddings know only distances, which do not shift."""


@pytest.mark.parametrize(("name", "fault"), [(name, one) for name, faults in SEEDED.items() for one in faults])
def test_a_seeded_fault_fails_the_check(made: Callable[[str], Case], name: str, fault: str) -> None:
    """Nothing that is checked above could be wrong unnoticed."""
    case = made(name)
    with FAULTS[fault]():
        logits = case.open().run(case.texts)

    assert case.difference(logits)[0] > PROBABILITY_BAR
