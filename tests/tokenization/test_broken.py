"""Broken, hostile and unsupported tokenizer files are refused in one sentence that names the file."""

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import sentencepiece_model_pb2

from labeld.errors import FolderError
from labeld.tokenization.charsmap import CharacterMap
from labeld.tokenization.loader import read_tokenizer
from tests.support.tokenizer_classes import folder_of
from tests.support.tokenizer_folders import (
    DEBERTA_LAYOUT,
    byte_bpe,
    deberta,
    fairseq,
    saved,
    sentencepiece_model,
    word_piece,
)

Spoil = Callable[[Path], Any]
XLM_ROBERTA = partial(fairseq, model_type="xlm-roberta")


def text(name: str, content: str) -> Spoil:
    """Writes a file anew."""
    return lambda folder: (folder / name).write_text(content)


def edited(name: str, change: Callable[[Any], Any]) -> Spoil:
    """Changes a JSON file's content in place."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return spoil


def proto(change: Callable[[Any], Any], name: str = "spm.model") -> Spoil:
    """Changes a sentencepiece file's message in place."""

    def spoil(folder: Path) -> None:
        message = sentencepiece_model_pb2.ModelProto.FromString((folder / name).read_bytes())
        change(message)
        (folder / name).write_bytes(message.SerializeToString())

    return spoil


def circle() -> bytes:
    """A character map whose trie leads from "a" back to its root, for ever."""
    units = np.zeros(256, "<u4")
    units[0x61] = 0x61 << 10 | 0x61
    return struct.pack("<I", units.nbytes) + units.tobytes() + b"\0"


