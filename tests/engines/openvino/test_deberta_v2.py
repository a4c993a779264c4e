"""DeBERTa-v2's packed graph gives transformers' answers, in every variant, and seeded faults fail."""

import json
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.checkpoint.config import ModelConfig, read_config
from labeld.engines.base import EngineOptions
from labeld.engines.openvino import chunked_attention
from labeld.engines.openvino.architectures.relative_positions import Distances
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.errors import FolderError
from labeld.lifecycle.model import LoadOptions, load_model
from labeld.repository.folders import BUNDLED
from labeld.scoring import FUNCTIONS
from labeld.types import EncodedText, Logits

BASE = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 120,
    "max_position_embeddings": 512,
    "num_labels": 3,
}
V3 = {
    "relative_attention": True,
    "position_buckets": 32,
    "max_relative_positions": -1,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
}
"""Keys of deberta-v3 and mxbai-rerank, with fewer buckets."""
XLARGE = V3 | {"conv_kernel_size": 3, "conv_act": "gelu", "attention_head_size": 12, "pooler_hidden_size": 48}
"""Keys of deberta-v2-xlarge."""
UNSHARED = V3 | {"share_att_key": False, "norm_rel_ebd": "none", "position_biased_input": True, "type_vocab_size": 2}
VARIANTS: dict[str, dict[str, object]] = {
    "v3": V3,
    "v3-one-label": V3 | {"num_labels": 1},
    "v2-xlarge": XLARGE,
    "unshared": UNSHARED,
    "c2p-without-buckets": V3 | {"position_buckets": -1, "max_relative_positions": 40, "pos_att_type": ["c2p"]},
    "p2c-unshared": V3 | {"position_buckets": -1, "share_att_key": False, "pos_att_type": ["p2c"]},
    "c2p-unshared": UNSHARED | {"max_relative_positions": 100, "position_buckets": 33, "pos_att_type": ["c2p", "x"]},
    "no-kind": V3 | {"pos_att_type": None, "type_vocab_size": 3},
    "not-relative": {
        "pos_att_type": ["c2p", "p2c"],
        "position_buckets": 1,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-3,
    },
    "narrow-embedding": UNSHARED | {"embedding_size": 20, "hidden_act": "relu", "pooler_hidden_act": "tanh"},
    "one-layer-groups": XLARGE | {"num_hidden_layers": 1, "conv_kernel_size": 5, "conv_groups": 4, "conv_act": "tanh"},
}
LENGTHS = [1, 2, 8, 64, 33, 512, 17, 130, 5, 40, 16]
"""Beyond the buckets, and up to the positions."""
BEYOND = 600
"""More tokens than `max_position_embeddings`, for models without a position table."""


class Case(NamedTuple):
    """A small model, its texts, and transformers' logits of each by itself."""

    folder: Path
    texts: list[EncodedText]
    expected: Logits


def make(folder: Path, variant: dict[str, object]) -> Case:
    """Seeded weights in which no detail can hide, and a head whose answers spread."""
    config = DebertaV2Config(**BASE | variant)
    torch.manual_seed(7)
    model = DebertaV2ForSequenceClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    texts = some_texts(LENGTHS + ([] if config.position_biased_input else [BEYOND]), config.type_vocab_size)
    logits = torch.tensor(transformers_says(model, texts))
    with torch.no_grad():
        scale = 2 / logits.std(0)
        model.classifier.weight.mul_(scale[:, None])
        model.classifier.bias.copy_(scale * (model.classifier.bias - logits.mean(0)))
    model.save_pretrained(folder)
    return Case(folder, texts, transformers_says(model, texts))


def some_texts(lengths: Sequence[int], types: int) -> list[EncodedText]:
    """Seeded texts of these lengths, as pairs where there are token types: the second half has another one."""
    rng = np.random.default_rng(3)
    return [
        EncodedText(
            rng.integers(1, 120, length).astype(np.int32),
            (np.arange(length) >= length / 2).astype(np.int32) * max(types - 1, 0),
        )
        for length in lengths
    ]


def transformers_says(model: DebertaV2ForSequenceClassification, texts: Sequence[EncodedText]) -> Logits:
    """Logits of each text by itself."""
    with torch.no_grad():
        rows = [model(**{name: torch.tensor(ids[None]).long() for name, ids in named(text)}).logits for text in texts]
    return torch.cat(rows).numpy()


