"""Weight files that mean harm or are broken, by a name, each with what the refusal must say.

`python hostile_files.py FOLDER` loads those of a folder under an audit hook and prints every event that would mean
that something of a file was executed.
"""

import io
import json
import resource
import struct
import sys
import zipfile
from pathlib import Path

CANARY = "canary"
"""File that the hostile pickles would make in the working directory."""

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
HEAD = MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}U\x0dlittle_endian\x88s."
FLOATS = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
COMMAND = f"touch {CANARY}".encode()
STORAGE = b"(U\x07storage" + FLOATS + b"U\x010U\x03cpuK\x04tQ"
TEXT = b"X" + struct.pack("<I", len(COMMAND)) + COMMAND


def number(value: int) -> bytes:
    """The instruction that makes a whole number of any size."""
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def tensor(
    shape: tuple[int, ...] = (2,),
    strides: tuple[int, ...] = (1,),
    offset: int = 0,
    count: int = 4,
    storage: bytes | None = None,
) -> bytes:
    """Instructions that describe a tensor on storage 0, honest by default."""
    storage = b"(U\x07storage" + FLOATS + b"U\x010U\x03cpu" + number(count) + b"tQ" if storage is None else storage
    sizes = b"(" + b"".join(map(number, shape)) + b"t(" + b"".join(map(number, strides)) + b"t"
    return REBUILD + b"(" + storage + number(offset) + sizes + b"\x89NtR"


def state(value: bytes) -> bytes:
    """A pickled state_dict of one entry, w."""
    return b"\x80\x02}U\x01w" + value + b"s."


def legacy(pickle: bytes, floats: int = 4, claimed: int | None = None) -> bytes:
    """A legacy file with this pickle as its state_dict, and one storage of this many elements."""
    count = floats if claimed is None else claimed
    return HEAD + pickle + b"\x80\x02]U\x010a." + count.to_bytes(8, "little") + bytes(4 * floats)


