"""A model folder's weights: which file counts, shards, and the names of tensors."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.errors import FolderError

CONFIG = BertConfig(
    vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, num_labels=3
)


def model() -> BertForSequenceClassification:
    """A small model with seeded weights."""
    torch.manual_seed(5)
    return BertForSequenceClassification(CONFIG)


def split(folder: Path, form: str, state: dict[str, torch.Tensor]) -> Path:
    """The tensors in two shards, as transformers 4 wrote them, and their index, whose path it is."""
    stem, suffix = form.rsplit(".", 1)
    save = save_file if suffix == "safetensors" else torch.save
    names = sorted(state)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard = f"{stem}-{number:05d}-of-00002.{suffix}"
        save({name: state[name] for name in part}, folder / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = folder / f"{form}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index


def write(folder: Path, form: str, state: dict[str, torch.Tensor]) -> None:
    """The tensors in one of the forms."""
    if form.endswith(".index.json"):
        split(folder, form.removesuffix(".index.json"), state)
    elif form.endswith(".bin"):
        torch.save(state, folder / form)
    else:
        save_file(state, folder / form)


FORMS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_every_tensor(tmp_path: Path, form: str) -> None:
    """All tensors of a model, bit for bit."""
    state = model().state_dict()
    write(tmp_path, form, state)
    checkpoint = open_checkpoint(tmp_path)

    for name, tensor in state.items():
        np.testing.assert_array_equal(checkpoint.take(name, *tensor.shape), tensor.numpy())
    assert [] == checkpoint.unused()


def test_shards_of_transformers_are_read(tmp_path: Path) -> None:
    """Shards as save_pretrained writes them with max_shard_size."""
    written = model()
    written.save_pretrained(tmp_path, max_shard_size="20KB")
    checkpoint = open_checkpoint(tmp_path)

    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    for name, tensor in written.state_dict().items():
        np.testing.assert_array_equal(checkpoint.take(name, *tensor.shape), tensor.numpy())


def test_the_first_form_counts(tmp_path: Path) -> None:
    """In the order of transformers, with everything there."""
    for value, form in enumerate(FORMS):
        write(
            tmp_path, form, {"w": torch.full((2,), value), "v": torch.zeros(1)} | {"w": torch.full((2,), value * 1.0)}
        )
    for value, form in enumerate(FORMS):
        assert [value, value] == open_checkpoint(tmp_path).take("w", 2).tolist()
        (tmp_path / form).unlink()

    with pytest.raises(FolderError, match=r"^The folder has no weights: none of model\.safetensors, .* is there\.$"):
        open_checkpoint(tmp_path)


def test_released_shards_are_read_again(tmp_path: Path) -> None:
    """Giving the pages back loses nothing."""
    state = {name: torch.arange(5000.0) for name in ("v", "w")}
    split(tmp_path, "pytorch_model.bin", state)
    checkpoint = open_checkpoint(tmp_path)
    taken = [checkpoint.take(name, 5000) for name in state]
    checkpoint.release()

    for array in taken:
        np.testing.assert_array_equal(array, np.arange(5000))


def resident_kilobytes(folder: Path) -> int:
    """Of this process, in the files of a folder."""
    kilobytes, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split()[0].endswith(":"):
            inside = str(folder) in line
        elif inside and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return kilobytes


@pytest.mark.parametrize("form", FORMS)
def test_release_gives_pages_back(tmp_path: Path, form: str) -> None:
    """Of every file, and what had to be converted has given its pages back at once."""
    write(tmp_path, form, {"v": torch.ones(1000, 1000), "w": torch.ones(1000, 1000).half()})
    checkpoint = open_checkpoint(tmp_path)
    checkpoint.release()
    assert resident_kilobytes(tmp_path) < 300
    checkpoint.take("w", 1000, 1000).sum()
    assert resident_kilobytes(tmp_path) < 600  # of 2000
    checkpoint.take("v", 1000, 1000).sum()
    assert resident_kilobytes(tmp_path) > 3500
    checkpoint.release()

    assert resident_kilobytes(tmp_path) == 0


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
def test_names_are_understood_as_transformers_does(tmp_path: Path, form: str) -> None:
    """Old names, a missing base prefix and one too many: transformers loads the same tensors from the same file."""
    state = {
        name.removeprefix("bert.")
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta")
        .replace("classifier.", "bert.classifier."): tensor
        for name, tensor in model().state_dict().items()
    }
    write(tmp_path, form, state)
    CONFIG.save_pretrained(tmp_path)
    expected = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    checkpoint = open_checkpoint(tmp_path)

    assert any(name.endswith(".gamma") for name in state)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(checkpoint.take(name, *tensor.shape), tensor.numpy())
        np.testing.assert_array_equal(tensor.numpy(), model().state_dict()[name].numpy())
    assert [] == checkpoint.unused()


def test_a_tensor_by_two_names_is_refused(tmp_path: Path) -> None:
    """Which of them is meant cannot be known."""
    save_file({f"a.LayerNorm.{name}": torch.ones(1) for name in ("gamma", "weight")}, tmp_path / "model.safetensors")

    with pytest.raises(FolderError, match=r"has tensor a\.LayerNorm\.weight twice"):
        open_checkpoint(tmp_path)


def test_tensors_nobody_took_are_named_in_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At most five of them, and none that transformers used to store for no use."""
    names = ["bert.embeddings.position_ids", "w", *(f"extra.{number}" for number in range(7))]
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    checkpoint.take("w", 1)
    with caplog.at_level(logging.WARNING, "labeld.checkpoint.checkpoint"):
        checkpoint.warn_of_unused()

    assert [
        "model.safetensors has 7 tensors that the model does not use: extra.0, extra.1, extra.2, extra.3, extra.4, …."
    ] == caplog.messages


