"""The packed engine gives transformers' logits, single and packed, and seeded faults fail."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from labeld.checkpoint.config import ModelConfig, read_config
from labeld.engines.base import Engine, EngineOptions
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.errors import FolderError
from labeld.repository.folders import BUNDLED
from labeld.types import EncodedText, Logits

TOLERANCE = 2e-5
"""Largest difference of a logit. The logits of these models spread over several units."""

BERT = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 200,
    "max_position_embeddings": 64,
}
DISTILBERT = {
    "dim": 64,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 96,
    "vocab_size": 200,
    "max_position_embeddings": 64,
}
VARIANTS = {
    "bert": BertConfig(**BERT, num_labels=3),
    "bert-gelu-new": BertConfig(**BERT, hidden_act="gelu_new"),
    "bert-relu-eps": BertConfig(**BERT, hidden_act="relu", layer_norm_eps=1e-3),
    "bert-silu-one-layer": BertConfig(**BERT | {"num_hidden_layers": 1}, hidden_act="silu", num_labels=1),
    "bert-many-types": BertConfig(**BERT, type_vocab_size=4),
    "distilbert": DistilBertConfig(**DISTILBERT),
    "distilbert-relu-sinusoidal": DistilBertConfig(**DISTILBERT, activation="relu", sinusoidal_pos_embds=True),
}
CLASSES = {"bert": BertForSequenceClassification, "distilbert": DistilBertForSequenceClassification}


@pytest.fixture(scope="module", params=VARIANTS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with seeded weights, scaled so that faults cannot hide in flat logits."""
    config = VARIANTS[request.param]
    torch.manual_seed(7)
    model = CLASSES[config.model_type](config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    path = tmp_path_factory.mktemp("models") / request.param
    model.save_pretrained(path)
    return path


def texts(lengths: Sequence[int], types: int = 2) -> list[EncodedText]:
    """Seeded texts of these lengths; the second half of each has another token type."""
    rng = np.random.default_rng(3)
    return [
        EncodedText(
            rng.integers(1, 200, length).astype(np.int32),
            (np.arange(length) >= length / 2).astype(np.int32) * (types - 1),
        )
        for length in lengths
    ]


def reference(folder: Path, batch: Sequence[EncodedText]) -> Logits:
    """Logits of transformers, one text at a time."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in batch:
        inputs = {"input_ids": torch.tensor(text.ids[None].astype(np.int64))}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = torch.tensor(text.type_ids[None].astype(np.int64))
        with torch.no_grad():
            rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def engine(folder: Path, streams: int = 1) -> OpenVinoEngine:
    """The engine on a folder."""
    return OpenVinoEngine(folder, read_config(folder), EngineOptions(2, streams))


MIXED = [1, 2, 5, 16, 17, 64, 33, 3]


def test_logits_are_those_of_transformers_alone_and_packed(folder: Path) -> None:
    """Every length up to the position table, token types included."""
    batch = texts(MIXED, read_config(folder).raw.get("type_vocab_size", 2))
    expected = reference(folder, batch)
    ours = engine(folder)

    assert expected.std() > 0.1
    np.testing.assert_allclose(ours.run(batch), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(np.concatenate([ours.run([one]) for one in batch]), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("spill_folder", ["none", "folder", "not a folder"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_16_bits_are_computed_in_float32(
    tmp_path: Path, dtype: torch.dtype, spill_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Exactly as transformers does with float32, wherever the widened weights lie; no file is left to see."""
    torch.manual_seed(7)
    BertForSequenceClassification(VARIANTS["bert"]).to(dtype).save_pretrained(tmp_path / "model")
    place = tmp_path / "spill_folder"
    if spill_folder == "not a folder":
        place.touch()
    given = None if spill_folder == "none" else place
    ours = OpenVinoEngine(tmp_path / "model", read_config(tmp_path / "model"), EngineOptions(2, spill_folder=given))
    batch = texts(MIXED)

    assert np.abs(ours.run(batch) - reference(tmp_path / "model", batch)).max() < TOLERANCE
    assert [] == list(tmp_path.rglob("scratch/*"))
    assert (spill_folder == "not a folder") == ("copies of weights stay in memory" in caplog.text)


def test_weights_that_are_written_over_stay_those_that_were_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO reads them again for rows of another length."""
    monkeypatch.setattr("labeld.checkpoint.own_copy.is_memory", lambda _: False)  # as the tests' folder may be
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    batch = texts(MIXED, read_config(model).raw.get("type_vocab_size", 2))
    expected = reference(model, batch)
    options = EngineOptions(2, spill_folder=tmp_path / "cache", may_change=True)
    ours = OpenVinoEngine(model, read_config(model), options)
    for file in model.glob("*.safetensors"):
        with file.open("r+b") as opened:
            opened.write(bytes(file.stat().st_size))

    np.testing.assert_allclose(ours.run(batch), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(np.concatenate([ours.run([one]) for one in batch]), expected, rtol=0, atol=TOLERANCE)


def test_a_text_does_not_see_its_neighbours_or_its_place() -> None:
    """Whoever is packed with a text, and wherever, its logits are the same."""
    ours = engine(BUNDLED / "labeld/language-20")
    batch = texts([7, 30, 2, 90, 11], types=1)
    single = [ours.run([one])[0] for one in batch]
    backwards = ours.run(batch[::-1])[::-1]

    np.testing.assert_allclose(backwards, single, rtol=0, atol=TOLERANCE)


def test_batches_run_at_the_same_time_without_mixing(folder: Path) -> None:
    """Each batch has its own infer request."""
    ours = engine(folder, streams=2)
    one, other = texts([9]), texts([40, 12])[::-1]
    kept = ours.run(one)
    ours.run(other)

    np.testing.assert_array_equal(ours.run(one), kept)


def shifted_positions(inputs: list[np.ndarray]) -> None:
    """Positions that do not restart at each text."""
    inputs[-2][0] = np.arange(inputs[-2].shape[1]) % 64


def one_block(inputs: list[np.ndarray]) -> None:
    """A mask that lets every token see all others."""
    inputs[-3][:] = 0


def second_tokens(inputs: list[np.ndarray]) -> None:
    """A head that reads each text's second token."""
    inputs[-1] += 1


@pytest.mark.parametrize("fault", [shifted_positions, one_block, second_tokens])
def test_a_seeded_layout_fault_is_noticed(folder: Path, fault: Callable[[list[np.ndarray]], None]) -> None:
    """The comparison above would fail with a wrong mask, wrong positions or a wrong first token."""
    batch = texts(MIXED)
    ours = engine(folder)
    pack = ours._graph.pack

    def spoiled(batch: Sequence[EncodedText], short_multiple: int) -> list[np.ndarray]:
        inputs = pack(batch, short_multiple)
        fault(inputs)
        return inputs

    object.__setattr__(ours._graph, "pack", spoiled)

    assert np.abs(ours.run(batch) - reference(folder, batch)).max() > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("key", "value"), [("hidden_act", "gelu_new"), ("hidden_act", "relu"), ("layer_norm_eps", 1e-3)]
)
def test_a_seeded_config_fault_is_noticed(tmp_path: Path, key: str, value: object) -> None:
    """A wrong activation or eps does not hide under the tolerance."""
    torch.manual_seed(7)
    model = BertForSequenceClassification(VARIANTS["bert"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(tmp_path)
    expected = reference(tmp_path, texts(MIXED))
    config = read_config(tmp_path)
    wrong = ModelConfig(config.model_type, config.architecture, config.labels, "softmax", config.raw | {key: value})
    spoiled: Engine = OpenVinoEngine(tmp_path, wrong, EngineOptions())

    assert np.abs(spoiled.run(texts(MIXED)) - expected).max() > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hidden_act": "laplace"}, "the activation 'laplace' needs the torch engine"),
        ({"position_embedding_type": "relative_key"}, "only position_embedding_type absolute"),
        ({"hidden_size": 32}, r"tensor bert\.embeddings\.\S+ has shape \[200, 64\], but \[200, 32\] is needed"),
        ({"num_hidden_layers": 3}, r"has no tensor bert\.encoder\.layer\.2\."),
        ({"num_attention_heads": 5}, "5 attention heads do not divide a width of 64"),
        ({"num_attention_heads": -1}, "num_attention_heads is -1"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small'"),
        ({"id2label": {"0": "a"}}, r"classifier\.weight has shape \[3, 64\], but \[1, 64\] is needed"),
        ({"model_type": "albert"}, r"model_type 'albert' needs the torch engine: pip install 'labeld\[torch\]'"),
    ],
)
def test_what_cannot_be_computed_exactly_is_refused(tmp_path: Path, change: dict[str, object], expected: str) -> None:
    """One sentence names the key or the tensor."""
    BertForSequenceClassification(VARIANTS["bert"]).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(FolderError, match=expected):
        engine(tmp_path)