BROKEN: list[tuple[Callable[[Path], Path], Spoil, str]] = [
    (word_piece, lambda folder: (folder / "vocab.txt").unlink(), "neither tokenizer.json nor vocab.txt"),
    (word_piece, lambda folder: (folder / "vocab.txt").write_bytes(b"\xff\xfe"), "vocab.txt is not a UTF-8 list"),
    (word_piece, text("vocab.txt", "[UNK]\n[CLS]\na\n"), r"vocab.txt has no \[SEP\] token"),
    (word_piece, text("tokenizer_config.json", '{"cls_token": null}'), "no cls_token, which this tokenizer needs"),
    (word_piece, text("tokenizer_config.json", '{"cls_token": 1}'), "tokenizer_config.json: 1 is not a token"),
    (
        word_piece,
        text("tokenizer_config.json", '{"added_tokens_decoder": [1]}'),
        "added_tokens_decoder is not an",
    ),
    (
        word_piece,
        text("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "a"}}}'),
        "tokenizer_config.json: an added token's id",
    ),
    (
        word_piece,
        text("special_tokens_map.json", '{"cls_token": {"content": "[CLS]", "lstrip": 1}}'),
        r"special_tokens_map.json: a rule of the token '\[CLS\]'",
    ),
    (word_piece, text("added_tokens.json", '{"a": "b"}'), "added_tokens.json: an added token's id"),
    (word_piece, text("tokenizer_config.json", '{"tokenizer_class": "BertJapaneseTokenizer"}'), "is a BertJapaneseTok"),
    (word_piece, text("tokenizer_config.json", '{"tokenizer_class": "XLNetTokenizer"}'), "of a XLNetTokenizer"),
    (word_piece, text("config.json", '{"model_type": "modernbert"}'), "There is no tokenizer.json"),
    (byte_bpe, lambda folder: (folder / "vocab.json").unlink(), "neither tokenizer.json nor vocab.json"),
    (byte_bpe, lambda folder: (folder / "merges.txt").unlink(), "merges.txt is missing beside vocab.json"),
    (byte_bpe, text("merges.txt", "#version: 0.2\na b c\n"), "merges.txt is not a UTF-8 list of pairs"),
    (byte_bpe, text("merges.txt", "#version: 0.2\nnever there\n"), "vocab.json does not have all tokens that its"),
    (byte_bpe, text("vocab.json", "[]"), "vocab.json is not a JSON object"),
    (byte_bpe, text("vocab.json", "{}"), "vocab.json does not give every token"),
    (byte_bpe, edited("vocab.json", lambda words: words.update(x="1")), "vocab.json does not give every token"),
    (byte_bpe, edited("vocab.json", lambda words: words.update(x=-1)), "vocab.json does not give every token"),
    (byte_bpe, edited("vocab.json", lambda words: words.update(x=2**32)), "vocab.json does not give every token"),
    (
        byte_bpe,
        edited("vocab.json", lambda words: words.update(renamed=words.pop("</s>"))),
        "vocab.json has no </s> token",
    ),
    (deberta, lambda folder: (folder / "spm.model").unlink(), "neither tokenizer.json nor spm.model"),
    (deberta, lambda folder: (folder / "spm.model").write_bytes(b""), "spm.model .* 0 pieces for what is unknown"),
    (deberta, lambda folder: (folder / "spm.model").write_bytes(bytes(range(256))), "spm.model is not a sentencepiece"),
    (deberta, text("spm.model", "version https://git-lfs.github.com/spec/v1\n"), "spm.model is not a sentencepiece"),
    (deberta, proto(lambda model: model.pieces[9].ClearField("piece")), "spm.model .* a piece is empty or there twice"),
    (deberta, proto(lambda model: model.pieces.add(piece="[CLS]")), "spm.model .* a piece is empty or there twice"),
    (deberta, proto(lambda model: setattr(model.pieces[9], "type", 2)), "spm.model .* it has 2 pieces for"),
    (deberta, proto(lambda model: model.pieces.add(piece="\0", score=float("nan"))), "a score is not a finite number"),
    (deberta, proto(lambda model: setattr(model.trainer_spec, "model_type", 2)), "spm.model .* of type BPE"),
    (deberta, proto(lambda model: setattr(model.trainer_spec, "model_type", 3)), "spm.model .* of type WORD"),
    (deberta, proto(lambda model: setattr(model.trainer_spec, "model_type", 4)), "spm.model .* of type CHAR"),
    (deberta, proto(lambda model: setattr(model.trainer_spec, "treat_whitespace_as_suffix", True)), "spm.model marks"),
    (
        deberta,
        proto(lambda model: setattr(model.normalizer_spec, "precompiled_charsmap", b"\xff" * 99)),
        "spm.model has a character map that cannot be read",
    ),
    (
        XLM_ROBERTA,
        proto(lambda model: model.pieces.pop(1), "sentencepiece.bpe.model"),
        "does not begin with <unk>",
    ),
    (
        partial(saved, word_piece),
        edited("tokenizer.json", lambda file: file.pop("model")),
        "tokenizer.json is not a",
    ),
    (
        partial(saved, word_piece),
        edited("tokenizer.json", lambda file: file["model"]["vocab"].update(x=None)),
        "tokenizer.json does not give every token",
    ),
    (
        partial(saved, byte_bpe),
        edited("tokenizer.json", lambda file: file["model"]["merges"].append("abc")),
        "tokenizer.json is not a tokenizer",
    ),
    (
        partial(saved, deberta),
        edited("tokenizer.json", lambda file: file["model"]["vocab"].append(1)),
        "tokenizer.json is not a tokenizer",
    ),
    (
        partial(saved, XLM_ROBERTA),
        edited("tokenizer.json", lambda file: file["normalizer"].update(precompiled_charsmap="AAAA")),
        "tokenizer.json has a character map that cannot be read",
    ),
    (
        partial(saved, XLM_ROBERTA, tokenizer_class="PreTrainedTokenizerFast"),
        edited("tokenizer.json", lambda file: file["normalizer"].update(precompiled_charsmap="AAAA")),
        "tokenizer.json is not a tokenizer that can be read",
    ),
    (
        partial(saved, byte_bpe),
        edited("tokenizer_config.json", lambda file: file.update(fast_tokenizer_files=["tokenizer.4.0.json"])),
        "fast_tokenizer_files names other files",
    ),
    (
        partial(saved, byte_bpe),
        edited("tokenizer_config.json", lambda file: file.update(fix_mistral_regex=True)),
        "fix_mistral_regex is true",
    ),
]


SLOW_TOKEN = {"__type": "AddedToken", "content": "a" * 100 + "!", "normalized": True}


@pytest.mark.parametrize(
    "tokens", [{"mask_token": SLOW_TOKEN}, {"additional_special_tokens": [SLOW_TOKEN]}], ids=["role", "additional"]
)
def test_a_normalizer_that_fails_on_a_special_token_is_refused(tokens: dict[str, Any], tmp_path: Path) -> None:
    """Tokens are normalised when they are added, where the tokenizers library panics as it does on texts."""
    hostile = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **tokens}

    with pytest.raises(FolderError, match="normalizer that fails on a special token"):
        read_tokenizer(folder_of(tmp_path / "model", "WordPiece", config, {"normalizer": hostile}))


