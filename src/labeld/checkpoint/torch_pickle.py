"""The pickles inside torch's files, read without Python's unpickler: no name is looked up, nothing is called.

A pickle is a program for a stack machine, and `read_pickle` runs the few instructions that tensors need (the rest are
refused by name). All it can make are numbers, strings, tuples, lists, dicts, and the three classes of plain data
below. A GLOBAL is compared with a list of names and stays a name; REDUCE on one of them makes one of these values.
The instructions are described in Python's pickletools; which names tensors need, in torch/_utils.py and
torch/serialization.py.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Any

PICKLE_LIMIT = 8_000_000
"""Bytes of one pickle, at most; a model of 1,000 tensors has 0.1 million."""

STEP_LIMIT = 2_000_000
"""Instructions and entries of one pickle, at most: about half a second."""

STORAGES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}
"""torch's names of storage types -> our names and bytes of an element."""


class PickleError(Exception):
    """A pickle is refused; the text is the end of a sentence that begins with the file's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A GLOBAL, which stays a name."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A run of elements that tensors share. Its numbers are still unchecked."""

    key: object
    dtype: str
    itemsize: int
    count: object
    """Elements of the whole storage."""
    view: tuple[Any, ...] | None
    """Offset and count of a view into the storage, in files of 2017."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A window on a storage. Its numbers are still unchecked."""

    storage: Storage
    offset: object
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]


def read_pickle(data: mmap, begin: int, end: int) -> tuple[Any, int]:
    """The value of the pickle that begins at byte `begin` of `data`, and the byte behind it, at most `end`.

    Raises PickleError for everything that is not such a pickle.
    """
    machine = _Machine(data[begin : min(end, begin + PICKLE_LIMIT)])
    try:
        return machine.run(), begin + machine.at
    except (IndexError, KeyError, TypeError, ValueError, struct.error):
        raise PickleError("is broken: its pickle does not follow the format") from None


_MARK = Name("MARK")