def named(text: EncodedText) -> list[tuple[str, np.ndarray]]:
    """A text's arrays under transformers' names."""
    return [("input_ids", text.ids), ("token_type_ids", text.type_ids)]


class Cases(dict[str, Case]):
    """The variants by their names, each made when it is asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def __missing__(self, name: str) -> Case:
        self[name] = make(self._root / name, VARIANTS[name])
        return self[name]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    """All variants."""
    return Cases(tmp_path_factory.mktemp("models"))


@pytest.fixture(params=VARIANTS)
def case(request: pytest.FixtureRequest, cases: Cases) -> Case:
    """Every variant."""
    return cases[request.param]


@pytest.fixture(scope="module")
def engines(cases: Cases) -> Callable[[str], OpenVinoEngine]:
    """The engine of each variant, compiled once for tests that change nothing in it."""
    return cache(lambda name: engine(cases[name].folder))


def probabilities(logits: Logits, config: ModelConfig) -> np.ndarray:
    """By the model's own function, which is the sigmoid for one label."""
    return np.array([FUNCTIONS[config.default_function](row) for row in logits])


def agree(ours: Logits, case: Case) -> bool:
    """The check itself, which seeded faults must fail."""
    config = read_config(case.folder)
    difference = np.abs(probabilities(ours, config) - probabilities(case.expected, config)).max()
    return bool(difference <= 1e-5 and np.abs(ours - case.expected).max() <= 1e-4)


def engine(folder: Path, **changes: object) -> OpenVinoEngine:
    """The engine on a folder, with these keys of config.json changed."""
    config = read_config(folder)
    return OpenVinoEngine(folder, replace(config, raw=config.raw | changes), EngineOptions())


def test_answers_are_those_of_transformers_alone_and_packed(case: Case) -> None:
    """Every length, beyond the buckets and beyond the positions where there is no table of them."""
    ours = engine(case.folder)
    spread = np.ptp(probabilities(case.expected, read_config(case.folder)), axis=0).max()

    assert spread >= 0.5
    assert agree(ours.run(case.texts), case)
    assert agree(ours.run(case.texts[::-1])[::-1], case)
    assert agree(np.concatenate([ours.run([text]) for text in case.texts]), case)


@pytest.mark.parametrize("name", ["v3", "v2-xlarge"])
def test_small_batches_of_all_kinds(cases: Cases, engines: Callable[[str], OpenVinoEngine], name: str) -> None:
    """Each text beside its two neighbours: rows of one chunk and of several, and of several numbers of distances."""
    case = cases[name]
    ours = engines(name)
    triples = [ours.run(case.texts[at : at + 3]) for at in range(len(case.texts) - 2)]

    assert agree(np.concatenate([triples[0], *(rows[2:] for rows in triples[1:])]), case)


def test_transformers_says_the_same_of_padded_texts(cases: Cases, engines: Callable[[str], OpenVinoEngine]) -> None:
    """The convolution too reads no padding, so the reference for a text is its answer by itself."""
    case = cases["v2-xlarge"]
    model = DebertaV2ForSequenceClassification.from_pretrained(case.folder, dtype=torch.float32).eval()
    ids, mask = (torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.long) for _ in range(2))
    for row, text in enumerate(case.texts[: len(LENGTHS)]):
        ids[row, : len(text.ids)], mask[row, : len(text.ids)] = torch.tensor(text.ids), 1
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask).logits.numpy()

    np.testing.assert_allclose(engines("v2-xlarge").run(case.texts[: len(LENGTHS)]), padded, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("buckets", "longest"), [(256, 512), (256, 256), (128, 512), (64, 512), (32, 128), (32, 100), (33, 100), (2, 9)]
)
def test_buckets_are_those_of_transformers(buckets: int, longest: int) -> None:
    """For every distance that a text can have, as far as the table reaches."""
    distances = np.arange(-4500, 4501)
    expected = make_log_bucket_position(torch.tensor(distances), buckets, longest).long().numpy()
    ours = Distances(c2p=True, p2c=True, scale_factor=3, shared=True, normed=True, buckets=buckets, longest=longest)

    np.testing.assert_array_equal(
        np.clip(ours.bucket(distances), -buckets, buckets - 1), np.clip(expected, -buckets, buckets - 1)
    )


