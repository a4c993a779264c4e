"""pytorch_model.bin in both formats of torch.save: the same tensors as torch.load gives."""

import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification

from labeld.checkpoint.checkpoint import Checkpoint, open_checkpoint
from labeld.checkpoint.config import read_config
from labeld.engines.base import EngineOptions
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.errors import FolderError
from labeld.types import EncodedText

BOTH = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64]


def saved(folder: Path, state: object, *, zipped: bool) -> Checkpoint:
    """The tensors that labeld reads from a file of torch.save."""
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    return open_checkpoint(folder)


def assert_same(folder: Path, checkpoint: Checkpoint) -> None:
    """Every tensor has the values that torch.load finds in the file."""
    expected = torch.load(folder / "pytorch_model.bin", weights_only=True)
    for name, tensor in expected.items():
        taken = checkpoint.take(name, *tensor.shape)

        assert np.float32 == taken.dtype
        assert taken.flags.c_contiguous
        assert taken.flags.writeable
        np.testing.assert_array_equal(taken, tensor.detach().to(torch.float32).numpy(), strict=True)
    assert [] == checkpoint.unused()


@BOTH
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_storage_type_is_read_as_float32(tmp_path: Path, dtype: torch.dtype, zipped: bool) -> None:
    """Extreme values as well."""
    values = torch.tensor([[1.5, -2.0, 65504.0], [0.0, 6e-8, float("inf")], [1e-3, float("nan"), -0.0]]).to(dtype)
    assert_same(tmp_path, saved(tmp_path, {"w": values, "v": torch.ones(5, dtype=dtype)}, zipped=zipped))


@BOTH
@pytest.mark.parametrize("dtype", FLOATS)
def test_windows_on_storages_are_read(tmp_path: Path, dtype: torch.dtype, zipped: bool) -> None:
    """Shared, offset, transposed, stepped, repeated, scalar and empty tensors, and parameters."""
    base = torch.arange(60.0).reshape(3, 4, 5).to(dtype)
    state = OrderedDict(
        base=base,
        again=base,
        offset=base[1:, 2:],
        turned=base.permute(2, 0, 1),
        stepped=base[::2, :, 1::3],
        column=base[:, :1, 2:3],
        row=base[1:2, 3:, 4:],
        repeated=torch.ones(1, dtype=dtype).expand(3, 2),
        scalar=torch.tensor(3.0, dtype=dtype),
        empty=torch.zeros(0, 3, dtype=dtype),
        part=torch.arange(7.0).to(dtype)[3:],
        parameter=torch.nn.Parameter(torch.ones(3, dtype=dtype)),
    )
    assert_same(tmp_path, saved(tmp_path, state, zipped=zipped))


@BOTH
def test_what_is_no_weight_does_no_harm(tmp_path: Path, zipped: bool) -> None:
    """Whole numbers, booleans and the metadata of a state_dict."""
    module = torch.nn.BatchNorm1d(3)
    module.register_buffer("flags", torch.ones(2, dtype=torch.bool))
    module.register_buffer("bytes", torch.ones(2, dtype=torch.uint8))
    module.register_buffer("position_ids", torch.arange(9))
    checkpoint = saved(tmp_path, module.state_dict(), zipped=zipped)
    np.testing.assert_array_equal(checkpoint.take("weight", 3), np.ones(3))

    assert "num_batches_tracked" in checkpoint.unused()
    with pytest.raises(FolderError, match="tensor flags is stored as bool, but one of float32"):
        checkpoint.take("flags", 2)


@BOTH
@settings(max_examples=40)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
    dtype=st.sampled_from(FLOATS),
)
def test_any_window_is_read(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], order: object, dtype: torch.dtype, zipped: bool
) -> None:
    """Axes in any order, slices with any step."""
    tensor = torch.arange(4.0 ** len(shape)).reshape([4] * len(shape)).to(dtype)
    axes = list(range(len(shape)))
    order.shuffle(axes)
    window = tensor[tuple(slice(order.randrange(4), None, size) for size in shape)].permute(axes)
    folder = tmp_path_factory.mktemp("window")
    assert_same(folder, saved(folder, {"w": window, "v": tensor}, zipped=zipped))


def pickled(*parts: bytes | str | int) -> bytes:
    """A pickle of protocol 2: strings and numbers become values, bytes are instructions."""
    code = b"\x80\x02"
    for part in parts:
        if isinstance(part, str):
            code += b"X" + struct.pack("<I", len(part)) + part.encode()
        elif isinstance(part, int):
            code += b"J" + struct.pack("<i", part)
        else:
            code += part
    return code + b"."