def test_harmless_tensors_are_not_worth_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a file of which everything was taken."""
    save_file({"bert.embeddings.position_ids": torch.zeros(1)}, tmp_path / "model.safetensors")
    with caplog.at_level(logging.WARNING, "labeld.checkpoint.checkpoint"):
        open_checkpoint(tmp_path).warn_of_unused()

    assert [] == caplog.messages


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
def test_a_shard_that_is_missing_or_lacks_a_tensor_is_named(tmp_path: Path, form: str) -> None:
    """The index and the shards must fit."""
    index = split(tmp_path, form, {name: torch.zeros(1) for name in ("a", "b", "c")})
    weight_map = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": weight_map | {"d": weight_map["a"]}}))
    with pytest.raises(
        FolderError, match=rf"^{weight_map['a']} has no tensor d, which {form}\.index\.json says it has"
    ):
        open_checkpoint(tmp_path)
    (tmp_path / weight_map["b"]).unlink()
    index.write_text(json.dumps({"weight_map": weight_map}))

    with pytest.raises(FolderError, match=rf"^{weight_map['b']} is missing\.$"):
        open_checkpoint(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    """Which of them is meant cannot be known."""
    split(tmp_path, "model.safetensors", {"a": torch.zeros(1), "b": torch.zeros(1)})
    save_file({"a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "model-00002-of-00002.safetensors")

    with pytest.raises(FolderError, match=r"^model-00002-of-00002\.safetensors has tensor a, which model-00001"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("", "empty"),
        ("{", "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("[" * 100_000, "is not a JSON object"),
        (b"\xff\xfe\x00", "is not a JSON object"),
        ('{"weight_map": {}, "weight_map": {}}', "a key twice"),
        ("{}", "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": ["a"]}', "has no weight_map"),
        (" " * 10_000_001, "more than the limit of 10000000"),
        *(
            (json.dumps({"weight_map": {"w": shard}}), "only names in the same folder with")
            for shard in (
                "../outside.safetensors",
                "/etc/outside.safetensors",
                "..",
                "sub/outside.safetensors",
                "sub\\outside.safetensors",
                ".hidden.safetensors",
                "outside.safetensors\n",
                "outside.safetensors\0",
                "outside.bin",
                "config.json",
                "x" * 300 + ".safetensors",
                "",
                None,
                7,
                ["a.safetensors"],
            )
        ),
    ],
)
def test_an_index_that_is_broken_or_leaves_the_folder_is_refused(
    tmp_path: Path, index: str | bytes, expected: str
) -> None:
    """One sentence names the index; no other file is opened."""
    save_file({"w": torch.ones(1)}, tmp_path / "outside.safetensors")
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    save_file({"w": torch.ones(1)}, folder / "sub" / "outside.safetensors")
    path = folder / "model.safetensors.index.json"
    path.write_bytes(index if isinstance(index, bytes) else index.encode())

    with pytest.raises(FolderError, match=expected) as refused:
        open_checkpoint(folder)
    assert str(refused.value).startswith("model.safetensors.index.json ")
    assert str(tmp_path) not in str(refused.value)