@pytest.mark.parametrize("lengths", [[1], [16], [5, 300], [40] * 12, [100, 3, 3, 90, 64], [256], [17] * 60])
def test_chunks_cover_every_query_once_and_its_whole_text(lengths: list[int]) -> None:
    """No query is left out and none is without a key of its text."""
    tokens = -(-sum(lengths) // 16) * 16
    bounds = chunked_attention.divide(np.array(lengths), tokens)
    ends = np.repeat(np.cumsum(lengths), lengths)

    assert [*range(tokens)] == [token for begin, end, _, _ in bounds for token in range(begin, end)]
    for begin, end, first, last in bounds:
        own = range(begin, min(end, sum(lengths)))
        assert all(first <= ends[token] - lengths[np.searchsorted(np.cumsum(lengths), token, "right")] for token in own)
        assert all(ends[token] <= last <= tokens for token in own)


CONFIG_DEFECTS = [
    ("unshared", {"share_att_key": True}),
    ("v3", {"layer_norm_eps": 1e-5}),
    ("v3", {"norm_rel_ebd": "none"}),
    ("v3", {"pos_att_type": ["c2p"]}),
    ("v3", {"max_relative_positions": 400}),
    ("v3", {"hidden_act": "gelu_new"}),
    ("v3-one-label", {"pooler_hidden_act": "gelu_new"}),
    ("v2-xlarge", {"conv_act": "tanh"}),
    ("unshared", {"position_biased_input": False}),
    ("unshared", {"type_vocab_size": 0}),
]


@pytest.mark.parametrize(("name", "change"), CONFIG_DEFECTS)
def test_a_seeded_config_fault_is_noticed(cases: Cases, name: str, change: dict[str, object]) -> None:
    """Each key matters to the answers."""
    assert not agree(engine(cases[name].folder, **change).run(cases[name].texts), cases[name])


def floored(self: Distances, distance: np.ndarray) -> np.ndarray:
    """Buckets that are rounded down."""
    middle = self.buckets // 2
    far = np.maximum(np.abs(distance), middle)
    steps = np.floor(np.log(far / middle) / np.log((self.longest - 1) / middle) * (middle - 1))
    return np.where(far <= middle, distance, np.sign(distance) * (steps.astype(np.int64) + middle))


def test_a_seeded_fault_of_the_buckets_is_noticed(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row more or less for far distances is seen."""
    monkeypatch.setattr(Distances, "bucket", floored)

    assert not agree(engine(cases["v3"].folder).run(cases["v3"].texts), cases["v3"])


@pytest.mark.parametrize("name", ["v3", "v3-one-label"])
def test_a_seeded_fault_of_the_scale_is_noticed(cases: Cases, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores divided as if there were no distances."""
    real = Distances.of
    monkeypatch.setattr(Distances, "of", lambda config: replace(real(config), scale_factor=1))

    assert not agree(engine(cases[name].folder).run(cases[name].texts), cases[name])


def no_mask(inputs: dict[str, np.ndarray]) -> None:
    """Every token sees all others of its chunk."""
    inputs["sequence_ids"][:] = 0


def next_distance(inputs: dict[str, np.ndarray]) -> None:
    """All distances are one too large."""
    inputs["rows"][0, :-1] = inputs["rows"][0, 1:]


def second_tokens(inputs: dict[str, np.ndarray]) -> None:
    """The head reads the second token."""
    inputs["sequence_starts"] += 1


def cut_texts(inputs: dict[str, np.ndarray]) -> None:
    """A chunk sees its own tokens only, and not the rest of their texts."""
    inputs["attention_chunks"][:, 2:] = inputs["attention_chunks"][:, :2]


@pytest.mark.parametrize("name", ["v3", "v2-xlarge"])
@pytest.mark.parametrize("fault", [no_mask, next_distance, second_tokens, cut_texts])
def test_a_seeded_layout_fault_is_noticed(
    cases: Cases,
    engines: Callable[[str], OpenVinoEngine],
    name: str,
    fault: Callable[[dict[str, np.ndarray]], None],
) -> None:
    """A wrong mask, distance, first token or chunk does not pass."""
    case = cases[name]
    ours = copy(engines(name))
    pack = ours._graph.pack

    def spoiled(texts: Sequence[EncodedText], short_multiple: int) -> list[np.ndarray]:
        inputs = pack(texts, short_multiple)
        fault(
            dict(
                zip(
                    ("ids", "window", "attention_chunks", "sequence_ids", "rows", "sequence_starts"),
                    inputs,
                    strict=True,
                )
            )
        )
        return inputs

    ours._graph = replace(ours._graph, pack=spoiled)

    assert not agree(ours.run(case.texts), case)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"conv_kernel_size": 4}, "conv_kernel_size is 4, but only odd sizes"),
        ({"conv_kernel_size": 3, "conv_groups": 5}, "conv_groups is 5, but must divide a width of 48"),
        ({"conv_kernel_size": 3}, r"has no tensor deberta\.encoder\.conv\.conv\.weight"),
        ({"conv_kernel_size": "3"}, "conv_kernel_size is '3', but must be a whole number"),
        ({"num_attention_heads": 5}, "5 attention heads do not divide a width of 48"),
        ({"attention_head_size": 16}, "attention_head_size is 16, but the other sizes need 12"),
        ({"pooler_hidden_size": 32}, "pooler_hidden_size is 32, but the other sizes need 48"),
        ({"position_buckets": 1}, "position_buckets is 1, but must be at least 2"),
        ({"position_buckets": 64, "max_relative_positions": 33}, "less than 64"),
        ({"position_buckets": 16}, r"rel_embeddings\.weight has shape \[64, 48\], but \[32, 48\] is needed"),
        ({"position_buckets": -1}, r"rel_embeddings\.weight has shape \[64, 48\], but \[1024, 48\] is needed"),
        ({"pos_att_type": 3}, "pos_att_type is 3"),
        ({"norm_rel_ebd": None}, "norm_rel_ebd is None"),
        ({"share_att_key": "yes"}, "share_att_key is 'yes', but must be true or false"),
        ({"share_att_key": False}, r"has no tensor deberta\.encoder\.layer\.0\.attention\.self\.pos_key_proj\.weight"),
        ({"pooler_hidden_act": "laplace"}, "activation 'laplace' needs the torch engine"),
        ({"type_vocab_size": 2}, r"has no tensor deberta\.embeddings\.token_type_embeddings\.weight"),
        ({"embedding_size": 20}, r"word_embeddings\.weight has shape \[120, 48\], but \[120, 20\] is needed"),
    ],
)
def test_what_cannot_be_computed_exactly_is_refused(cases: Cases, change: dict[str, object], expected: str) -> None:
    """One sentence names the key or the tensor."""
    with pytest.raises(FolderError, match=expected):
        engine(cases["v3"].folder, **change)


