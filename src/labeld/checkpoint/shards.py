"""The form of a folder's weights, and the index of their shards where there are several."""

import re
from pathlib import Path

from labeld.checkpoint.file_names import INDEX_SUFFIX, WEIGHTS
from labeld.checkpoint.mapped_file import LFS_POINTER, parse_object, shown
from labeld.checkpoint.plain_file import read_plain
from labeld.errors import FolderError

INDEX_LIMIT = 10_000_000
"""Bytes of an index, at most; one of 1,000 tensors has 0.1 million."""

SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
"""Matches a file name that cannot be a path."""


def weights_form(folder: Path) -> str:
    """The first of `WEIGHTS` that is present; raises FolderError when none is."""
    try:
        found = next((name for name in WEIGHTS if (folder / name).exists()), None)
    except OSError as error:
        raise FolderError(f"The folder cannot be read: {error.strerror}.") from None
    if found is None:
        raise FolderError(f"The folder has no weights: none of {', '.join(WEIGHTS)} is there.")
    return found


def weight_files(folder: Path) -> list[str]:
    """Names of the files that the folder's weights are read from, the index among them; raises FolderError."""
    form = weights_form(folder)
    return [form, *sorted(set(read_index(folder / form).values()))] if form.endswith(INDEX_SUFFIX) else [form]


def read_index(path: Path) -> dict[str, str]:
    """Shard of each tensor, by an index file; raises FolderError as `parse_index`, or when it cannot be read."""
    return parse_index(path.name, read_plain(path, INDEX_LIMIT))


def parse_index(name: str, content: bytes) -> dict[str, str]:
    """Shard of each tensor, by the content of the index of this name.

    Raises FolderError naming the index when it is none, or names a file that is not of its form or in its folder.
    """
    if content.startswith(LFS_POINTER):
        raise FolderError(f"{name} is a Git LFS pointer instead of the index: fetch it with git lfs pull.")
    if not content:
        raise FolderError(f"{name} is empty.")
    try:
        index = parse_object(content).get("weight_map")
    except ValueError:
        raise FolderError(f"{name} is not a JSON object, or has a key twice.") from None
    if not isinstance(index, dict) or not index:
        raise FolderError(f"{name} has no weight_map, the mapping from tensors to files.")
    suffix = ".safetensors" if "safetensors" in name else ".bin"
    for shard in set(map(str, index.values())):
        if not SHARD.fullmatch(shard) or not shard.endswith(suffix):
            raise FolderError(
                f"{name} names the file {shown(shard)}, but only names in the same folder with {suffix} are allowed."
            )
    return {tensor: str(shard) for tensor, shard in index.items()}
