"""pytorch_model.bin: the zip files of torch.save since 1.6 (2020), and the stream it wrote before.

Both are a pickle that describes tensors as windows on storages, and the storages' bytes. `torch_pickle` reads the
former without running it; the latter stay where they lie in the file. The rules are those of torch/serialization.py.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from labeld.checkpoint.mapped_file import MAX_AXES, MappedFile, StoredTensor, all_counts, in_order, shown, span
from labeld.checkpoint.torch_pickle import PickleError, Storage, Tensor, read_pickle
from labeld.checkpoint.torch_zip import zip_entries

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

SHARING_LIMIT = 4
"""Times the size of the file that its tensors may be, since tensors can share storages: a model with an output layer
tied to its embeddings has less than 2, a small file that means to fill the memory has thousands."""

StorageSlice = Callable[[Storage], int]
"""Gives the first byte of a storage, after checking that the file has all of it."""


def read_torch(file: MappedFile) -> dict[str, StoredTensor]:
    """The tensors of a state_dict that torch.save wrote, by name. Nothing in the file is executed.

    Raises FolderError naming the file when it is cut off, contradicts itself, or holds no tensors.
    """
    if file.data[:4] == b"PK\3\4":
        return _read_zip(file)
    if file.data[257:262] == b"ustar":
        file.refuse("is in the tar format of before 2017: save it again with a newer torch")
    return _read_legacy(file)


def _read_zip(file: MappedFile) -> dict[str, StoredTensor]:
    entries = zip_entries(file)
    root = next(iter(entries), "").partition("/")[0]
    if f"{root}/data.pkl" not in entries:
        file.refuse("is a zip archive without the data.pkl that torch.save writes")
    if f"{root}/byteorder" in entries:
        begin, size = entries[f"{root}/byteorder"]
        if file.data[begin : begin + min(size, 10)] != b"little":
            file.refuse("was saved on a big-endian machine, which is not supported")

    def place(storage: Storage) -> int:
        begin, size = entries.get(f"{root}/data/{storage.key}", (0, -1))
        if storage.count * storage.itemsize > size:  # type: ignore[operator]  # _Storages has checked the number
            file.refuse(f"is {'without' if size < 0 else 'too short for'} storage {shown(storage.key)}")
        return begin

    begin, size = entries[f"{root}/data.pkl"]
    state, _ = _pickled(file, begin, begin + size)
    return _tensors(file, state, place)


def _read_legacy(file: MappedFile) -> dict[str, StoredTensor]:
    """Five pickles (magic number, protocol, machine, state_dict, storage keys), then each storage behind its count."""
    values, at = [], 0
    for _ in range(5):
        value, at = _pickled(file, at, len(file))
        values.append(value)
        if type(values[0]) is not int or values[0] != LEGACY_MAGIC:
            file.refuse("is not a file of torch.save")
    _, protocol, machine, state, keys = values
    if type(protocol) is not int or protocol != LEGACY_PROTOCOL or type(machine) is not dict or type(keys) is not list:
        file.refuse("is not a file of torch.save, or of a version that is not known")
    if machine.get("little_endian") is not True:
        file.refuse("was saved on a big-endian machine, which is not supported")
    places = _places(file, keys, at, {storage.key: storage for storage in _storages_of(file, state)})

    def place(storage: Storage) -> int:
        if storage.key not in places:
            file.refuse(f"is without storage {shown(storage.key)}")
        return places[storage.key]

    return _tensors(file, state, place)


def _places(file: MappedFile, keys: list[Any], at: int, storages: dict[object, Storage]) -> dict[object, int]:
    """First byte of each storage of a legacy file; they lie one behind the other, in the order of `keys`."""
    places: dict[object, int] = {}
    for key in keys:
        if type(key) is not str or key not in storages or key in places:
            file.refuse(f"lists storage {shown(key)}, which no tensor has, or which was listed before")
        count = int.from_bytes(file.data[at : at + 8], "little")
        places[key] = at + 8
        at += 8 + count * storages[key].itemsize
        if at > len(file):
            file.refuse(f"is cut off in storage {shown(key)}")
        if count != storages[key].count:
            file.refuse(f"has {count} elements in storage {shown(key)}, but its tensors say otherwise")
    return places


def _pickled(file: MappedFile, begin: int, end: int) -> tuple[Any, int]:
    try:
        return read_pickle(file.data, begin, end)
    except PickleError as error:
        file.refuse(str(error))


def _storages_of(file: MappedFile, state: object) -> list[Storage]:
    """Every tensor's storage, checked: known by one key, of one type and one size wherever it is named."""
    if type(state) is not dict:
        file.refuse("holds no state_dict, the mapping from names to tensors")
    if not any(type(entry) is Tensor for entry in state.values()):
        file.refuse("holds no tensor by a name of its own")
    seen: dict[str, Storage] = {}
    for name, tensor in _all_tensors(state):
        storage = tensor.storage
        if type(storage.key) is not str or not all_counts(storage.count):
            file.refuse(f"describes the storage of tensor {shown(name)} by something other than a key and a count")
        first = seen.setdefault(storage.key, storage)
        if (first.dtype, first.count) != (storage.dtype, storage.count):
            file.refuse(f"describes storage {shown(storage.key)} in two ways")
    return list(seen.values())


