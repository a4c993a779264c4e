"""The directory of a zip archive as torch.save writes it: which bytes of the file each entry is.

Nothing is unpacked: torch stores its entries uncompressed, so that they can be used where they lie, and other archives
are refused. The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7 to 4.3.16.
"""

import struct
from collections.abc import Iterator

from labeld.checkpoint.mapped_file import MappedFile, shown

ENTRY_LIMIT = 100_000
"""Entries of an archive, at most."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED = 0x2041
"""Bits of the flags: encrypted, strongly encrypted, directory encrypted."""
_LATER = 0xFFFFFFFF
"""Value that refers to the zip64 field instead."""


def zip_entries(file: MappedFile) -> dict[str, tuple[int, int]]:
    """First byte and size of every entry, by its full name.

    Raises FolderError naming the file, and the entry, when the archive is cut off, compressed, encrypted, contradicts
    itself, or has names that leave the archive.
    """
    count, size, begin = _end_record(file)
    if count > ENTRY_LIMIT:
        file.refuse(f"has {count} zip entries, more than the limit of {ENTRY_LIMIT}")
    if begin + size > len(file):
        file.refuse("is a zip archive whose directory is cut off")
    found: dict[str, tuple[int, int]] = {}
    listing = list(_directory(file, count, begin, begin + size))
    if any(name.endswith("/constants.pkl") for name, *_ in listing):
        file.refuse("is a TorchScript archive, which is a program: save the state_dict with torch.save")
    for name, at, length, stored in listing:
        if not stored:
            file.refuse(f"has the compressed or encrypted zip entry {shown(name)}; torch stores entries as they are")
        if ".." in name.split("/") or name.startswith("/") or "\\" in name:
            file.refuse(f"has the zip entry {shown(name)}, a name that leaves the archive")
        if name in found:
            file.refuse(f"has the zip entry {shown(name)} twice")
        found[name] = (_content(file, name, at), length)
        if sum(found[name]) > begin:
            file.refuse(f"is cut off in the zip entry {shown(name)}, or that reaches into the directory")
    _refuse_overlaps(file, found)
    return found


def _end_record(file: MappedFile) -> tuple[int, int, int]:
    """Entries of the directory, its bytes, and where it begins."""
    at = file.data.rfind(b"PK\5\6", max(0, len(file) - _END.size - 0xFFFF))
    if at < 0 or at + _END.size > len(file):
        file.refuse("is a zip archive that is cut off")
    _, _, _, _, count, size, begin, _ = _END.unpack_from(file.data, at)
    locator = at - _END64_LOCATOR.size
    if locator >= 0 and file.data[locator : locator + 4] == b"PK\6\7":
        _, _, at, _ = _END64_LOCATOR.unpack_from(file.data, locator)
        if at + _END64.size > len(file) or file.data[at : at + 4] != b"PK\6\6":
            file.refuse("is a zip archive whose directory is broken")
        *_, count, size, begin = _END64.unpack_from(file.data, at)
    return count, size, begin


def _directory(file: MappedFile, count: int, at: int, end: int) -> Iterator[tuple[str, int, int, bool]]:
    """Name, local header and size of each entry that the directory lists, and whether it is stored as it is."""
    for _ in range(count):
        if at + _CENTRAL.size > end or file.data[at : at + 4] != b"PK\1\2":
            file.refuse("is a zip archive whose directory is broken")
        fields = _CENTRAL.unpack_from(file.data, at)
        flags, method, packed, size, names, extras, comments, local = (fields[n] for n in (3, 4, 8, 9, 10, 11, 12, 16))
        at += _CENTRAL.size
        name = file.data[at : at + names].decode("utf-8", "backslashreplace")
        extra = file.data[at + names : at + names + extras]
        at += names + extras + comments
        if at > end:
            file.refuse("is a zip archive whose directory is broken")
        size, packed, local = _in_64_bits(file, extra, size, packed, local)
        yield name, local, size, method == 0 and size == packed and not flags & _ENCRYPTED


def _in_64_bits(file: MappedFile, extra: bytes, *numel: int) -> list[int]:
    """The numbers, those that did not fit taken from the zip64 field (id 1), which has them in this order."""
    if _LATER not in numel:
        return list(numel)
    field = b""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<2H", extra)
        if kind == 1:
            field = extra[4 : 4 + size]
        extra = extra[4 + size :]
    if len(field) < 8 * numel.count(_LATER):
        file.refuse("is a zip archive whose directory is broken")
    later = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
    return [next(later) if number == _LATER else number for number in numel]


def _content(file: MappedFile, name: str, at: int) -> int:
    """Where an entry's content begins; its local header must agree with the directory."""
    if at + _LOCAL.size > len(file):
        file.refuse(f"is cut off in the zip entry {shown(name)}")
    signature, _, _, method, _, _, _, _, _, names, extras = _LOCAL.unpack_from(file.data, at)
    at += _LOCAL.size
    own_name = file.data[at : at + names].decode("utf-8", "backslashreplace")
    if signature != b"PK\3\4" or method != 0 or own_name != name:
        file.refuse(f"has a zip directory that does not fit the entry {shown(name)}")
    return int(at + names + extras)


def _refuse_overlaps(file: MappedFile, found: dict[str, tuple[int, int]]) -> None:
    """No byte may belong to two entries: that is how small archives claim to be huge."""
    last = 0
    for name, (at, size) in sorted(found.items(), key=lambda entry: entry[1]):
        if at < last:
            file.refuse(f"has the zip entry {shown(name)}, which overlaps another one")
        last = at + size