def archive(
    pickle: bytes, *, more: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED, root: str = "a"
) -> bytes:
    """A zip file with this pickle as its state_dict, and one storage of four elements."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in ({"data.pkl": pickle, "version": b"3\n"} | (more or {}) | {"data/0": bytes(16)}).items():
            file.writestr(name if name.startswith("!") else f"{root}/{name}", content)
    return buffer.getvalue()


def patched(file: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """The file with bytes replaced at this offset from the last record with this signature."""
    at = file.rindex(signature) + offset
    return file[:at] + value + file[at + len(value) :]


CALLS = {
    "os.system": (b"cos\nsystem\n" + TEXT + b"\x85R", "refers to os.system, which no tensor needs"),
    "posix": (b"cposix\nsystem\n" + TEXT + b"\x85R", "refers to posix.system"),
    "eval": (b"cbuiltins\neval\nU\x011\x85R", "refers to builtins.eval"),
    "python 2": (b"c__builtin__\napply\n", "refers to __builtin__.apply"),
    "getattr": (b"cbuiltins\ngetattr\n", "refers to builtins.getattr"),
    "dotted name": (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "refers to torch._utils._rebuild_tensor_v2.__"),
    "dotted storage": (b"ctorch\nFloatStorage.__init__\n", "refers to torch.FloatStorage.__init__"),
    "look-alike": (b"ctorch.evil\nFloatStorage\n", "refers to torch.evil.FloatStorage"),
    "look-alike module": (b"ctorchx\nFloatStorage\n", "refers to torchx.FloatStorage"),
    "torch.load": (b"ctorch\nload\n" + TEXT + b"\x85R", "refers to torch.load"),
    "typed storage": (b"ctorch.storage\nTypedStorage\n", "refers to torch.storage.TypedStorage"),
    "v3": (b"ctorch._utils\n_rebuild_tensor_v3\n", "refers to torch._utils._rebuild_tensor_v3"),
    "no text": (b"c\xff\x1b[31m\n\xe2\x80\xa8\n", r"refers to \\xff\x1b[31m.\\xe2\\x80\\xa8"),
    "endless name": (b"c" + b"a" * 5000 + b"\nb\n", "is broken"),
    "stack global": (b"U\x02osU\x06system\x93" + TEXT + b"\x85R", "pickle instruction STACK_GLOBAL, which no tensor"),
    "inst": (b"(" + TEXT + b"ios\nsystem\n", "pickle instruction INST"),
    "obj": (b"(cos\nsystem\n" + TEXT + b"o", "refers to os.system"),
    "obj of a known name": (b"(" + FLOATS + b"o", "pickle instruction OBJ"),
    "newobj": (FLOATS + b")\x81", "pickle instruction NEWOBJ"),
    "newobj ex": (FLOATS + b")}\x92", "pickle instruction NEWOBJ_EX"),
    "ext1": (b"\x82\x01", "pickle instruction EXT1"),
    "ext2": (b"\x83\x01\x00", "pickle instruction EXT2"),
    "ext4": (b"\x84\x01\x00\x00\x00", "pickle instruction EXT4"),
    "persid": (b"P0\n", "pickle instruction PERSID"),
    "frame": (b"\x95" + b"\xff" * 8, "pickle instruction FRAME"),
    "bytearray of 8 GiB": (b"\x96" + struct.pack("<Q", 2**33), "pickle instruction 0x96"),
    "text of 4 GiB": (b"X\xff\xff\xff\xff", "is cut off"),
    "number of 2 GiB": (b"\x8b\xff\xff\xff\x7f", "pickle instruction 0x8b"),
    "build on a name": (FLOATS + b"}b", "is broken"),
    "build on a tensor": (tensor() + b"}U\x0c__setstate__K\x01sb", "is broken"),
    "reduce a storage type": (FLOATS + b")R", "is broken"),
    "reduce a text": (b"U\x06system)R", "is broken"),
    "reduce with a list": (b"ccollections\nOrderedDict\n]R", "is broken"),
    "ordered dict of numbers": (b"ccollections\nOrderedDict\n(](K\x01K\x01tatR", "is broken"),
    "parameter of nothing": (b"ctorch._utils\n_rebuild_parameter\n(N\x88NtR", "is broken"),
    "tensor on nothing": (tensor(storage=b"N"), "is broken"),
    "tensor on a tensor": (tensor(storage=tensor()), "is broken"),
    "persistent text": (b"U\x01xQ", "is broken"),
    "persistent number": (b"K\x01Q", "is broken"),
    "persistent nothing": (b")Q", "is broken"),
    "persistent module": (b"(U\x06moduleK\x01K\x01K\x01K\x01tQ", "a persistent id that is no storage"),
    "persistent call": (b"(U\x07storage" + REBUILD + b"U\x010U\x03cpuK\x04tQ", "is broken"),
    "unknown memo": (b"h\x63", "is broken"),
    "empty stack": (b"000", "is broken"),
    "no mark": (b"K\x01t", "is broken"),
    "unhashable key": (b"}]K\x01s", "is broken"),
    "number as key": (b"}K\x01K\x01s", "is broken"),
    "protocol 99": (b"\x80\x63", "is broken"),
    "a list": (b"](K\x01K\x01e", "holds no tensor by a name of its own"),
    "a text": (b"U\x01x", "holds no tensor by a name of its own"),
    "deep nesting": (b")" + b"\x85" * 200_000, "holds no tensor by a name of its own"),
    "list in itself": (b"]q\x01h\x01a", "holds no tensor by a name of its own"),
    "many steps": (b"N0" * 1_500_000, "a pickle of more than 2000000 steps"),
    "many pairs": (
        b"ccollections\nOrderedDict\nq\x00(](" + b"(U\x01aNt" * 20_000 + b"etq\x010" + b"h\x00h\x01R0" * 10_000,
        "a pickle of more than 2000000 steps",
    ),
}
"""Instructions in place of a tensor; each is tried in both formats."""

SHAPES = {
    "beyond the storage": (tensor((5,)), "tensor w, which reaches beyond its storage"),
    "offset beyond": (tensor((2,), offset=3), "reaches beyond its storage"),
    "stride beyond": (tensor((2, 2), (3, 1)), "reaches beyond its storage"),
    "huge stride": (tensor((2,), (2**62,)), "reaches beyond its storage"),
    "stride of 64 bits": (tensor((2,), (2**64,)), "are not possible"),
    "huge shape": (tensor((2**40, 2**40), (0, 0)), "but its tensors would be"),
    "repeated": (tensor((2**33,), (0,)), "but its tensors would be"),
    "negative size": (tensor((-2,)), "shape, strides or offset are not possible"),
    "negative stride": (tensor((2,), (-1,), 2), "are not possible"),
    "negative offset": (tensor((2,), offset=-1), "are not possible"),
    "more strides": (tensor((2,), (1, 1)), "are not possible"),
    "many axes": (tensor((1,) * 9, (1,) * 9), "are not possible"),
    "size of text": (REBUILD + b"(" + STORAGE + b"K\x00U\x012K\x01\x85\x89NtR", "is broken"),
    "negative storage": (tensor(count=-4), "something other than a key and a count"),
    "storage by number": (
        tensor(storage=b"(U\x07storage" + FLOATS + b"K\x00U\x03cpuK\x04tQ"),
        "something other than a key and a count",
    ),
    "unknown storage": (tensor(storage=b"(U\x07storage" + FLOATS + b"U\x019U\x03cpuK\x04tQ"), "storage "),
    "path as storage": (
        tensor(storage=b"(U\x07storage" + FLOATS + b"U\x0a../../evilU\x03cpuK\x04tQ"),
        "storage ",
    ),
    "view beyond": (
        tensor(storage=b"(U\x07storage" + FLOATS + b"U\x010U\x03cpuK\x04(U\x01vK\x03K\x02ttQ"),
        "reaches beyond its storage",
    ),
    "view of text": (
        tensor(storage=b"(U\x07storage" + FLOATS + b"U\x010U\x03cpuK\x04(U\x01vU\x01xU\x01yttQ"),
        "are not possible",
    ),
    "storage of two types": (
        tensor() + b"sU\x01v" + tensor(storage=b"(U\x07storagectorch\nHalfStorage\nU\x010U\x03cpuK\x04tQ"),
        "describes storage 0 in two ways",
    ),
}
"""Descriptions of a tensor that no file of torch.save has; each is tried in both formats."""


def _zips() -> dict[str, tuple[bytes, str]]:
    good = archive(state(tensor()))
    central, end = b"PK\1\2", b"PK\5\6"
    first = good.index(central)
    return {
        "truncated zip": (good[:-30], "is a zip archive that is cut off"),
        "zip cut in its data": (good[:60] + good[-22:], "directory is"),
        "compressed zip": (archive(state(tensor()), method=zipfile.ZIP_DEFLATED), "compressed or encrypted zip entry"),
        "encrypted zip": (patched(good, central, 8, b"\x01\x00"), "compressed or encrypted zip entry a/data/0"),
        "zip name that leaves": (archive(state(tensor()), more={"!/../../evil": b"x"}), "leaves the archive"),
        "zip name with a backslash": (archive(state(tensor()), more={"..\\evil": b"x"}), "leaves the archive"),
        "zip bomb": (patched(good, central, 24, b"\xfe\xff\xff\xff"), "compressed or encrypted"),
        "zip bomb of both sizes": (patched(good, central, 20, b"\xfe\xff\xff\xff" * 2), "cut off in the zip entry"),
        "zip64 without its field": (patched(good, central, 20, b"\xff\xff\xff\xff" * 2), "directory is broken"),
        "zip of many entries": (patched(good, end, 10, b"\xff\xff"), "directory is broken"),
        "zip directory beyond": (patched(good, end, 16, b"\xf0\xff\xff\xff"), "directory is cut off"),
        "zip entry elsewhere": (patched(good, central, 42, b"\x05\x00\x00\x00"), "does not fit the entry a/data/0"),
        "zip entry in the directory": (
            patched(good, central, 20, struct.pack("<2L", 40, 40)),
            "the zip entry a/data/0",
        ),
        "zip entries that overlap": (
            good.replace(good[first + 20 : first + 28], struct.pack("<2L", 150, 150)),
            "the zip entry a/version, which overlaps another one",
        ),
        "zip without data.pkl": (archive(state(tensor()), root="b").replace(b"data.pkl", b"date.pkl"), "without the d"),
        "zip of nothing": (b"PK\3\4" + archive(b"")[-22:-12] + bytes(12), "is "),
        "big-endian zip": (archive(state(tensor()), more={"byteorder": b"big"}), "big-endian"),
        "torchscript": (
            archive(state(tensor()), more={"code/a.py": b"x" * 99, "constants.pkl": b"x"}, method=zipfile.ZIP_DEFLATED),
            "is a TorchScript archive, which is a program",
        ),
        "short storage": (archive(state(tensor((5,), count=5))), "is too short for storage 0"),
        "pickle without an end": (archive(state(tensor())[:-1]), "is cut off"),
        "no state_dict": (archive(b"\x80\x02K\x01."), "holds no state_dict"),
        "a name as state_dict": (archive(b"\x80\x02" + FLOATS + b"."), "holds no state_dict"),
        "huge pickle": (archive(b"\x80\x02U\x01x0" + b"N0" * 100 + bytes(8_100_000)), "instruction 0x00"),
        "long text": (archive(b"\x80\x02X" + struct.pack("<I", 8_100_000) + bytes(8_100_000) + b"."), "more than 8000"),
    }


def _legacies() -> dict[str, tuple[bytes, str]]:
    good = legacy(state(tensor()))
    return {
        "truncated legacy": (good[:-3], "is cut off in storage 0"),
        "legacy without storages": (good[:-24], "is cut off in storage 0"),
        "legacy of a pickle only": (HEAD, "is cut off"),
        "legacy that claims more": (legacy(state(tensor()), claimed=2**61), "is cut off in storage 0"),
        "legacy that claims less": (legacy(state(tensor()), claimed=3), "3 elements in storage 0"),
        "legacy with another key": (good.replace(b"]U\x010a", b"]U\x011a"), "lists storage 1, which no tensor has"),
        "legacy with a key twice": (good.replace(b"]U\x010a", b"]U\x010aU\x010a"), "was listed before"),
        "legacy with a list as key": (good.replace(b"]U\x010a", b"]]a"), "lists storage list"),
        "legacy without keys": (good.replace(b"]U\x010a", b"]"), "is without storage 0"),
        "legacy with a key of numbers": (good.replace(b"]U\x010a", b"K\x01"), "is not a file of torch.save, or of"),
        "legacy of another protocol": (good.replace(b"M\xe9\x03.", b"M\xea\x03."), "of a version that is not known"),
        "big-endian legacy": (good.replace(b"little_endian\x88", b"little_endian\x89"), "big-endian"),
        "plain pickle": (b"\x80\x02cos\nsystem\n" + TEXT + b"\x85R.", "refers to os.system"),
        "pickle of a number": (b"\x80\x02K\x01.", "is not a file of torch.save"),
        "tar": (bytes(257) + b"ustar" + bytes(500), "is in the tar format of before 2017"),
        "text": (b"hello world", "is broken"),
        "zeros": (bytes(4096), "instruction 0x00"),
        "keras": (b"\x89HDF\r\n\x1a\n" + bytes(100), "instruction 0x48"),
    }


def hostile_files() -> dict[str, tuple[bytes, str]]:
    """Every file, and a part of the sentence that must refuse it."""
    files = _zips() | _legacies()
    for name, (instructions, expected) in (CALLS | SHAPES).items():
        files[f"zip: {name}"] = archive(state(instructions)), expected
        files[f"legacy: {name}"] = legacy(state(instructions)), expected
    return files


HARMLESS = ("open", "mmap.__new__", "builtins.id")
"""Audit events that reading a file raises."""


def _main(folder: Path) -> None:
    """Loads pytorch_model.bin of every folder in `folder`, in 1 GiB of memory, and prints what came of it."""
    import labeld.checkpoint.torch_file  # noqa: F401  # NOTE: before the watch, which would see the import
    from labeld.checkpoint.checkpoint import open_checkpoint
    from labeld.errors import FolderError

    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    events: set[str] = set()
    paths = sorted(folder.iterdir())
    sys.addaudithook(lambda event, _: events.add(event))
    eval("1")
    noticed = sorted(events)
    events.clear()
    refused = 0
    for path in paths:
        try:
            open_checkpoint(path)
        except FolderError:
            refused += 1
    seen = sorted(events - set(HARMLESS))
    print(json.dumps({"files": len(paths), "refused": refused, "events": seen, "of_eval": noticed}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