class _Machine:
    """One run over one pickle."""

    def __init__(self, code: bytes) -> None:
        self.at = 0
        self.code = code
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0

    def run(self) -> Any:
        """The value at the STOP instruction."""
        while True:
            instruction = self.take(1)[0]
            if instruction == ord("."):
                return self.stack.pop()
            self.count(1)
            if instruction not in _INSTRUCTIONS:
                called = _REFUSED.get(instruction, f"0x{instruction:02x}")
                raise PickleError(f"has the pickle instruction {called}, which no tensor needs, so it is refused")
            _INSTRUCTIONS[instruction](self)

    def count(self, steps: int) -> None:
        self.steps += steps
        if self.steps > STEP_LIMIT:
            raise PickleError(f"has a pickle of more than {STEP_LIMIT} steps, which no model needs")

    def take(self, size: int) -> bytes:
        taken = self.code[self.at : self.at + size]
        if len(taken) < size:
            raise PickleError(f"is cut off, or has a pickle of more than {PICKLE_LIMIT} bytes")
        self.at += size
        return taken

    def number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self) -> str:
        stop = self.code.index(b"\n", self.at, self.at + 1000)
        return self.take(stop + 1 - self.at)[:-1].decode("ascii", "backslashreplace")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def items(self) -> list[Any]:
        """Pops everything above the last mark, and the mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            self.count(1)
            if at < 0:
                raise IndexError
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def last(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise IndexError
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def text(self, size: int) -> None:
        self.push(self.take(size).decode())

    def memoize(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def append(self, items: list[Any]) -> None:
        _require(self.stack[-1], list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = _require(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_require(key, str)] = value

    def global_name(self) -> None:
        text = f"{self.line()}.{self.line()}"
        if text not in _REDUCERS and _storage_type(text) not in STORAGES:
            raise PickleError(f"refers to {ascii(text[:80])[1:-1]}, which no tensor needs, so it is refused")
        self.push(Name(text))

    def reduce(self) -> None:
        name, arguments = self.last(2)
        reducer = _REDUCERS[_require(name, Name).text]  # a KeyError where it is a storage type
        self.count(sum(len(item) for item in _require(arguments, tuple) if isinstance(item, list)))
        self.push(reducer(*arguments))

    def build(self) -> None:
        target, _ = self.last(2)
        self.push(_require(target, dict))  # NOTE: the state is `_metadata` of a state_dict, which says no weights

    def persistent(self) -> None:
        kind, storage_type, key, _, count, *view = _require(self.stack.pop(), tuple)
        if kind != "storage":
            raise PickleError("has a persistent id that is no storage, so it is refused")
        dtype, itemsize = STORAGES[_storage_type(_require(storage_type, Name).text)]
        part = _require(view[0], tuple)[1:] if view and view[0] is not None else None
        self.push(Storage(key, dtype, itemsize, count, part))


def _require(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _storage_type(name: str) -> str:
    """`torch.cuda.FloatStorage`, of files saved on a GPU, is `FloatStorage` as well."""
    return name.removeprefix("torch.").removeprefix("cuda.") if name.startswith("torch.") else ""


def _ordered_dict(pairs: Any = ()) -> dict[str, Any]:
    return {_require(key, str): value for key, value in pairs}


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    return Tensor(_require(storage, Storage), offset, _require(shape, tuple), _require(strides, tuple))


def _rebuild_parameter(tensor: Any, *_: Any) -> Tensor:
    result: Tensor = _require(tensor, Tensor)
    return result


_REDUCERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
}
"""Every name that REDUCE may meet -> what it makes of its arguments here."""


def _protocol(machine: _Machine) -> None:
    if machine.number(1) > 5:
        raise ValueError


def _constant(value: object) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(value)


def _integer(size: int, *, signed: bool = False) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.number(size, signed=signed))


def _tuple(count: int) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.last(count))


def _pop(machine: _Machine) -> None:
    machine.stack.pop()


_INSTRUCTIONS: dict[int, Callable[[_Machine], None]] = {
    ord(byte): run
    for byte, run in {
        "\x80": _protocol,
        "c": _Machine.global_name,
        "R": _Machine.reduce,
        "b": _Machine.build,
        "Q": _Machine.persistent,
        "(": _constant(_MARK),
        "0": _pop,
        "N": _constant(None),
        "\x88": _constant(value=True),
        "\x89": _constant(value=False),
        "K": _integer(1),
        "M": _integer(2),
        "J": _integer(4, signed=True),
        "\x8a": lambda machine: machine.push(machine.number(machine.number(1), signed=True)),
        "G": lambda machine: machine.push(struct.unpack(">d", machine.take(8))[0]),
        "X": lambda machine: machine.text(machine.number(4)),
        "U": lambda machine: machine.text(machine.number(1)),
        "T": lambda machine: machine.text(machine.number(4)),
        ")": _constant(()),
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "t": lambda machine: machine.push(tuple(machine.items())),
        "]": lambda machine: machine.push([]),
        "a": lambda machine: machine.append(list(machine.last(1))),
        "e": lambda machine: machine.append(machine.items()),
        "}": lambda machine: machine.push({}),
        "s": lambda machine: machine.set_items(list(machine.last(2))),
        "u": lambda machine: machine.set_items(machine.items()),
        "h": lambda machine: machine.push(machine.memo[machine.number(1)]),
        "j": lambda machine: machine.push(machine.memo[machine.number(4)]),
        "q": lambda machine: machine.memoize(machine.number(1)),
        "r": lambda machine: machine.memoize(machine.number(4)),
    }.items()
}
"""The instructions of protocol 2, the one that torch writes; U and T are the strings of Python 2."""

_REFUSED = {
    ord(byte): name
    for byte, name in {
        "i": "INST",
        "o": "OBJ",
        "P": "PERSID",
        "\x81": "NEWOBJ",
        "\x82": "EXT1",
        "\x83": "EXT2",
        "\x84": "EXT4",
        "\x92": "NEWOBJ_EX",
        "\x93": "STACK_GLOBAL",
        "\x95": "FRAME",
    }.items()
}
"""Names of some instructions that are not carried out; the others are named by their byte."""
