"""Safetensors files, whole and broken."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.errors import FolderError

VALUES = [[1.5, -2.0, 3.25], [0.0, 1e-3, 7.0]]


def written(path: Path, header: object, data: bytes = b"", size: int | None = None) -> Path:
    """A file with this JSON header and these data bytes, its header length honest unless given."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if size is None else size).to_bytes(8, "little") + text + data)
    return path


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, object]:
    """One entry of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_storage_type_is_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    """The values are those that torch reads from the same file."""
    stored = torch.tensor(VALUES).to(dtype)
    save_file({"pad": torch.zeros(3, dtype=torch.uint8), "w": stored}, tmp_path / "model.safetensors")

    taken = open_checkpoint(tmp_path).take("w", 2, 3)

    assert np.float32 == taken.dtype
    assert stored.to(torch.float32).numpy().tolist() == taken.tolist()


def test_tensors_nobody_took_are_named(tmp_path: Path) -> None:
    """The names of the rest, sorted."""
    save_file({name: torch.zeros(1) for name in ("b", "a", "c")}, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    checkpoint.take("b", 1)

    assert ["a", "c"] == checkpoint.unused()


def test_released_pages_are_read_again(tmp_path: Path) -> None:
    """Giving the pages back loses nothing."""
    save_file({"w": torch.tensor(VALUES)}, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    taken = checkpoint.take("w", 2, 3)
    checkpoint.release()

    assert np.array(VALUES, np.float32).tolist() == taken.tolist()


def test_a_missing_or_misshapen_tensor_is_named(tmp_path: Path) -> None:
    """With both shapes."""
    save_file({"w": torch.tensor(VALUES)}, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)

    with pytest.raises(FolderError, match=r"^model\.safetensors has no tensor v\.$"):
        checkpoint.take("v", 1)
    with pytest.raises(FolderError, match=r"tensor w has shape \[2, 3\], but \[3, 2\] is needed"):
        checkpoint.take("w", 3, 2)


@pytest.mark.parametrize(
    ("header", "data", "size", "expected"),
    [
        (b"", b"", 0, "not the JSON"),
        ({}, b"", 10**6, "cut off"),
        ({}, b"", 2**63, "cut off"),
        (b"[" * 5000, b"", None, "not the JSON"),
        ([], b"", None, "not the JSON"),
        ({"w": 1}, b"", None, "not the JSON"),
        (b'{"w": 1, "w": 1}', b"", None, "not the JSON"),
        ({"w": tensor([0] * 9, 0, 0)}, b"", None, "not the JSON"),
        ({}, b" " * 10_000_001, 10_000_001, "more than the limit of 10000000"),
        ({"w": tensor([2], 0, 8)}, b"1234", None, "is 4 bytes of tensors, but its header says 8"),
        ({"w": tensor([1], 0, 4)}, b"12345678", None, "is 8 bytes of tensors, but its header says 4"),
        ({"w": tensor([3], 0, 8)}, b"12345678", None, "does not fit tensor w"),
        ({"w": tensor([-2], 0, 8)}, b"12345678", None, "not the JSON"),
        ({"w": tensor([2**62, 4], 0, 0)}, b"", None, "does not fit tensor w"),
        ({"v": tensor([2], 0, 8), "w": tensor([1], 4, 8)}, b"12345678", None, "does not fit tensor w"),
        ({"w": tensor([1], 4, 8)}, b"12345678", None, "does not fit tensor w"),
    ],
)
def test_a_header_that_lies_is_refused(
    tmp_path: Path, header: object, data: bytes, size: int | None, expected: str
) -> None:
    """Whatever is wrong with it, one sentence names the file and nothing is read through it."""
    path = written(tmp_path / "model.safetensors", header, data, size)

    with pytest.raises(FolderError, match=expected) as refused:
        open_checkpoint(path.parent)
    assert str(refused.value).startswith("model.safetensors")


def test_whatever_is_no_safetensors_file_is_named(tmp_path: Path) -> None:
    """Empty, a folder, a named pipe (which must not be waited for), a pointer of Git LFS."""
    path = tmp_path / "model.safetensors"
    path.touch()
    with pytest.raises(FolderError, match=r"^model\.safetensors is empty\.$"):
        open_checkpoint(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FolderError, match="not a plain file"):
        open_checkpoint(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(FolderError, match="not a plain file"):
        open_checkpoint(tmp_path)
    path.unlink()
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(FolderError, match="is a Git LFS pointer"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(("dtype", "called"), [(torch.int64, "int64"), (torch.float8_e4m3fn, "F8_E4M3")])
def test_a_weight_that_is_not_floating_point_is_refused(tmp_path: Path, dtype: torch.dtype, called: str) -> None:
    """Its storage type is named, and those that are read."""
    save_file({"w": torch.ones(2).to(dtype)}, tmp_path / "model.safetensors")

    with pytest.raises(FolderError, match=f"tensor w is stored as {called}, but one of float32"):
        open_checkpoint(tmp_path).take("w", 2)