STRAYS: dict[str, object] = {
    "number": 3,
    "float": 1.5,
    "text": "x",
    "nothing": None,
    "flag": True,
    "list": [1, [2]],
    "tuple": (1,),
    "dict": {"a": 1, "b": {"c": 2.0}},
    "tensors in a list": [torch.ones(2), torch.zeros(3, dtype=torch.int64)],
    "tensors in a dict": {"deep": {"er": torch.ones(2, dtype=torch.float16)}},
}


@BOTH
@pytest.mark.parametrize("kind", STRAYS)
def test_an_entry_that_is_no_tensor_is_left_out_as_in_transformers(tmp_path: Path, kind: str, zipped: bool) -> None:
    """As trainers leave them behind; the tensors beside it are those that were saved."""
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "v": torch.ones(4)}
    saved(tmp_path, {"w": tensors["w"], "stray": STRAYS[kind], "v": tensors["v"]}, zipped=zipped)

    found = dict(open_checkpoint(tmp_path).take_all())

    assert set(tensors) == set(found)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), found[name])


@BOTH
def test_a_model_answers_beside_an_entry_that_is_no_tensor_and_not_without_its_tensor(
    tmp_path: Path, zipped: bool
) -> None:
    """Transformers loads the first and fails on the second; here a sentence names the tensor."""
    config = BertConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, num_labels=3
    )
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    text = EncodedText(np.arange(1, 9, dtype=np.int32), np.zeros(8, np.int32))
    saved(tmp_path, model.state_dict() | {"epoch": 3}, zipped=zipped)
    reference = BertForSequenceClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = reference(torch.tensor(text.ids[None].astype(np.int64))).logits

    ours = OpenVinoEngine(tmp_path, read_config(tmp_path), EngineOptions()).run([text])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    saved(tmp_path, model.state_dict() | {"classifier.bias": 3}, zipped=zipped)
    with pytest.raises(TypeError):
        BertForSequenceClassification.from_pretrained(tmp_path)
    with pytest.raises(FolderError, match=r"has no tensor classifier\.bias"):
        OpenVinoEngine(tmp_path, read_config(tmp_path), EngineOptions())


def legacy(state: bytes, keys: bytes, storages: bytes) -> bytes:
    """A file of before 2020 around a pickled state_dict."""
    head = [pickled(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"), pickled(1001), pickled(b"}", "little_endian", b"\x88s")]
    return b"".join(head) + state + keys + storages


def test_the_dialect_of_2017_is_read(tmp_path: Path) -> None:
    """Strings of Python 2, an OrderedDict of pairs, a storage saved on a GPU, a view of it, tensors without hooks."""
    storage = b"(U\x07storagectorch.cuda\nFloatStorage\nU\x0277U\x06cuda:0K\x04(U\x0278K\x01K\x03ttQ"
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\x01K\x02\x85K\x01\x85tR"
    state = pickled(b"ccollections\nOrderedDict\n(]]U\x01wa" + tensor + b"aatR")
    storages = struct.pack("<q4f", 4, 1, 2, 3, 4)
    (tmp_path / "pytorch_model.bin").write_bytes(legacy(state, pickled(b"]U\x0277a"), storages))

    assert [3.0, 4.0] == open_checkpoint(tmp_path).take("w", 2).tolist()


@BOTH
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_engine_computes_the_same_from_bin(tmp_path: Path, dtype: torch.dtype, zipped: bool) -> None:
    """Also where nothing is aligned, as in the legacy format, and after the pages were given back."""
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, num_labels=3
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    model.to(dtype)
    model.save_pretrained(tmp_path)
    texts = [EncodedText(np.arange(1, size, dtype=np.int32), np.zeros(size - 1, np.int32)) for size in (5, 40, 9)]
    from_safetensors = OpenVinoEngine(tmp_path, read_config(tmp_path), EngineOptions()).run(texts)
    (tmp_path / "model.safetensors").unlink()
    saved(tmp_path, model.state_dict(), zipped=zipped)
    from_bin = OpenVinoEngine(tmp_path, read_config(tmp_path), EngineOptions()).run(texts)
    reference = model.to(torch.float32).eval()
    with torch.no_grad():
        expected = np.concatenate([reference(torch.tensor(text.ids[None].astype(np.int64))).logits for text in texts])

    assert expected.std() > 0.1
    np.testing.assert_allclose(from_safetensors, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(from_bin, expected, rtol=0, atol=1e-5)
