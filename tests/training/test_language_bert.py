"""The BERT that stands for a linear model of pieces computes what that computes."""

import pytest
import torch

from tests.support.paths import ROOT


def test_the_bert_has_the_mean_scores_of_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a thousandth of the scores' spread, for short and long texts, with padding beside them."""
    monkeypatch.syspath_prepend(str(ROOT / "training"))
    from language_bert import PieceScores, as_bert

    torch.manual_seed(0)
    scores = torch.randn(300, 20) * 5
    linear, bert = PieceScores(300, 20), as_bert(scores, 300).eval()
    linear.scores.weight.data.copy_(scores)
    texts = [[2, *range(10, 60), 3], [2, 50, 51, 3], [2, 7, 3], [2, 3]]
    ids = torch.tensor([[*text, *[0] * (52 - len(text))] for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (52 - len(text)) for text in texts])
    with torch.no_grad():
        expected, found = linear(ids, mask).logits, bert(input_ids=ids, attention_mask=mask).logits

    assert expected.abs().max() > 3
    assert torch.equal(expected.argmax(1)[:3], found.argmax(1)[:3])
    assert (found - expected).abs().max() < 1e-3 * (expected.max() - expected.min())
    assert found[3].abs().max() < 1e-4
