"""What a tokenizer that is gone leaves in the process."""

from pathlib import Path

import pytest

from labeld.repository.folders import BUNDLED
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer
from labeld.types import Parameters, Text
from tests.support.heap import in_use
from tests.support.tokenizer_classes import bare_folder_of, folder_of

WORDS = " ".join(f"word{number}" for number in range(1000))
ROUNDS = 10
BOUND = 20_000
"""Bytes that one tokenizer may leave: with every word that it met it left 300,000."""


def made(folder: Path, form: str) -> Path:
    """A folder with a tokenizer in this form."""
    if form == "bundled":
        return BUNDLED / "labeld/language-20"
    if form == "vocab.json":
        return bare_folder_of(folder, "BPE", {"tokenizer_class": "RobertaTokenizer"})
    return folder_of(folder, form, {"tokenizer_class": "PreTrainedTokenizerFast"}, {})


@pytest.mark.parametrize("form", ["bundled", "vocab.json", "BPE", "WordPiece", "Unigram"])
def test_a_tokenizer_that_is_gone_leaves_no_words(tmp_path: Path, form: str) -> None:
    """On a thread that lives on, as those of a server do."""
    folder, sizes = made(tmp_path / "model", form), []
    for _ in range(2 + ROUNDS):
        encoder = TextEncoder(read_tokenizer(folder).tokenizer, 100_000, 100_000)
        assert len(encoder.encode([Text(WORDS)], Parameters())[0].ids) >= 1000
        del encoder
        sizes.append(in_use())

    assert (sizes[-1] - sizes[1]) / ROUNDS < BOUND
