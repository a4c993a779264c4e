"""sentencepiece.bpe.model and spm.model -> pieces and normalisation rules.

The file is one protobuf message (sentencepiece_model.proto of the sentencepiece project). It is read with protobuf from
a description of the few fields that are needed, so that neither the sentencepiece library nor its generated module is
loaded; and only a folder that has such a file loads protobuf. Around the pieces of the file stand the special tokens of
transformers; between two of them a text is encoded as sentencepiece encodes it alone.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from labeld.checkpoint.plain_file import read_plain
from labeld.errors import FolderError
from labeld.tokenization.files import LIMITS

UNIGRAM = 1
MODEL_TYPES = {2: "BPE", 3: "WORD", 4: "CHAR"}
"""TrainerSpec.ModelType, other than Unigram."""


class Kind(IntEnum):
    """SentencePiece.Type."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


KINDS: dict[int, Kind] = {kind.value: kind for kind in Kind}


class Piece(NamedTuple):
    """An entry of the vocabulary; `score` is the logarithm of its probability."""

    text: str
    score: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """A Unigram model and the rules of its normalizer."""

    pieces: list[Piece]
    """In id order."""
    byte_fallback: bool
    """True when characters without a piece become their UTF-8 bytes."""
    character_map: bytes
    """Empty when characters stay as they are."""
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def read_sentencepiece_model(path: Path) -> SentencePieceModel:
    """The model in a file; raises FolderError naming it when it is broken, too large or not a Unigram model."""
    message = _parsed(path)
    trainer, normalizer = message.trainer_spec, message.normalizer_spec
    if trainer.model_type != UNIGRAM:
        kind = MODEL_TYPES.get(trainer.model_type, f"unknown ({trainer.model_type})")
        raise FolderError(
            f"{path.name} is a sentencepiece model of type {kind}, and labeld reads type Unigram: save the folder's "
            "tokenizer.json with transformers."
        )
    if trainer.treat_whitespace_as_suffix or not normalizer.escape_whitespaces:
        raise FolderError(
            f"{path.name} marks spaces in another way than BERT-like models do: save the folder's tokenizer.json with "
            "transformers."
        )
    try:
        pieces = _pieces(message)
    except ValueError as error:
        raise FolderError(f"{path.name} is not a sentencepiece model that can be used: {error}.") from None
    return SentencePieceModel(
        pieces,
        trainer.byte_fallback,
        normalizer.precompiled_charsmap,
        normalizer.add_dummy_prefix,
        normalizer.remove_extra_whitespaces,
    )


def _parsed(path: Path) -> Any:
    from google.protobuf.message import DecodeError  # noqa: PLC0415  # only folders with such a file need protobuf

    try:
        message = _message_class()()
        message.ParseFromString(read_plain(path, LIMITS[path.name]))
    except DecodeError:
        raise FolderError(f"{path.name} is not a sentencepiece model.") from None
    return message


def _pieces(message: Any) -> list[Piece]:
    """Raises ValueError with a reason that has no punctuation at its end."""
    entries = [(piece.piece, piece.score, piece.type) for piece in message.pieces]
    texts, scores, kinds = zip(*entries, strict=True) if entries else ((), (), ())
    if b"" in texts or len(set(texts)) < len(texts):
        raise ValueError("a piece is empty or there twice")
    if not set(kinds) <= KINDS.keys():
        raise ValueError("a piece is of a type that is not known")
    if not all(map(math.isfinite, scores)):
        raise ValueError("a score is not a finite number")
    if kinds.count(Kind.UNKNOWN) != 1:
        raise ValueError(f"it has {kinds.count(Kind.UNKNOWN)} pieces for what is unknown instead of one")
    try:
        return [
            Piece(text.decode(), score, KINDS[kind]) for text, score, kind in zip(texts, scores, kinds, strict=True)
        ]
    except UnicodeDecodeError:
        raise ValueError("a piece is not UTF-8") from None


@cache
def _message_class() -> Any:
    """ModelProto with the fields that are read. Strings are described as bytes, which is the same on the wire."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    types = {bool: field.TYPE_BOOL, bytes: field.TYPE_BYTES, float: field.TYPE_FLOAT, int: field.TYPE_INT32}
    fields: dict[str, list[tuple[str, int, type | str, str]]] = {
        "Piece": [("piece", 1, bytes, ""), ("score", 2, float, ""), ("type", 3, int, "1")],
        "Trainer": [
            ("model_type", 3, int, "1"),
            ("treat_whitespace_as_suffix", 24, bool, "false"),
            ("byte_fallback", 35, bool, "false"),
        ],
        "Normalizer": [
            ("precompiled_charsmap", 2, bytes, ""),
            ("add_dummy_prefix", 3, bool, "true"),
            ("remove_extra_whitespaces", 4, bool, "true"),
            ("escape_whitespaces", 5, bool, "true"),
        ],
        "Model": [
            ("pieces", 1, "Piece", ""),
            ("trainer_spec", 2, "Trainer", ""),
            ("normalizer_spec", 3, "Normalizer", ""),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(name="sentencepiece_model.proto", package="labeld", syntax="proto2")
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for member, number, kind, default in members:
            one = message.field.add(name=member, number=number, label=field.LABEL_OPTIONAL)
            if isinstance(kind, str):
                one.type, one.type_name = field.TYPE_MESSAGE, f".labeld.{kind}"
            else:
                one.type = types[kind]
            if default:
                one.default_value = default
    file.message_type[-1].field[0].label = field.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("labeld.Model"))