def test_every_tensor_is_used(case: Case) -> None:
    """Nothing that transformers stores is left out, but for embeddings of distances that no score counts."""
    checkpoint = open_checkpoint(case.folder)
    from labeld.engines.openvino import architectures

    config = read_config(case.folder)
    architectures.build(config, checkpoint)
    counted = Distances.of(config).counted

    assert counted or all("rel_embeddings" in name or "LayerNorm" in name for name in checkpoint.unused())
    assert not (counted and checkpoint.unused())


def test_a_text_is_as_long_as_the_positions_or_else_as_the_setting_allows(cases: Cases, tmp_path: Path) -> None:
    """Where no position table limits it, `max_tokens_per_text` does, and it can also lower a model's limit."""
    folder = BUNDLED / "labeld/sentiment-en"
    limits = [load_model("m", folder, LoadOptions(1, 1, 1000, most, tmp_path)).encoder.max_tokens for most in (9, 4096)]

    assert (512, sys.maxsize) == (engine(cases["unshared"].folder).max_tokens, engine(cases["v3"].folder).max_tokens)
    assert limits[0] == 9 < limits[1] < 4096


def test_what_config_leaves_out_is_as_in_transformers(cases: Cases, tmp_path: Path) -> None:
    """Keys that DebertaV2Config has defaults for may be missing, as in configs of 2021."""
    case = cases["v3"]
    (tmp_path / "model.safetensors").symlink_to(case.folder / "model.safetensors")
    raw = json.loads((case.folder / "config.json").read_text())
    for key in (
        "layer_norm_eps",
        "type_vocab_size",
        "max_relative_positions",
        "pooler_hidden_act",
        "pooler_hidden_size",
        "hidden_act",
    ):
        raw.pop(key)
    (tmp_path / "config.json").write_text(json.dumps(raw))

    assert agree(engine(tmp_path).run(case.texts), case)
