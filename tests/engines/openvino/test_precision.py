"""bfloat16 and int8 are really in force, int8 is what it says it is, and what does not work is refused by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AlbertConfig, AlbertForSequenceClassification, BertConfig, BertForSequenceClassification

from labeld.checkpoint.config import read_config
from labeld.config.precision import parse_precisions
from labeld.config.settings import Compute
from labeld.engines import open_engine
from labeld.engines.base import EngineOptions
from labeld.engines.openvino.engine import RELEASE_EVERY, OpenVinoEngine
from labeld.engines.openvino.precision import quantises
from labeld.errors import PrecisionError, SettingsError
from labeld.literals import Precision
from labeld.repository.folders import BUNDLED
from labeld.types import EncodedText, Logits
from tests.engines.openvino import test_deberta_v2
from tests.engines.openvino.test_engine import BERT, MIXED, reference, texts
from tests.support import graph_models
from tests.support.paths import BUNDLED_IDS
from tests.support.processor import needs_bfloat16, needs_int8
from tests.support.server_process import SMALLEST
from tests.support.tiny_models import seeded

SINGLE_OR_PACKED = 5e-5
"""Largest difference of a logit in int8 that may come from a text's neighbours."""
GROUPS = {40: 32, 128: 128, 312: 128, 384: 128}
"""Hidden size -> activations that share a scale. 40 and 312 are no multiple of it."""


def engine(folder: Path, precision: Precision) -> OpenVinoEngine:
    """The engine on a folder, in this precision."""
    return OpenVinoEngine(folder, read_config(folder), EngineOptions(2, precision=precision))


def in_steps(x: torch.Tensor, group: int) -> torch.Tensor:
    """Rounded to 255 steps in each group of the last axis, symmetric about 0."""
    parts = []
    for part in x.split(group, -1):
        scale = (part.abs().amax(-1, keepdim=True) / 127).clamp(min=1e-30)
        parts.append((part / scale).round() * scale)
    return torch.cat(parts, -1)


class Quantised(torch.nn.Module):
    """A linear layer in int8 as it is meant: one scale per row of weights, and per token and group of activations."""

    def __init__(self, layer: torch.nn.Linear, group: int | None) -> None:
        super().__init__()
        self.weight, self.bias = in_steps(layer.weight.detach(), layer.in_features), layer.bias.detach()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[…, in] -> […, out]."""
        return (x if self.group is None else in_steps(x, self.group)) @ self.weight.T + self.bias


def quantised_reference(folder: Path, batch: Sequence[EncodedText], group: int | None) -> Logits:
    """Logits of transformers with the linear layers of its blocks in int8; group None = their weights only."""
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    for block in model.bert.encoder.layer:
        for parent in list(block.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, torch.nn.Linear):
                    setattr(parent, name, Quantised(layer, group))
    rows = []
    for text in batch:
        ids, types = (torch.tensor(part[None].astype(np.int64)) for part in text)
        with torch.no_grad():
            rows.append(model(input_ids=ids, token_type_ids=types).logits[0].numpy())
    return np.stack(rows)


def saved(folder: Path, **sizes: int) -> Path:
    """A BERT of these sizes with seeded weights."""
    seeded(BertForSequenceClassification, BertConfig(**{**BERT, **sizes}, num_labels=3)).save_pretrained(folder)
    return folder


@needs_int8
@pytest.mark.parametrize("hidden", GROUPS)
def test_int8_is_in_force_for_every_width(tmp_path: Path, hidden: int) -> None:
    """The logits are those of transformers with weights and activations in int8, not with int8 weights only."""
    # NOTE: rounding may go the other way here and there, so the test is which of the two is much nearer
    folder = saved(tmp_path, hidden_size=hidden, num_attention_heads=4, intermediate_size=4 * hidden)
    batch = texts(MIXED)
    ours = engine(folder, "int8").run(batch)
    meant = quantised_reference(folder, batch, GROUPS[hidden])
    weights_only = quantised_reference(folder, batch, None)

    assert np.abs(ours - meant).mean() < 0.25 * np.abs(ours - weights_only).mean()
    assert np.abs(weights_only - reference(folder, batch)).max() > 1e-3


@needs_int8
@pytest.mark.parametrize(("width", "group"), GROUPS.items())
def test_the_trap_is_seen(width: int, group: int) -> None:
    """OpenVINO takes a group larger than a matrix is wide, and silently computes that matrix in floating point."""
    assert quantises(frozenset({width, 768}), group)
    assert not quantises(frozenset({width, 768}), 768)


@pytest.mark.parametrize("model", BUNDLED_IDS)
@pytest.mark.parametrize(
    ("precision", "share"),
    [pytest.param("int8", 0.1, marks=needs_int8), pytest.param("bfloat16", 0.05, marks=needs_bfloat16)],
)
def test_a_faster_precision_is_near_float32_but_not_it(model: str, precision: Precision, share: float) -> None:
    """On every bundled model, by a share of its logits' spread, which is several units."""
    batch = texts([3, 9, 17, 40], types=1)
    expected = reference(BUNDLED / model, batch)
    difference = np.abs(engine(BUNDLED / model, precision).run(batch) - expected).max()

    assert 1e-3 < difference < share * np.ptp(expected)


