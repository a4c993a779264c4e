"""Forms in which BART's weights are published: word embeddings under one to three names, old files, and broken ones."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, BartForSequenceClassification

from labeld.checkpoint.config import read_config
from labeld.engines import open_engine
from labeld.engines.base import EngineOptions
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.engines.torch.engine import TorchEngine
from labeld.errors import FolderError
from labeld.lifecycle.model import weight_bytes
from labeld.types import Logits
from tests.engines.openvino.test_bart import SIZES, TOLERANCE, engine, reference, require_same, save, texts
from tests.support.graph_models import edit_config

SHARED, ENCODER, DECODER = (f"model.{one}.weight" for one in ("shared", "encoder.embed_tokens", "decoder.embed_tokens"))
Tensors = dict[str, torch.Tensor]


def named(*names: str) -> Callable[[Tensors], Tensors]:
    """The word embeddings under these names, each with a copy of its own."""

    def edit(tensors: Tensors) -> Tensors:
        others = {name: tensor for name, tensor in tensors.items() if name != SHARED}
        return others | {name: tensors[SHARED].clone() for name in names}

    return edit


def without_prefix(tensors: Tensors) -> Tensors:
    """The names of the bare encoder and decoder."""
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def bare_of_old(tensors: Tensors) -> Tensors:
    """Those, the word embeddings under all three names, and fairseq's numbers of a version."""
    versions = {f"{one}.version": torch.tensor([3.0]) for one in ("encoder", "decoder")}
    return without_prefix(named(SHARED, ENCODER, DECODER)(tensors)) | versions


FORMS: dict[str, Callable[[Tensors], Tensors]] = {
    "shared": named(SHARED),
    "encoder": named(ENCODER),
    "decoder": named(DECODER),
    "encoder and decoder": named(ENCODER, DECODER),
    "shared and encoder": named(SHARED, ENCODER),
    "all three": named(SHARED, ENCODER, DECODER),
    "without prefix": without_prefix,
    "of old": bare_of_old,
}


def edit_tensors(folder: Path, edit: Callable[[Tensors], Tensors]) -> None:
    """Writes the folder's weights anew."""
    path = folder / "model.safetensors"
    save_file(edit(load_file(path)), path, {"format": "pt"})


def in_bin(folder: Path, *, new_format: bool) -> None:
    """The weights as `torch.save` writes them: three names of one tensor."""
    model = BartForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=new_format)


class Published(NamedTuple):
    """A model as transformers saves it."""

    folder: Path
    nbytes: int
    """Of its engine."""
    logits: Logits
    """Of transformers."""

    def copy(self, folder: Path) -> Path:
        """To be edited."""
        return Path(shutil.copytree(self.folder, folder / "model"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The model whose files are edited."""
    folder = save(tmp_path_factory.mktemp("published"))
    return Published(folder, engine(folder).nbytes, reference(folder, texts()))


@pytest.mark.parametrize("form", FORMS)
def test_word_embeddings_are_found_by_any_of_their_names(
    published: Published, tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As transformers finds them, without a warning, and a second copy takes no memory."""
    folder = published.copy(tmp_path)
    edit_tensors(folder, FORMS[form])

    ours = require_same(folder, texts())
    assert published.nbytes <= ours.nbytes <= published.nbytes + 8  # two versions
    assert "does not use" not in caplog.text


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
def test_bin_files_name_one_tensor_three_times(published: Published, tmp_path: Path, *, new_format: bool) -> None:
    """Which counts once, before the model is loaded as well."""
    folder = published.copy(tmp_path)
    in_bin(folder, new_format=new_format)
    ours = engine(folder)

    assert (ours.nbytes, weight_bytes(folder)) == (published.nbytes, weight_bytes(published.folder))
    np.testing.assert_allclose(ours.run(texts()), published.logits, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("tied", [True, False])
def test_stacks_with_words_of_their_own_need_the_torch_engine(tmp_path: Path, *, tied: bool) -> None:
    """Which transformers computes, whatever the config says of it; so does labeld with torch."""
    save(tmp_path)
    edit_config(tmp_path, {"tie_word_embeddings": tied})
    edit_tensors(tmp_path, lambda tensors: named(SHARED, ENCODER)(tensors) | {DECODER: tensors[SHARED].flip(0)})
    config = read_config(tmp_path)
    found = open_engine(tmp_path, config, EngineOptions())

    assert isinstance(found, TorchEngine)
    np.testing.assert_allclose(found.run(texts()), reference(tmp_path, texts()), rtol=0, atol=TOLERANCE)
    with pytest.raises(FolderError, match="bart whose encoder and decoder have different word embeddings needs the"):
        OpenVinoEngine(tmp_path, config, EngineOptions())


def test_equal_words_of_untied_stacks_are_one(tmp_path: Path) -> None:
    """Then `tie_word_embeddings` does not matter, and shared ones are not read."""
    save(tmp_path)
    edit_config(tmp_path, {"tie_word_embeddings": False})
    edit_tensors(tmp_path, lambda tensors: named(ENCODER, DECODER)(tensors) | {SHARED: tensors[SHARED].flip(0)})

    require_same(tmp_path, texts())


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda tensors: tensors.pop(SHARED), f"model.safetensors has no tensor {SHARED}."),
        (
            lambda tensors: tensors.pop("classification_head.dense.weight"),
            "model.safetensors has no tensor classification_head.dense.weight.",
        ),
        (
            lambda tensors: tensors.pop("model.decoder.layers.1.encoder_attn.k_proj.bias"),
            "model.safetensors has no tensor model.decoder.layers.1.encoder_attn.k_proj.bias.",
        ),
        (
            lambda tensors: tensors.pop("model.decoder.embed_positions.weight"),
            "model.safetensors has no tensor model.decoder.embed_positions.weight.",
        ),
        (
            lambda tensors: tensors.update({"model.encoder.embed_positions.weight": torch.zeros(128, 64)}),
            "tensor model.encoder.embed_positions.weight has shape [128, 64], but [130, 64] is needed.",
        ),
        (
            lambda tensors: tensors.update({ENCODER: torch.zeros(299, 64)}),
            f"tensor {ENCODER} has shape [299, 64], but [300, 64] is needed.",
        ),
        (
            lambda tensors: tensors.update({DECODER: torch.zeros(300, 64, dtype=torch.int8)}),
            f"tensor {DECODER} is stored as int8, but one of",
        ),
    ],
)
def test_a_tensor_that_is_missing_or_wrong_is_named(
    tmp_path: Path, edit: Callable[[Tensors], object], expected: str
) -> None:
    """One sentence with the file and the tensor."""
    save(tmp_path)
    edit_tensors(tmp_path, lambda tensors: (edit(tensors), tensors)[1])

    with pytest.raises(FolderError, match=re.escape(expected)):
        engine(tmp_path)


def test_leftovers_of_a_summariser_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A classifier made of a model that wrote texts may still have its bias, which nothing reads."""
    save(tmp_path)
    edit_tensors(tmp_path, lambda tensors: tensors | {"final_logits_bias": torch.ones(1, 300)})

    require_same(tmp_path, texts())
    assert "has 1 tensors that the model does not use: final_logits_bias." in caplog.text


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_16_bits_are_computed_in_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    """The start token among them, which is a constant of the graph."""
    BartForSequenceClassification(BartConfig(**SIZES, decoder_start_token_id=9)).to(dtype).save_pretrained(tmp_path)
    with torch.no_grad():
        edit_tensors(tmp_path, lambda tensors: {name: one * 4 for name, one in tensors.items()})

    require_same(tmp_path, texts())
