"""Long texts in overlapping windows, against transformers; and texts that pairs have in common."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.errors import StrideTooLargeError, TooManyWindowsError
from labeld.tokenization.loader import read_tokenizer
from labeld.types import EncodedInput, Parameters, Text
from tests.support.tokenizer_classes import folder_of

LONG = " ".join(f"word{number} naïve, {number * 7} 日本 cafés…" for number in range(60))
PLAIN = " ".join(f"word{number} on page {number * 7}," for number in range(60))
SHORT = "Is it there?"
KINDS = {"BertTokenizer": "WordPiece", "RobertaTokenizer": "BPE", "DebertaV2Tokenizer": "Unigram"}


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer of each way to join a pair."""
    folder = tmp_path_factory.mktemp("tokenizer") / "model"
    return folder_of(folder, KINDS[request.param], {"tokenizer_class": request.param}, {})


@pytest.fixture(scope="module")
def reference(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of transformers."""
    return AutoTokenizer.from_pretrained(folder)


def read(folder: Path, texts: list[Text], limit: int = 10_000, **parameters: Any) -> list[EncodedInput]:
    """The texts as a model of 512 tokens reads them."""
    files = read_tokenizer(folder)
    encoder = TextEncoder(
        files.tokenizer, 512, 100_000, files.truncation_side, token_types=files.token_types, max_windows=limit
    )
    return encoder.read(texts, Parameters(**parameters))


def expected(
    reference: PreTrainedTokenizerBase, text: Text, strategy: bool | str, **lengths: int
) -> list[tuple[list[int], tuple[int, int]]]:
    """Token ids and characters of each window by transformers, in the order of the text.

    Where texts lose their beginning, transformers has the last window first.
    """
    pair = () if text.pair is None else (text.pair,)
    found = reference(
        text.text, *pair, truncation=strategy, return_overflowing_tokens=True, return_offsets_mapping=True, **lengths
    )
    number = 1 if strategy == "only_second" else 0
    windows = []
    for ids, offsets, encoding in zip(found["input_ids"], found["offset_mapping"], found.encodings, strict=True):
        own = [place for place, of in zip(offsets, encoding.sequence_ids, strict=True) if of == number]
        windows.append((ids, (own[0][0], own[-1][1])))
    return windows[:: 1 if reference.truncation_side == "right" else -1]


each_way = pytest.mark.parametrize(
    ("text", "strategy"),
    [
        (Text(LONG), True),
        (Text(LONG, SHORT), "only_first"),
        (Text(SHORT, LONG), "only_second"),
        (Text(SHORT), True),
    ],
)


@pytest.mark.parametrize(("length", "stride"), [(64, 16), (64, 0), (33, 30), (512, 100)])
@each_way
def test_windows_are_those_of_transformers(  # noqa: PLR0917  # two fixtures, and what is asked
    folder: Path, reference: PreTrainedTokenizerBase, text: Text, strategy: bool | str, length: int, stride: int
) -> None:
    """Token ids and characters of each window; of a pair by the strategy, or the longer text where none is named."""
    stride = min(stride, 12) if text.pair and length == 33 else stride
    wanted = expected(reference, text, strategy, max_length=length, stride=stride)
    for truncation in (None, strategy if isinstance(strategy, str) else "longest_first"):
        (found,) = read(folder, [text], max_length=length, stride=stride, truncation=truncation)
        got = [(one.ids.tolist(), span) for one, span in zip(found.windows, found.spans, strict=True)]

        assert [ids for ids, _ in wanted] == [ids for ids, _ in got]
        if len(wanted) > 1:
            assert wanted == got
        else:
            assert [(0, len(max(text.text, text.pair or "", key=len)))] == list(found.spans)


@pytest.mark.parametrize(("length", "stride"), [(64, 16), (64, 0), (33, 12), (512, 100)])
@each_way
def test_windows_of_a_text_that_loses_its_beginning(  # noqa: PLR0917  # two fixtures, and what is asked
    folder: Path, tmp_path: Path, text: Text, strategy: bool | str, length: int, stride: int
) -> None:
    """They are counted from its end, as transformers does where the folder or the request names the left side."""
    left = shutil.copytree(folder, tmp_path / "left")
    config = json.loads((left / "tokenizer_config.json").read_text())
    (left / "tokenizer_config.json").write_text(json.dumps(config | {"truncation_side": "left"}))
    wanted = expected(AutoTokenizer.from_pretrained(left), text, strategy, max_length=length, stride=stride)
    other = expected(AutoTokenizer.from_pretrained(folder), text, strategy, max_length=length, stride=stride)
    assert (wanted != other) is (len(wanted) > 1)

    truncation = strategy if isinstance(strategy, str) else None
    asked: dict[str, Any] = {"max_length": length, "stride": stride, "truncation": truncation}
    for windows, (found,) in (
        (wanted, read(left, [text], **asked)),
        (wanted, read(folder, [text], **asked, truncation_side="left")),
        (other, read(left, [text], **asked, truncation_side="right")),
    ):
        assert [ids for ids, _ in windows] == [one.ids.tolist() for one in found.windows]
        if len(windows) > 1:
            assert [span for _, span in windows] == list(found.spans)


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_character_of_a_text_is_missed(folder: Path, side: Any) -> None:
    """Each window begins before the one before it has ended, and the last one ends with the text."""
    (found,) = read(folder, [Text(LONG)], max_length=40, stride=8, truncation_side=side)
    begins, ends = zip(*found.spans, strict=True)

    assert (0, len(LONG)) == (begins[0], ends[-1])
    assert all(begin < end for begin, end in zip(begins[1:], ends[:-1], strict=True))


def test_windows_that_would_not_move_on_are_refused(folder: Path) -> None:
    """Also where the other text of a pair leaves no room; the sentence has the numbers and the ways out."""
    with pytest.raises(
        StrideTooLargeError, match=r"`stride` is 40, but a window of 40 tokens has room for 3\d of text"
    ):
        read(folder, [Text(LONG)], max_length=40, stride=40)
    with pytest.raises(StrideTooLargeError, match="`max_length` is 40, which leaves no room for text 0"):
        read(folder, [Text(LONG, SHORT + LONG)], max_length=40, stride=0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_more_windows_than_the_limit_are_refused_before_they_are_made(folder: Path, side: Any) -> None:
    """Those of all texts of a request count."""
    asked: dict[str, Any] = {"max_length": 40, "stride": 8, "truncation_side": side}
    (one,) = read(folder, [Text(LONG)], **asked)
    count = len(one.windows)

    assert 2 == len(read(folder, [Text(LONG)] * 2, limit=2 * count, **asked))
    with pytest.raises(
        TooManyWindowsError, match=f"text 1 of `inputs` the request has more .* limit of {2 * count - 1}"
    ):
        read(folder, [Text(LONG)] * 2, limit=2 * count - 1, **asked)


@pytest.mark.parametrize("parameters", [{}, {"truncation": "only_second", "max_length": 30}])
def test_a_text_that_many_pairs_share_gives_each_its_own_tokens(
    folder: Path, reference: PreTrainedTokenizerBase, parameters: dict[str, Any]
) -> None:
    """As transformers encodes each pair, whichever of the texts they have in common."""
    documents = [LONG[:number] for number in range(3, 400, 40)]
    pairs = [*[Text(SHORT, one) for one in documents], *[Text(SHORT, documents[-1])] * 3]
    wanted = reference([list(pair) for pair in pairs], **parameters)["input_ids"]

    assert wanted == [one.windows[0].ids.tolist() for one in read(folder, pairs, **parameters)]


def test_truncation_counts_the_characters_that_nobody_reads(folder: Path) -> None:
    """From either side, by transformers' offsets; and of both texts of a pair."""
    cuts = {}
    for side in ("left", "right"):
        reference = AutoTokenizer.from_pretrained(folder, truncation_side=side)
        _, (begin, end) = expected(reference, Text(PLAIN), True, max_length=40)[-1 if side == "left" else 0]
        cuts[side] = begin if side == "left" else len(PLAIN) - end
        (found,) = read(folder, [Text(PLAIN)], max_length=40, truncation="longest_first", truncation_side=side)
        assert (cuts[side], 40) == (found.cut_characters, len(found.windows[0].ids))
    (whole,) = read(folder, [Text(SHORT)], truncation="longest_first")
    (pair,) = read(folder, [Text(PLAIN, PLAIN)], max_length=40, truncation="longest_first")

    assert 0 == whole.cut_characters
    assert cuts["right"] < pair.cut_characters < 2 * len(PLAIN)
