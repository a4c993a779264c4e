"""What the English recipes share: a smaller vocabulary, and weights in fewer bits."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

from tests.support.paths import ROOT

TEXTS = ["i like you", "the market fell", "a good film", "not very bad"]


@pytest.fixture(autouse=True)
def _recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipes' modules can be imported."""
    monkeypatch.syspath_prepend(str(ROOT / "training"))


def ids(tokenizer: Tokenizer, text: str) -> torch.Tensor:
    """Token ids, [1, tokens]."""
    return torch.tensor([tokenizer.encode(text).ids])


def test_a_smaller_vocabulary_changes_no_text_that_has_its_pieces(models_dir: Path) -> None:
    """Logits stay, to the last bit, and a word that is left out is spelled."""
    from minilm import tokenizer_of, with_vocabulary

    model = AutoModelForSequenceClassification.from_pretrained(models_dir / "org/bert").eval()
    tokenizer = tokenizer_of(models_dir / "org/bert")
    needed = {index for text in TEXTS for index in tokenizer.encode(text).ids}
    with torch.no_grad():
        before = [model(ids(tokenizer, text)).logits for text in TEXTS]
        smaller = with_vocabulary(tokenizer, model, needed)
        after = [model(ids(smaller, text)).logits for text in TEXTS]

    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert smaller.get_vocab_size() < tokenizer.get_vocab_size()
    assert ["[CLS]", "h", "##e", "##l", "##l", "##o", "[SEP]"] == smaller.encode("hello").tokens


def test_shortened_weights_are_near_and_stay_as_they_are() -> None:
    """Each is within 1/64 of the weight, has five bits behind the leading one, and is rounded only once."""
    from common import shortened

    weights = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    short = shortened(weights)

    assert torch.float16 == short.dtype
    assert ((short.float() - weights).abs() <= weights.abs() / 64 + 1e-7).all()
    assert (short.view(torch.int16) & 0b11111 == 0).all()
    assert torch.equal(short, shortened(short))