@needs_int8
@pytest.mark.parametrize("model", BUNDLED_IDS)
def test_in_int8_a_text_does_not_see_its_neighbours(model: str) -> None:
    """Each token has its own scales, so who is packed with a text changes nothing, nor what runs beside its batch."""
    ours = engine(BUNDLED / model, "int8")
    batch = texts([7, 30, 2, 90, 11, 16], types=1)
    single = [ours.run([one])[0] for one in batch]
    backwards = ours.run(batch[::-1])[::-1]

    np.testing.assert_allclose(backwards, single, rtol=0, atol=SINGLE_OR_PACKED)
    np.testing.assert_allclose(ours.run_concurrently(batch), single, rtol=0, atol=SINGLE_OR_PACKED)


@needs_int8
@pytest.mark.parametrize(
    "name",
    [
        *("distilbert", "roberta", "electra", "modernbert", "modernbert-mean-biases", "deberta"),
        *("bart", "bart-scaled-uneven"),
    ],
)
def test_int8_works_in_every_architecture(tmp_path: Path, name: str) -> None:
    """Near float32 but not it, and in a batch of the default size independent of neighbours and place."""
    _, every_text, expected = (
        test_deberta_v2.make(tmp_path, test_deberta_v2.V3) if name == "deberta" else graph_models.make(name, tmp_path)
    )
    short = [index for index, text in enumerate(every_text) if len(text.ids) <= 64]
    batch, exact = [every_text[index] for index in short], expected[short]
    ours = engine(tmp_path, "int8")
    packed = ours.run(batch)
    single = [ours.run([one])[0] for one in batch]

    assert sum(len(text.ids) for text in batch) <= Compute().batch_tokens
    assert 1e-3 < np.abs(packed - exact).mean() < 0.2 * exact.std()
    np.testing.assert_allclose(packed, single, rtol=0, atol=SINGLE_OR_PACKED)


@needs_bfloat16
@pytest.mark.parametrize("name", ["bart", "bart-scaled-uneven"])
def test_bfloat16_works_in_an_encoder_and_decoder(tmp_path: Path, name: str) -> None:
    """Near float32 but not it, alone and packed."""
    _, batch, exact = graph_models.make(name, tmp_path)
    ours = engine(tmp_path, "bfloat16")
    packed, single = ours.run(batch), np.concatenate([ours.run([one]) for one in batch])

    for logits in (packed, single):
        assert 1e-3 < np.abs(logits - exact).mean() < 0.1 * exact.std()


