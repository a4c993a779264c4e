"""Text to token ids and logits to rankings, against transformers."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.pipelines.text_classification import sigmoid, softmax

from labeld.errors import FolderError, InvalidRequestError
from labeld.repository.folders import BUNDLED
from labeld.scoring import apply, rank
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.errors import (
    TextTooLongError,
    TextTooManyCharactersError,
    TokenizerFailedError,
    UnknownTokenIdError,
)
from labeld.tokenization.loader import read_tokenizer
from labeld.types import LabelScore, Parameters, Text
from tests.support.tokenizer_classes import folder_of

SENTIMENT = BUNDLED / "labeld/sentiment-en"
SENTENCES = [
    "",
    " ",
    "I like you. I love you",
    "Çà et là — naïve café, Ωμέγα!",
    "日本語のテキスト and English",
    "ทดสอบภาษาไทย",
    "مرحبا بالعالم",
    "nul\x00 and bell\x07 inside",
    "emoji 👩‍👩‍👧 and ﬁ ligature",
    "a [SEP] b [MASK] [CLS]",
    "x" * 150,
    "it's o'clock, isn't it?! (yes...) #tag @user https://a.b/c?d=e&f",
]


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.txt"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentiment model's tokenizer in each form that a BERT folder can have."""
    copy = tmp_path_factory.mktemp("tokenizer") / "model"
    shutil.copytree(SENTIMENT, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    other = {"tokenizer.json": "vocab.txt", "vocab.txt": "tokenizer.json"}[request.param]
    (copy / other).unlink()
    if request.param == "vocab.txt":
        (copy / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    return copy


@pytest.fixture(scope="module")
def reference(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that transformers reads from the same folder."""
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TextEncoder:
    """Ours."""
    files = read_tokenizer(folder)
    return TextEncoder(files.tokenizer, 512, 128_000, files.truncation_side)


PAIRS = [Text(one, other) for one, other in zip(SENTENCES, reversed(SENTENCES), strict=True) if other]


@pytest.mark.parametrize("text", [*map(Text, SENTENCES), *PAIRS], ids=repr)
def test_ids_and_types_are_those_of_transformers(
    text: Text, encoder: TextEncoder, reference: PreTrainedTokenizerBase
) -> None:
    """Single texts and pairs, special tokens included."""
    expected = reference(text.text, text.pair, return_token_type_ids=True)
    actual = encoder.encode([text], Parameters())[0]

    assert expected["input_ids"] == actual.ids.tolist()
    assert expected["token_type_ids"] == actual.type_ids.tolist()


LONG = "one two three four five six seven eight nine ten"
SHORT = "alpha beta"


@pytest.mark.parametrize("text", [Text(LONG), Text(LONG, SHORT), Text(SHORT, LONG), Text(LONG, LONG)], ids=repr)
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("length", [3, 4, 5, 6, 8, 9, 13, 14, 20, 100])
def test_truncation_is_that_of_transformers(
    text: Text, strategy: str, length: int, encoder: TextEncoder, reference: PreTrainedTokenizerBase
) -> None:
    """Every strategy and length; what transformers cannot cut is refused."""
    parameters = Parameters(truncation=strategy, max_length=length)
    try:
        expected = reference(text.text, text.pair, truncation=strategy, max_length=length)["input_ids"]
    except Exception:  # noqa: BLE001  # transformers raises the tokenizers library's bare Exception
        with pytest.raises(InvalidRequestError, match="longest_first"):
            encoder.encode([text], parameters)
    else:
        assert expected == encoder.encode([text], parameters)[0].ids.tolist()


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
def test_a_text_without_any_room_becomes_its_special_tokens(
    strategy: str, encoder: TextEncoder, reference: PreTrainedTokenizerBase
) -> None:
    """Whichever part was to be shortened, as in transformers; a pair's two parts both vanish."""
    for text, room in ((Text(LONG), 2), (Text(LONG, SHORT), 3), (Text(SHORT, LONG), 3), (Text(""), 2)):
        expected = reference(text.text, text.pair, truncation=strategy, max_length=room)["input_ids"]

        assert room == len(expected)
        assert expected == encoder.encode([text], Parameters(truncation=strategy, max_length=room))[0].ids.tolist()


def test_model_max_length_is_where_texts_are_cut_and_no_limit(tmp_path: Path) -> None:
    """As in transformers: longer texts are read whole, and a larger max_length of a request counts."""
    for path in SENTIMENT.glob("*.json"):
        shutil.copy(path, tmp_path)
    config = json.loads((SENTIMENT / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 6}))
    reference, files = AutoTokenizer.from_pretrained(tmp_path), read_tokenizer(tmp_path)
    encoder = TextEncoder(files.tokenizer, 512, 128_000, cut_at=files.max_length)

    for parameters, asked in (
        (Parameters(), {}),
        (Parameters(truncation="longest_first"), {"truncation": True}),
        (Parameters(truncation="longest_first", max_length=9), {"truncation": True, "max_length": 9}),
    ):
        expected = reference(LONG, **asked)["input_ids"]
        assert expected == encoder.encode([Text(LONG)], parameters)[0].ids.tolist()


def test_a_token_that_the_model_has_no_embedding_for_is_an_error_of_its_text(encoder: TextEncoder) -> None:
    """With the text's place in its request, the token and the number of embeddings; the others are read."""
    (known,) = encoder.encode([Text("good")], Parameters())
    small = dataclasses.replace(encoder, vocabulary=int(known.ids.max()) + 1)
    beyond = small.tokenizer.id_to_token(small.vocabulary)

    assert known.ids.tolist() == small.encode([Text("good")], Parameters())[0].ids.tolist()
    for parameters in (Parameters(), Parameters(truncation="longest_first")):
        with pytest.raises(UnknownTokenIdError) as failed:
            small.encode([Text("good"), Text(beyond)], parameters, [2, 5])
        assert f"Text 5 of `inputs` has the token '{beyond}'" in str(failed.value)
        assert f"only ids below {small.vocabulary}" in str(failed.value)


def test_a_pair_that_the_model_cannot_tell_apart_is_refused(encoder: TextEncoder) -> None:
    """A model of one token type; transformers looks its second type up beyond the table. A single text is read."""
    one_type = dataclasses.replace(encoder, type_count=1)

    assert not one_type.encode([Text("a")], Parameters())[0].type_ids.any()
    with pytest.raises(InvalidRequestError, match=r"^Text 1 of `inputs` .* reads no pairs"):
        one_type.encode([Text("a"), Text("a", "b")], Parameters())
    assert dataclasses.replace(one_type, token_types=False).encode([Text("a", "b")], Parameters())


def test_truncation_keeps_at_most_what_the_model_takes(encoder: TextEncoder) -> None:
    """Whatever max_length says."""
    ids = encoder.encode([Text("a " * 1000)], Parameters(truncation="longest_first", max_length=900))[0].ids

    assert 512 == len(ids)


def test_a_max_length_below_the_special_tokens_is_refused(encoder: TextEncoder) -> None:
    """With both numbers."""
    with pytest.raises(InvalidRequestError, match=r"max_length` is 2, but the special tokens alone need 3"):
        encoder.encode([Text("a", "b")], Parameters(truncation="longest_first", max_length=2))


def test_a_text_that_is_too_long_is_refused_with_both_lengths(encoder: TextEncoder) -> None:
    """512 tokens are taken, 513 are not."""
    assert 512 == len(encoder.encode([Text("a " * 510)], Parameters())[0].ids)
    with pytest.raises(TextTooLongError, match=r"^Text 1 of `inputs` is 513 tokens long, .* at most 512"):
        encoder.encode([Text("a"), Text("a " * 511)], Parameters())


def test_too_many_characters_are_refused_before_they_are_tokenised() -> None:
    """The limit itself is taken; with truncation any length is."""
    files = read_tokenizer(SENTIMENT)
    encoder = TextEncoder(files.tokenizer, 512, 10)

    assert 1 == len(encoder.encode([Text("a" * 10)], Parameters()))
    with pytest.raises(TextTooManyCharactersError, match="has 11 characters, more than the limit of 10"):
        encoder.encode([Text("a", "b" * 11)], Parameters())
    assert 1 == len(encoder.encode([Text("a" * 11)], Parameters(truncation="longest_first")))


BEFORE = [" ", "\u200b", "\n", "\u0301", "x", "日", "1", "a b", "word ", "x" * 101 + " ", "foo bar baz", "[MASK] ", "é"]
CLASSES = {
    "BertTokenizer": "WordPiece",
    "RobertaTokenizer": "BPE",
    "Qwen2Tokenizer": "BPE",
    "LlamaTokenizer": "BPE",
    "XLMRobertaTokenizer": "Unigram",
    "DebertaV2Tokenizer": "Unigram",
    "BigBirdTokenizer": "Unigram",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_text_of_any_length_is_truncated_as_transformers_does(name: str, side: str, tmp_path: Path) -> None:
    """Where it is far longer than the characters that are tokenised at first, which may give no token at all."""
    added = {"content": "foo bar baz foo bar baz", "special": True, "normalized": False}
    config = {"tokenizer_class": name, "truncation_side": side, "additional_special_tokens": [added["content"]]}
    folder = folder_of(tmp_path / "model", CLASSES[name], config, {})
    reference = AutoTokenizer.from_pretrained(folder)
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 10**6, 150, side)  # type: ignore[arg-type]

    beginnings = [(before * size)[:size] for before in BEFORE for size in (1, 50, 149, 150, 151, 450, 1000)]
    texts = [Text(before + after) for before in beginnings for after in ("", "hello the lower world")]
    for length in (5, 20):
        expected = reference([text.text for text in texts], truncation=True, max_length=length)["input_ids"]
        with_ids = [(text, ids) for text, ids in zip(texts, expected, strict=True) if ids]
        parameters = Parameters(truncation="longest_first", max_length=length)
        encoded = encoder.encode([text for text, _ in with_ids], parameters)
        actual = [(text, one.ids.tolist()) for (text, _), one in zip(with_ids, encoded, strict=True)]
        assert (length, with_ids) == (length, actual)


@pytest.mark.parametrize("parameters", [Parameters(), Parameters(truncation="longest_first")], ids=["whole", "cut"])
@pytest.mark.parametrize("pair", [None, "b"])
def test_a_tokenizer_that_fails_on_a_text_is_an_error_like_any_other(
    parameters: Parameters, pair: str | None, tmp_path: Path
) -> None:
    """Its pattern backtracks until the tokenizers library panics."""
    hostile = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    folder = folder_of(tmp_path / "model", "WordPiece", {}, {"pre_tokenizer": hostile, "normalizer": None})
    encoder = TextEncoder(read_tokenizer(folder).tokenizer, 512, 10_000)

    assert 1 == len(encoder.encode([Text("hello")], parameters))
    with pytest.raises(TokenizerFailedError, match=r"The model's tokenizer failed on a text of `inputs`"):
        encoder.encode([Text("a" * 60 + "b", pair)], parameters)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json is not a tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"model": 1}'), "tokenizer.json is not a tokenizer"),
        (
            lambda folder: (folder / "tokenizer_config.json").write_text("[]"),
            "tokenizer_config.json is not a JSON object",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), "There is no tokenizer.json"),
    ],
)
def test_a_broken_tokenizer_is_refused_by_its_file(tmp_path: Path, spoil: object, expected: str) -> None:
    """The sentence names the file."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SENTIMENT / name, tmp_path)
    spoil(tmp_path)  # type: ignore[operator]

    with pytest.raises(FolderError, match=expected):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("logits", [[0.5, -1.25, 3.0], [1000.0, -1000.0], [0.0, 0.0, 0.0], [-90.0], [3e38, -3e38]])
def test_scores_are_those_of_transformers_bit_for_bit(logits: list[float]) -> None:
    """Float32 arithmetic, widened to float64."""
    row = np.array(logits, np.float32)
    labels = [f"L{index}" for index in range(len(row))]
    with np.errstate(over="ignore"):
        expected = {"softmax": softmax(row[None])[0], "sigmoid": sigmoid(row), "none": row}

    for function, scores in expected.items():
        assert sorted(scores.tolist(), reverse=True) == [one.score for one in rank(apply(row, function), labels)]


def test_the_best_label_comes_first_and_ties_keep_the_label_order() -> None:
    """As Python's stable sort does in transformers."""
    row = np.array([1.0, 2.0, 1.0, 2.0], np.float32)

    assert ["b", "d", "a", "c"] == [one.label for one in rank(row, "abcd")]


def test_top_k_cuts_the_ranking() -> None:
    """More than there are gives all."""
    row = np.array([1.0, 2.0], np.float32)

    assert [LabelScore("b", 2.0)] == rank(row, "ab", 1)
    assert 2 == len(rank(row, "ab", 5))