@pytest.mark.parametrize(("build", "spoil", "expected"), BROKEN, ids=[case[2][:50] for case in BROKEN])
def test_a_broken_file_is_refused_by_its_name(
    build: Callable[[Path], Path], spoil: Spoil, expected: str, tmp_path: Path
) -> None:
    """Before it is broken, the folder is read."""
    folder = build(tmp_path / "model")
    read_tokenizer(folder)
    spoil(folder)

    with pytest.raises(FolderError, match=expected) as caught:
        read_tokenizer(folder)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "name", "limit"),
    [
        (deberta, "spm.model", 20),
        (XLM_ROBERTA, "sentencepiece.bpe.model", 20),
        (partial(saved, word_piece), "tokenizer.json", 48),
        (partial(saved, byte_bpe, tokenizer_class="PreTrainedTokenizerFast"), "tokenizer.json", 48),
        (word_piece, "vocab.txt", 16),
        (byte_bpe, "vocab.json", 16),
        (byte_bpe, "merges.txt", 16),
        (word_piece, "tokenizer_config.json", 8),
        (byte_bpe, "special_tokens_map.json", 8),
        (word_piece, "added_tokens.json", 8),
    ],
)
def test_a_file_of_any_size_is_refused_without_reading_it(
    build: Callable[[Path], Path], name: str, limit: int, tmp_path: Path
) -> None:
    """These have a terabyte, which no memory holds."""
    folder = build(tmp_path / "model")
    with (folder / name).open("ab") as file:
        file.truncate(1 << 40)

    with pytest.raises(FolderError, match=rf"{name} has \d+ bytes, more than the limit of {limit * 1024**2} "):
        read_tokenizer(folder)


def test_the_largest_published_tokenizer_is_taken(tmp_path: Path) -> None:
    """Gemma's tokenizer.json has 34 MB."""
    folder = saved(word_piece, tmp_path / "model")
    with (folder / "tokenizer.json").open("ab") as file:
        file.write(b" " * 34_000_000)

    assert read_tokenizer(folder).tokenizer.get_vocab_size() > 1000


def test_no_damage_to_a_sentencepiece_file_does_more_than_refuse_it(tmp_path: Path) -> None:
    """Of 120 files with damaged bytes each is either refused or gives ids of its own vocabulary."""
    folder = deberta(tmp_path / "model")
    whole = np.frombuffer((folder / "spm.model").read_bytes(), np.uint8)
    generator = np.random.default_rng(5)
    read = 0
    for round_ in range(120):
        damaged = whole[: generator.integers(1, len(whole))].copy() if round_ % 3 == 0 else whole.copy()
        places = generator.integers(0, len(damaged), 3 if round_ % 3 == 1 else 300)
        if round_ % 3:
            places = places[places > 30_000]  # in the character map, where protobuf sees no damage
            damaged[places] = generator.integers(0, 256, len(places))
        (folder / "spm.model").write_bytes(damaged.tobytes())
        try:
            tokenizer = read_tokenizer(folder).tokenizer
        except FolderError:
            continue
        read += 1
        ids = tokenizer.encode("Ångström e\u0301 ½ ｶﾞ [MASK]\n" * 20).ids
        assert max(ids) < tokenizer.get_vocab_size()
    assert 0 < read < 120


def test_a_character_map_that_goes_in_circles_ends() -> None:
    """The text comes back as it was."""
    assert "a" * 5000 == CharacterMap(circle())("a" * 5000)


def test_a_character_map_whose_text_would_explode_is_refused() -> None:
    """A replacement of 300 bytes."""
    with pytest.raises(ValueError, match="a replacement does not end"):
        CharacterMap(circle() + b"x" * 300 + b"\0")


def test_a_sentencepiece_model_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    """A real one of type BPE, as LLaMA has it."""
    folder = deberta(tmp_path / "model")
    model = sentencepiece_model(**DEBERTA_LAYOUT, model_type="bpe")
    (folder / "spm.model").write_bytes(model)

    with pytest.raises(FolderError, match=r"spm\.model is a sentencepiece model of type BPE, and labeld reads"):
        read_tokenizer(folder)
