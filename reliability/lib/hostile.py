"""Model folders that mean harm or are broken, by a name: weights, configs, tokenizers, and what is no file at all.

Each begins as a copy of a good folder. What would run prints nothing and makes the file `canary`.
"""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.hostile_files import CANARY, hostile_files

Spoil = Callable[[Path], Any]
GIB = 1024**3
PROGRAM = f"import pathlib; pathlib.Path({CANARY!r}).touch()\n"


def kinds() -> dict[str, Spoil]:
    """Every kind, those that would run a command first."""
    found = {name: _torch(content) for name, (content, _) in hostile_files().items()}
    running = {name: spoil for name, spoil in found.items() if "os.system" in name or "plain pickle" in name}
    return {**running, **_programs(), **_no_files(), **_configs(), **_tokenizers(), **_safetensors(), **found}


def _torch(content: bytes) -> Spoil:
    """The weights are this file of torch."""

    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(content)

    return spoil


def _written(name: str, content: bytes | str) -> Spoil:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def _edited(name: str, **members: Any) -> Spoil:
    """A JSON file of the folder with other members."""

    def spoil(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**value, **members}))

    return spoil


def _replaced(name: str, make: Callable[[Path], Any]) -> Spoil:
    """In the place of a file stands what `make` makes at its path."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return spoil


def _sparse(size: int, begin: bytes = b"") -> Callable[[Path], Any]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(begin)
            file.truncate(size)

    return make


def _programs() -> dict[str, Spoil]:
    """Folders that bring code, which nobody may run."""
    auto_map = {"AutoModelForSequenceClassification": "modeling_evil.Evil", "AutoConfig": "modeling_evil.Evil"}

    def with_code(folder: Path) -> None:
        for name in ("modeling_evil", "sitecustomize", "conftest", "setup", "tokenizers", "openvino", "labeld"):
            (folder / f"{name}.py").write_text(PROGRAM)
        _edited("config.json", auto_map=auto_map)(folder)

    def with_tokenizer_code(folder: Path) -> None:
        (folder / "tokenization_evil.py").write_text(PROGRAM)
        change = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", None]}}
        _edited("tokenizer_config.json", **change)(folder)

    template = "{% for a in range(99999999) %}{{ self.__init__.__globals__ }}{% endfor %}"
    return {
        "code of the model": with_code,
        "code of the tokenizer": with_tokenizer_code,
        "custom pipelines": _edited("config.json", custom_pipelines={"x": {"impl": "evil.Evil", "pt": ["A"]}}),
        "template that loops": _edited("tokenizer_config.json", chat_template=template),
        "a path as the model's type": _edited("config.json", model_type="../../evil"),
        "a module as the architecture": _edited("config.json", architectures=["os.system"]),
        "an address as the model's name": _edited("config.json", _name_or_path="http://169.254.169.254/x"),
        "a path as the tokenizer's file": _edited("tokenizer_config.json", vocab_file="/etc/passwd"),
    }


def _no_files() -> dict[str, Spoil]:
    """Files that are none, or that never end."""
    found: dict[str, Spoil] = {}
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "README.md"):
        found |= {
            f"{name} is a named pipe": _replaced(name, os.mkfifo),
            f"{name} is a folder": _replaced(name, Path.mkdir),
            f"{name} is a link to itself": _replaced(name, lambda path: path.symlink_to(path.name)),
            f"{name} is a link to a device": _replaced(name, lambda path: path.symlink_to("/dev/zero")),
            f"{name} is a link to a foreign file": _replaced(name, lambda path: path.symlink_to("/etc/passwd")),
            f"{name} is a hole of 40 GiB": _replaced(name, _sparse(40 * GIB, b"{")),
            f"{name} is empty": _written(name, b""),
        }
    return found


def _configs() -> dict[str, Spoil]:
    deep = "[" * 100_000 + "]" * 100_000
    name = "config.json"
    huge = {"hidden_size": 2**40, "num_attention_heads": 2**20, "intermediate_size": 2**42}
    return {
        "config of lists in lists": _written(name, deep),
        "config of objects in objects": _written(name, '{"a":' * 100_000 + "1" + "}" * 100_000),
        "config of null": _written(name, "null"),
        "config of numbers that are none": _written(name, '{"hidden_size": NaN, "model_type": "bert"}'),
        "config in UTF-16": _written(name, '{"model_type": "bert"}'.encode("utf-16")),
        "config with a number of 100,000 digits": _written(name, '{"hidden_size": ' + "9" * 100_000 + "}"),
        "config with a million labels": _edited(name, id2label={str(one): f"L{one}" for one in range(1_000_000)}),
        "config with a billion labels": _edited(name, id2label=None, num_labels=10**9),
        "config with labels that are none": _edited(name, id2label={"0": None, "1": [], "2": {}}),
        "config with labels out of order": _edited(name, id2label={"7": "a", "-1": "b", "x": "c"}),
        "config with a label of 10 MB": _edited(name, id2label={"0": "a" * 10_000_000, "1": "b", "2": "c"}),
        "config with a label that is a script": _edited(
            name, id2label={"0": "<script>alert(1)</script>", "1": "\x1b[31m\r\n", "2": "\u202e"}
        ),
        "config with two equal labels": _edited(name, id2label={"0": "a", "1": "a", "2": "a"}),
        "config with sizes beyond the memory": _edited(name, **huge),
        "config with a size of 0": _edited(name, hidden_size=0),
        "config with a negative size": _edited(name, num_hidden_layers=-1),
        "config with a billion layers": _edited(name, num_hidden_layers=10**9),
        "config with texts for sizes": _edited(name, hidden_size="64", num_attention_heads=[4]),
        "config with another size": _edited(name, vocab_size=10**9),
        "config with a long position": _edited(name, max_position_embeddings=2**60),
        "config with an epsilon that is none": _edited(name, layer_norm_eps="1e-12"),
        "config with an unknown function": _edited(name, hidden_act="__import__('os').system('touch canary')"),
    }


def _tokenizers() -> dict[str, Spoil]:
    name = "tokenizer.json"

    def pattern(expression: str) -> Spoil:
        split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        return _edited(name, pre_tokenizer=split)

    def nested(count: int) -> str:
        inner = '{"type":"Sequence","normalizers":[' * count + "]}" * count
        return '{"normalizer":' + inner + "}"

    def vocabulary(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        value["model"]["vocab"] = {f"w{one}": one for one in range(1_000_000)}
        (folder / name).write_text(json.dumps(value))

    replace = {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": "x" * 100_000}
    added = [{"id": one, "content": f"<{one}>", "special": True} for one in range(200_000)]
    return {
        "pattern that explodes": pattern("(a+)+$"),
        "pattern that explodes otherwise": pattern("(x+x+)+y"),
        "pattern that looks back": pattern("(?<=(a|aa)+)b"),
        "pattern of a million letters": pattern("a" * 1_000_000),
        "pattern with large counts": pattern("((a{1,1000}){1,1000}){1,1000}"),
        "pattern that is broken": pattern("(((("),
        "replacement that grows": _edited(name, normalizer=replace),
        "normalizers in normalizers": _written(name, nested(50_000)),
        "tokenizer of lists in lists": _written(name, "[" * 200_000),
        "vocabulary of a million words": vocabulary,
        "200,000 added tokens": _edited(name, added_tokens=added),
        "an unknown model": _edited(name, model={"type": "Evil", "vocab": {}}),
        "ids that are negative": _edited(name, model={"type": "WordPiece", "vocab": {"a": -1}, "unk_token": "a"}),
        "ids beyond 32 bits": _edited(name, model={"type": "WordPiece", "vocab": {"a": 2**40}, "unk_token": "a"}),
        "truncation of 0": _edited(name, truncation={"max_length": 0, "strategy": "LongestFirst", "stride": 9}),
        "padding to a billion": _edited(
            name, padding={"strategy": {"Fixed": 10**9}, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
        ),
        "tokenizer that is cut off": _written(name, b'{"version": "1.0", "model": {"type": "WordPiece", "voc'),
        "tokenizer that is no UTF-8": _written(name, b'{"version": "\xff\xfe"}'),
        "a length of 10^400": _edited("tokenizer_config.json", model_max_length=10**400),
        "words for lengths": _edited("tokenizer_config.json", model_max_length="many"),
    }


def _safetensors() -> dict[str, Spoil]:
    name = "model.safetensors"

    def header(value: Any, size: int | None = None, rest: bytes = bytes(64)) -> Spoil:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return _written(name, struct.pack("<Q", len(text) if size is None else size) + text + rest)

    def numbers(bits: bytes) -> Spoil:
        """Weights of nothing but this number."""

        def spoil(folder: Path) -> None:
            data = bytearray((folder / name).read_bytes())
            begin = 8 + int.from_bytes(data[:8], "little")
            data[begin:] = bits * ((len(data) - begin) // 4)
            (folder / name).write_bytes(data)

        return spoil

    def shards(*files: str) -> Spoil:
        def spoil(folder: Path) -> None:
            shutil.move(folder / name, folder / "weights")
            weight_map = {f"tensor.{number}": file for number, file in enumerate(files)}
            (folder / f"{name}.index.json").write_text(json.dumps({"weight_map": weight_map}))

        return spoil

    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    return {
        "header of 8 EiB": header(b"{}", 2**63 - 1),
        "header beyond the file": header(b"{}", 10_000),
        "header of nothing": header(b"", 0),
        "header of lists in lists": header(b"[" * 1_000_000),
        "header of 100,000 tensors": header({f"t{number}": one for number in range(100_000)}),
        "tensors that overlap": header({"a": one, "b": one}),
        "tensor before the file": header({"a": {**one, "data_offsets": [-16, 0]}}),
        "tensor beyond the file": header({"a": {**one, "shape": [2**40], "data_offsets": [0, 2**42]}}),
        "tensor of a size beyond 64 bits": header({"a": {**one, "shape": [2**40, 2**40]}}),
        "tensor of an unknown type": header({"a": {**one, "dtype": "EVIL"}}),
        "weights that are no numbers": numbers(b"\x00\x00\xc0\x7f"),
        "weights that are infinite": numbers(b"\x00\x00\x80\x7f"),
        "weights that are huge": numbers(b"\xff\xff\x7f\x7f"),
        "a shard elsewhere": shards("../../../etc/passwd"),
        "a shard by its whole path": shards("/etc/passwd"),
        "a shard that is the index": shards(f"{name}.index.json"),
        "100,000 shards": shards(*(f"model-{number}.safetensors" for number in range(100_000))),
        "no weights": lambda folder: (folder / name).unlink(),
    }