def _all_tensors(state: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """All tensors of the state_dict and of its nested entries, whose storages lie in the file as well."""
    for name, entry in state.items():
        inside, visited = [entry], {id(entry)}
        while inside:
            value = inside.pop()
            if type(value) is Tensor:
                yield name, value
            members = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
            for member in members:
                if id(member) not in visited:  # a list may lie in itself
                    visited.add(id(member))
                    inside.append(member)


def _tensors(file: MappedFile, state: Any, place: StorageSlice) -> dict[str, StoredTensor]:
    """The tensors of the state_dict. Its other entries, such as an epoch's number, are ignored as in transformers."""
    begins = {storage.key: place(storage) for storage in _storages_of(file, state)}
    found = {name: entry for name, entry in state.items() if type(entry) is Tensor}
    tensors = {name: _tensor(file, name, tensor, begins[tensor.storage.key]) for name, tensor in found.items()}
    total = sum(math.prod(tensor.shape) * found[name].storage.itemsize for name, tensor in tensors.items())
    if total > SHARING_LIMIT * len(file):
        file.refuse(f"is {len(file)} bytes, but its tensors would be {total}")
    return tensors


def _tensor(file: MappedFile, name: str, tensor: Tensor, begin: int) -> StoredTensor:
    """The tensor, which must lie inside its storage, or inside the part of it that the file names."""
    storage, shape, strides = tensor.storage, tensor.shape, tensor.strides
    view: tuple[Any, ...] = storage.view if storage.view and len(storage.view) == 2 else (0, storage.count)
    view_offset, count = view
    numel = (*shape, *strides, tensor.offset, view_offset, count)
    if len(shape) != len(strides) or len(shape) > MAX_AXES or not all_counts(*numel):
        file.refuse(f"has tensor {shown(name)}, whose shape, strides or offset are not possible")
    reach = tensor.offset + span(shape, strides)  # type: ignore[operator]  # all_counts has seen to it
    if reach > count or view_offset + count > storage.count:
        file.refuse(f"has tensor {shown(name)}, which reaches beyond its storage")
    begin += (view_offset + tensor.offset) * storage.itemsize
    steps = tuple(0 if size == 1 else step for size, step in zip(shape, strides, strict=True))
    ordered = all(size == 1 or step == own for size, step, own in zip(shape, steps, in_order(shape), strict=True))
    return StoredTensor(file, storage.dtype, shape, begin, None if ordered or 0 in shape else steps)
