"""Safetensors files: the header that says where each tensor lies (https://huggingface.co/docs/safetensors)."""

import math
from collections.abc import Iterator
from typing import Any

from labeld.checkpoint.mapped_file import MAX_AXES, MappedFile, StoredTensor, all_counts, parse_object, shown

DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "U64": ("uint64", 8),
    "I32": ("int32", 4),
    "U32": ("uint32", 4),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""The format's names of storage types -> our names and bytes of an element; others are only checked for position."""

HEADER_LIMIT = 10_000_000
"""Bytes of JSON header, at most. The format allows ten times as many; a model of 1,000 tensors has 0.1 million."""


def read_safetensors(file: MappedFile) -> dict[str, StoredTensor]:
    """The tensors of one file, by name.

    Raises FolderError naming the file when the header does not describe the file: cut off, overlapping, misshapen.
    """
    size = int.from_bytes(file.data[:8], "little")
    start = 8 + size
    if len(file) < 8 or start > len(file):
        file.refuse("is not a safetensors file, or its header is cut off")
    if size > HEADER_LIMIT:
        file.refuse(f"has a header of {size} bytes, more than the limit of {HEADER_LIMIT}")
    try:
        entries = sorted(_entries(parse_object(file.data[8:start])), key=lambda entry: entry[3:])
    except (ValueError, TypeError, KeyError, AttributeError):
        file.refuse("has a header that is not the JSON of a safetensors file")
    at = 0
    for name, dtype, shape, begin, end in entries:
        itemsize = DTYPES[dtype][1] if dtype in DTYPES else None
        if begin != at or (itemsize is not None and end - begin != math.prod(shape) * itemsize):
            file.refuse(f"has a header that does not fit tensor {shown(name)}")
        at = end
    if at != len(file) - start:
        file.refuse(f"is {len(file) - start} bytes of tensors, but its header says {at}")
    return {
        name: StoredTensor(file, DTYPES[dtype][0] if dtype in DTYPES else dtype, shape, start + begin)
        for name, dtype, shape, begin, _ in entries
    }


def _entries(header: dict[str, Any]) -> Iterator[tuple[str, str, tuple[int, ...], int, int]]:
    """Name, storage type, shape, begin and end of each tensor; raises when an entry is not of that form."""
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if not all_counts(*shape, begin, end) or len(shape) > MAX_AXES or type(entry["dtype"]) is not str:
            raise ValueError(name)
        yield name, entry["dtype"], shape, begin, end