@needs_bfloat16
def test_large_batches_are_preferred_where_bfloat16_has_tiles() -> None:
    """The processor says whether it has them; float32 has none."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    preferring = {one: engine(BUNDLED / SMALLEST, one).prefers_large_batches for one in ("float32", "bfloat16")}

    assert {"float32": False, "bfloat16": " amx_bf16" in flags} == preferring


@pytest.mark.parametrize(
    ("precision", "width", "block_width"),
    [
        ("float32", 4, 4),
        pytest.param("bfloat16", 4, 4, marks=needs_bfloat16),
        pytest.param("int8", 8, 3, marks=needs_int8),
    ],
)
def test_an_engine_knows_what_its_weights_take(
    tmp_path: Path, precision: Precision, width: int, block_width: int
) -> None:
    """Bytes of a number by precision; word embeddings stay in their file, and but for float32 there are two layouts."""
    parameters = dict(BertForSequenceClassification.from_pretrained(saved(tmp_path)).named_parameters())
    sizes = {name: parameter.numel() for name, parameter in parameters.items() if "word_embeddings" not in name}
    blocks = sum(size for name, size in sizes.items() if ".layer." in name and parameters[name].dim() == 2)

    assert width * (sum(sizes.values()) - blocks) + block_width * blocks == engine(tmp_path, precision).nbytes


@needs_int8
def test_matrices_in_8_bits_stay_in_a_file(tmp_path: Path) -> None:
    """One byte of each number less in memory, the same answers, and no file that anybody sees."""
    folder, spill = saved(tmp_path / "model"), tmp_path / "spill"
    parameters = BertForSequenceClassification.from_pretrained(folder).named_parameters()
    blocks = sum(one.numel() for name, one in parameters if ".layer." in name and one.dim() == 2)
    in_memory = engine(folder, "int8")
    ours = OpenVinoEngine(folder, read_config(folder), EngineOptions(2, precision="int8", spill_folder=spill))

    assert in_memory.nbytes - blocks == ours.nbytes
    for _ in range(2 * RELEASE_EVERY):
        np.testing.assert_array_equal(in_memory.run(texts(MIXED)), ours.run(texts(MIXED)))
    assert [] == list(spill.iterdir())


@needs_int8
def test_matrices_in_8_bits_stay_in_memory_without_a_folder_to_write_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Answers as ever, and a warning that says where they are."""
    folder, spill = saved(tmp_path / "model"), tmp_path / "no folder"
    spill.touch()
    in_memory = engine(folder, "int8")
    ours = OpenVinoEngine(folder, read_config(folder), EngineOptions(2, precision="int8", spill_folder=spill))

    assert in_memory.nbytes == ours.nbytes
    np.testing.assert_array_equal(in_memory.run(texts(MIXED)), ours.run(texts(MIXED)))
    assert "copies of weights stay in memory" in caplog.text


def test_int8_is_refused_where_it_could_not_be_in_force(tmp_path: Path) -> None:
    """A model narrower than the smallest group: one sentence with the way out."""
    folder = saved(tmp_path, hidden_size=8, num_attention_heads=2, intermediate_size=16)

    with pytest.raises(PrecisionError, match=r"cannot compute in int8: .* 8 wide\. Take precision auto"):
        engine(folder, "int8")


def test_the_torch_engine_refuses_another_precision(tmp_path: Path) -> None:
    """It has the one that its device is good at."""
    sizes = {"hidden_size": 16, "embedding_size": 8, "num_attention_heads": 2, "intermediate_size": 16}
    AlbertForSequenceClassification(AlbertConfig(**sizes, vocab_size=50)).save_pretrained(tmp_path)

    with pytest.raises(PrecisionError, match="cannot compute in int8: the torch engine"):
        open_engine(tmp_path, read_config(tmp_path), EngineOptions(precision="int8"))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("float32", ("float32", "float32")),
        ("auto", ("auto", "auto")),
        ("int8,org/name=auto", ("int8", "auto")),
        ("org/name=bfloat16", ("float32", "bfloat16")),
        (" auto , org/name=float32 ", ("auto", "float32")),
        ("other/name=int8,auto", ("auto", "auto")),
    ],
)
def test_a_precision_for_all_and_for_one(setting: str, expected: tuple[str, str]) -> None:
    """A model's own part wins; without a part for all it is float32."""
    asked = parse_precisions(setting)

    assert expected == (asked.of("any/other"), asked.of("org/name"))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("int4", "precision has 'int4', but each part must be one of float32, bfloat16, int8, auto"),
        ("auto,", "precision has '', but"),
        ("=int8", "precision has '=int8', but"),
        ("org/name=", "precision has 'org/name=', but"),
        ("auto,int8", "precision has two parts for all models"),
        ("a/b=auto,a/b=int8", "precision has two parts for a/b"),
    ],
)
def test_an_impossible_precision_is_refused_by_its_part(setting: str, expected: str) -> None:
    """The sentence names the part and what is allowed."""
    with pytest.raises(SettingsError) as refused:
        parse_precisions(setting)

    assert str(refused.value).startswith(expected)
