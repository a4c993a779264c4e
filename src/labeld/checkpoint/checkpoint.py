"""A model folder's weights by name, in any of the four forms: nothing of them is executed, or read before its use."""

import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from labeld.checkpoint.file_names import INDEX_SUFFIX
from labeld.checkpoint.mapped_file import FLOATS, FloatArray, MappedFile, StoredTensor, WeightArray, shown
from labeld.checkpoint.safetensors import read_safetensors
from labeld.checkpoint.shards import read_index, weights_form
from labeld.checkpoint.spill_file import Kept, SpillFile
from labeld.errors import FolderError

_log = logging.getLogger(__name__)

OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""Tensor names of 2018 and the present ones (`legacy` in transformers' conversion_mapping.py)."""

BASE_MODELS = ("bert.", "distilbert.", "roberta.", "deberta.", "electra.", "model.")
"""Prefixes that transformers adds to a tensor's name, or takes off, where that makes it one that it needs:
`base_model_prefix` of the architectures (`rename_source_key` in its core_model_loading.py)."""

HARMLESS = re.compile(r"(^|\.)(position_ids|token_type_ids|(encoder|decoder)\.version)$")
"""Matches names of tensors that old versions of transformers stored and no model reads."""

NAMED_EXTRAS = 5
"""Extra tensors that the warning names, at most."""


class Checkpoint:
    """The tensors of one model, by the names that transformers knows them by. Owns the mapped files."""

    def __init__(self, file_name: str, tensors: dict[str, StoredTensor], files: Sequence[MappedFile]) -> None:
        self.file_name = file_name
        self._tensors = tensors
        self._files = files
        self._taken: set[str] = set()
        self._spill: SpillFile | None = None
        self._widens = False
        self.spills = False
        """Whether there is a spill file that takes arrays, so that they stay in the file."""

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as float32."""
        return 4 * self.numel

    def take(self, name: str, *shape: int) -> FloatArray:
        """The tensor as float32, of exactly this shape; a view of the mapped file where it is stored like that.

        Raises FolderError naming the tensor if it is missing, misshapen, or not stored as floating point.
        """
        return self._find(name, shape).as_float32()

    def take_stored(self, name: str, *shape: int) -> WeightArray:
        """The tensor as it is stored: a view of the file for float16 and bfloat16 too (its bits, as uint16)."""
        return self._find(name, shape).as_stored()

    def take_all(self) -> Iterator[tuple[str, FloatArray]]:
        """Each tensor that is stored as floating point: its name in the files, old ones replaced, and its float32."""
        for name, tensor in self._tensors.items():
            if tensor.dtype in FLOATS:
                yield name, tensor.as_float32()

    @property
    def numel(self) -> int:
        """Numbers in all tensors together; one that has several names counts once."""
        return sum(math.prod(tensor.shape) for tensor in set(self._tensors.values()))

    def unify(self, name: str, other: str, *shape: int) -> bool:
        """Whether two tensors have the same numbers; both names then stand for the first one.

        Raises FolderError as `take`.
        """
        kept, second = self._find(name, shape), self._find(other, shape)
        if kept != second and not np.array_equal(kept.as_stored(), second.as_stored()):
            return False
        self._tensors |= {one: kept for one, tensor in self._tensors.items() if tensor == second}
        return True

    def take_matrix(self, name: str, *shape: int) -> WeightArray:
        """The tensor as stored; widened to float32 in the spill file, if that is for it, where it is in 16 bits."""
        stored = self.take_stored(name, *shape)
        if not (self._widens and self.spills) or stored.dtype == np.float32:
            return stored
        kept = self.keep(self.take(name, *shape))
        return stored if kept is None else kept

    def keep(self, array: Kept) -> Kept | None:
        """A copy of the array that lies in the spill file; None where there is none, or no room."""
        if self._spill is None or not self.spills:
            return None
        try:
            return self._spill.keep(array)
        except OSError as error:
            _log.warning("the cache folder has no room for copies of weights, which stay in memory: %s", error.strerror)
            self.spills = False  # NOTE: the file stays, since arrays that lie in it are in use
            return None

    def spill_into(self, folder: Path, *, widens: bool) -> None:
        """Makes a spill file in this folder, for `keep` and, with `widens`, for the matrices taken from now on."""
        try:
            self._spill = SpillFile(folder)
        except OSError as error:
            _log.warning("the cache folder cannot be written, so copies of weights stay in memory: %s", error.strerror)
        else:
            self.spills, self._widens = True, widens

    def __contains__(self, name: str) -> bool:
        return self._stored_name(name) is not None

    def unused(self) -> list[str]:
        """Names of the tensors that were never taken, sorted."""
        return sorted(set(self._tensors) - self._taken)

    def warn_of_unused(self) -> None:
        """Logs one warning that names the tensors which were never taken: config.json may belong to another model."""
        self.warn_of_extra(self.unused())

    def warn_of_extra(self, names: Sequence[str]) -> None:
        """Logs one warning that names these tensors, but for harmless ones, as unused."""
        extra = [shown(name) for name in names if not HARMLESS.search(name)]
        if extra:
            named = ", ".join(extra[:NAMED_EXTRAS]) + (", …" if len(extra) > NAMED_EXTRAS else "")
            _log.warning("%s has %d tensors that the model does not use: %s.", self.file_name, len(extra), named)

    def release(self) -> None:
        """Gives the files' resident pages back to the system; a later read brings them back from disk."""
        for file in self._files:
            file.release()
        if self._spill:
            self._spill.release()

    def _find(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        stored_name = self._stored_name(name)
        if stored_name is None:
            raise FolderError(f"{self.file_name} has no tensor {name}.")
        tensor = self._tensors[stored_name]
        if tensor.shape != shape:
            raise FolderError(
                f"{tensor.file.name}: tensor {name} has shape {list(tensor.shape)}, but {list(shape)} is needed."
            )
        if tensor.dtype not in FLOATS:
            raise FolderError(
                f"{tensor.file.name}: tensor {name} is stored as {shown(tensor.dtype)}, but one of {', '.join(FLOATS)} "
                "is needed."
            )
        self._taken.add(stored_name)
        return tensor

    def _stored_name(self, name: str) -> str | None:
        """The tensor's name in the files, None if they do not have it."""
        base = next((prefix for prefix in BASE_MODELS if name.startswith(prefix)), None)
        others = [prefix + name for prefix in BASE_MODELS] if base is None else [name.removeprefix(base)]
        return next((candidate for candidate in (name, *others) if candidate in self._tensors), None)


def open_checkpoint(folder: Path, copies: Path | None = None) -> Checkpoint:
    """The weights of a model folder: safetensors before .bin, one file before several.

    `copies` is a folder for copies of files that others may change in place while they are used. Reads what the files
    say of their tensors, but no tensor. Raises FolderError naming the file that is missing or wrong.
    """
    file_name = weights_form(folder)
    if not file_name.endswith(INDEX_SUFFIX):
        file = MappedFile(folder / file_name, copies)
        return Checkpoint(file_name, _renamed(file, _read(file)), [file])
    index = read_index(folder / file_name)
    files = [MappedFile(folder / shard, copies) for shard in sorted(set(index.values()))]
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        found = _read(file)
        absent = next((name for name, shard in index.items() if shard == file.name and name not in found), None)
        if absent is not None:
            file.refuse(f"has no tensor {shown(absent)}, which {file_name} says it has")
        twice = next((name for name in _renamed(file, found) if name in tensors), None)
        if twice is not None:
            file.refuse(f"has tensor {shown(twice)}, which {tensors[twice].file.name} has as well")
        tensors |= _renamed(file, found)
    return Checkpoint(file_name, tensors, files)


def _read(file: MappedFile) -> dict[str, StoredTensor]:
    if file.name.endswith(".safetensors"):
        return read_safetensors(file)
    from labeld.checkpoint.torch_file import read_torch  # noqa: PLC0415  # few models have such a file

    return read_torch(file)


def _renamed(file: MappedFile, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors by their present names; one that is there by its old and its new name is refused."""
    renamed: dict[str, StoredTensor] = {}
    for old_name, tensor in tensors.items():
        name = old_name
        for old, new in OLD_NAMES.items():
            name = name.replace(old, new)
        if name in renamed:
            file.refuse(f"has tensor {shown(name)} twice, by its old name and by its new one")
        renamed[name] = tensor
    return renamed
