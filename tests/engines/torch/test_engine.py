"""The torch engine gives transformers' logits for architectures without a packed graph, and refuses the rest."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, PreTrainedConfig
from transformers.activations import ACT2FN

from labeld.checkpoint.config import read_config
from labeld.engines import open_engine
from labeld.engines.base import Engine, EngineOptions
from labeld.engines.openvino.layers import ACTIVATIONS
from labeld.engines.torch.engine import TorchEngine
from labeld.errors import FolderError
from labeld.types import EncodedText, Logits

TOLERANCE = 1e-5
"""Largest difference of a logit. The logits of these models spread over a tenth at least."""

WORDS = {"vocab_size": 200, "num_labels": 3}
BERT = WORDS | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "eos_token_id": 2,
}
GPT2 = WORDS | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 66, "bos_token_id": 1, "eos_token_id": 1}
BART = WORDS | {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 66,
}
ARCHITECTURES: dict[str, PreTrainedConfig] = {
    "albert": transformers.AlbertConfig(**BERT, embedding_size=16),
    "mbart": transformers.MBartConfig(**BART),
    "big-bird": transformers.BigBirdConfig(
        **BERT | {"max_position_embeddings": 128}, block_size=4, num_random_blocks=1, attention_type="block_sparse"
    ),
    "bloom": transformers.BloomConfig(**WORDS, hidden_size=32, n_layer=2, n_head=4, pad_token_id=3),
    "fnet": transformers.FNetConfig(**{key: value for key, value in BERT.items() if key != "num_attention_heads"}),
    "funnel": transformers.FunnelConfig(**WORDS, block_sizes=[1, 1], d_model=32, n_head=4, d_head=8, d_inner=48),
    "gpt2": transformers.GPT2Config(**GPT2, pad_token_id=0),
    "gpt2-without-pad": transformers.GPT2Config(**GPT2),
    "longformer": transformers.LongformerConfig(**BERT, attention_window=8),
    "mixtral": transformers.MixtralConfig(**BERT, num_key_value_heads=2, num_local_experts=4, pad_token_id=0),
    "mpnet": transformers.MPNetConfig(**BERT),
    "qwen2": transformers.Qwen2Config(**BERT, num_key_value_heads=2, pad_token_id=0),
    "t5": transformers.T5Config(
        **WORDS, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    ),
    "xlnet": transformers.XLNetConfig(**WORDS, d_model=32, n_layer=2, n_head=4, d_inner=48),
}
TYPED = {"fnet"}
"""Those whose tokenizer in transformers 5 gives token types."""

SHORTEST = {"funnel": 5}
"""Tokens of the shortest text that transformers' model can compute, where that is not one."""

LENGTHS = [90, 1, 2, 5, 16, 17, 64, 33, 5, 5, 16, 90, 90]


def save(name: str, folder: Path) -> None:
    """A small model with seeded weights, large enough that a wrong detail cannot hide in flat logits."""
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_config(ARCHITECTURES[name], dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(folder)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model, whose name is the architecture's."""
    path = tmp_path_factory.mktemp("models") / request.param
    save(request.param, path)
    return path


@pytest.fixture
def albert(tmp_path: Path) -> Path:
    """A folder to be spoilt."""
    save("albert", tmp_path / "albert")
    return tmp_path / "albert"


def texts(lengths: Sequence[int], end: int | None = 2) -> list[EncodedText]:
    """Seeded texts that end with an end token, every other one with a second one; the second half has type 1."""
    rng = np.random.default_rng(3)
    made = []
    for number, length in enumerate(lengths):
        ids = rng.integers(4, 190, length).astype(np.int32)
        if end is not None:
            ids[[-1, length // 2 if number % 2 else -1]] = end
        made.append(EncodedText(ids, (np.arange(length) >= length / 2).astype(np.int32)))
    return made


def batch_for(folder: Path, engine: Engine) -> list[EncodedText]:
    """Texts that the model takes."""
    end = read_config(folder).raw.get("eos_token_id")
    shortest = SHORTEST.get(folder.name, 1)
    return texts([length for length in LENGTHS if shortest <= length <= engine.max_tokens], end)


def reference(folder: Path, batch: Sequence[EncodedText]) -> Logits:
    """Logits of transformers' pipeline for each text, by a model that has just been loaded."""
    rows = []
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    for text in batch:
        if folder.name == "big-bird":
            model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
        inputs = {"input_ids": torch.tensor(text.ids[None].astype(np.int64))}
        if folder.name != "fnet":
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if folder.name in TYPED:
            inputs["token_type_ids"] = torch.tensor(text.type_ids[None].astype(np.int64))
        with torch.no_grad():
            rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def opened(folder: Path, streams: int = 1) -> Engine:
    """The engine that labeld takes for a folder."""
    return open_engine(folder, read_config(folder), EngineOptions(1, streams))


def change(folder: Path, **keys: Any) -> None:
    """Changes keys of config.json; None removes one."""
    config = json.loads((folder / "config.json").read_text()) | keys
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_logits_are_those_of_transformers_alone_and_together(folder: Path) -> None:
    """Any lengths, end tokens and token types, on either set of modules, and whatever ran before."""
    engine = opened(folder, streams=2)
    batch = batch_for(folder, engine)
    expected = reference(folder, batch)

    assert isinstance(engine, TorchEngine)
    assert expected.std(0).max() > 0.1
    np.testing.assert_allclose(engine.run(batch), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(engine.run(batch[::-1])[::-1], expected, rtol=0, atol=TOLERANCE)
    for text, row in zip(batch, expected, strict=True):
        np.testing.assert_allclose(engine.run([text])[0], row, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "tokens"), [("albert", 66), ("mpnet", 64), ("gpt2", 66), ("mbart", 66), ("bloom", sys.maxsize)]
)
def test_the_longest_text_uses_every_position(name: str, tokens: int, tmp_path: Path) -> None:
    """And no more than there are: MPNet counts from its padding_idx, Bloom has no limit but ours."""
    save(name, tmp_path / name)
    engine = opened(tmp_path / name)

    assert tokens == engine.max_tokens
    if tokens != sys.maxsize:
        assert np.isfinite(engine.run(texts([tokens]))).all()
        with pytest.raises((IndexError, RuntimeError)):
            reference(tmp_path / name, texts([tokens + 1]))


def test_a_text_that_transformers_fails_on_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Funnel cannot pool a single token; its neighbours get their answers, and the log has the reason."""
    save("funnel", tmp_path / "funnel")
    batch = texts([20, 1, 9])
    logits = opened(tmp_path / "funnel").run(batch)

    assert np.isnan(logits[1]).all()
    assert "transformers failed on texts of 1 tokens" in caplog.text
    np.testing.assert_allclose(logits[::2], reference(tmp_path / "funnel", batch[::2]), rtol=0, atol=TOLERANCE)


def test_streams_answer_at_the_same_time(tmp_path: Path) -> None:
    """Two threads, and nothing of one in the other's answers; the threads of torch are shared out."""
    save("qwen2", tmp_path)
    engine = TorchEngine(tmp_path, read_config(tmp_path), EngineOptions(2, 2))
    batches = [texts([7, 30, 60]), texts([61, 8])]
    single = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(2) as streams:
        jobs = [streams.submit(engine.run, batches[number % 2]) for number in range(20)]
        threads = streams.submit(torch.get_num_threads).result()

    assert 1 == threads
    for number, job in enumerate(jobs):
        np.testing.assert_allclose(job.result(), single[number % 2], rtol=0, atol=TOLERANCE)


def as_zip(state: dict[str, torch.Tensor], folder: Path) -> None:
    """As torch has written since 2020."""
    torch.save(state, folder / "pytorch_model.bin")


def as_legacy(state: dict[str, torch.Tensor], folder: Path) -> None:
    """As torch wrote before, where no tensor is aligned."""
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def as_half(state: dict[str, torch.Tensor], folder: Path) -> None:
    """In bfloat16, computed in float32."""
    save_file({name: tensor.bfloat16() for name, tensor in state.items()}, folder / "model.safetensors")


def without_prefix(state: dict[str, torch.Tensor], folder: Path) -> None:
    """With the names of the base model, and those that LayerNorm had in 2018."""
    names = {name: name.removeprefix("albert.").removeprefix("transformer.") for name in state}
    old = {name: names[name].replace("LayerNorm.weight", "LayerNorm.gamma") for name in state}
    save_file({old[name]: tensor for name, tensor in state.items()}, folder / "model.safetensors")


@pytest.mark.parametrize("name", ["albert", "gpt2"])
@pytest.mark.parametrize("write", [as_zip, as_legacy, as_half, without_prefix])
def test_every_form_of_the_weights_gives_the_same_answers(
    name: str, write: Callable[[dict[str, torch.Tensor], Path], None], tmp_path: Path
) -> None:
    """As transformers reads the same folder."""
    folder = tmp_path / name
    save(name, folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    write(state, folder)
    batch = texts([5, 20, 5])

    np.testing.assert_allclose(opened(folder).run(batch), reference(folder, batch), rtol=0, atol=TOLERANCE)


def test_weights_are_not_copied(albert: Path) -> None:
    """The parameters lie in the mapped file, the same ones for every stream."""
    engine = TorchEngine(albert, read_config(albert), EngineOptions(1, 2))
    first, second = (list(model.parameters()) for model in engine._models.queue)
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(albert) in line]
    ranges = [[int(end, 16) for end in line[0].split("-")] for line in maps]

    for one, other in zip(first, second, strict=True):
        assert one is other
        assert any(begin <= one.data_ptr() < end for begin, end in ranges)


@pytest.mark.parametrize(
    ("name", "left_out", "given"), [("mpnet", "vocab_size", None), ("xlnet", "vocab_size", "n_token")]
)
def test_a_size_that_only_transformers_knows_is_its_own(
    tmp_path: Path, name: str, left_out: str, given: str | None
) -> None:
    """config.json may leave out the vocabulary's size where its class has a default, or say it by another name."""
    torch.manual_seed(7)
    values = ARCHITECTURES[name].to_dict() | {"vocab_size": type(ARCHITECTURES[name])().vocab_size}
    kind = type(ARCHITECTURES[name])
    model = AutoModelForSequenceClassification.from_config(kind.from_dict(values), dtype=torch.float32)
    model.save_pretrained(tmp_path)
    stated = json.loads((tmp_path / "config.json").read_text())
    stated.pop(left_out, None)
    if given:
        stated[given] = values["vocab_size"]
    (tmp_path / "config.json").write_text(json.dumps(stated))
    assert read_config(tmp_path).vocabulary == (values["vocab_size"] if given else None)
    batch = texts([5, 16, 17])

    assert np.abs(opened(tmp_path).run(batch) - reference(tmp_path, batch)).max() < TOLERANCE


def test_a_variant_that_no_packed_graph_computes_falls_back(tmp_path: Path) -> None:
    """A BERT with an unusual activation is transformers' BERT."""
    unusual = next(name for name in ACT2FN if name not in ACTIVATIONS)
    torch.manual_seed(7)
    config = transformers.BertConfig(**BERT, hidden_act=unusual)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    engine, batch = opened(tmp_path), texts([5, 20, 5])

    assert isinstance(engine, TorchEngine)
    ids = torch.tensor(batch[1].ids[None].astype(np.int64))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32)
    expected = model(input_ids=ids, token_type_ids=torch.tensor(batch[1].type_ids[None].astype(np.int64))).logits
    np.testing.assert_allclose(engine.run(batch)[1:2], expected.detach().numpy(), rtol=0, atol=TOLERANCE)


def lose(folder: Path) -> None:
    """Leaves one tensor out."""
    state = load_file(folder / "model.safetensors")
    del state["albert.pooler.bias"]
    save_file(state, folder / "model.safetensors")


def reshape(folder: Path) -> None:
    """Cuts a row off one tensor."""
    state = load_file(folder / "model.safetensors")
    state["classifier.weight"] = state["classifier.weight"][:2].clone()
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lose, r"^model\.safetensors has no tensor albert\.pooler\.bias\.$"),
        (reshape, r"^model\.safetensors: tensor classifier\.weight has shape \[2, 32\], but \[3, 32\] is needed\.$"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, more than the limit of 1000"),
        ({"hidden_size": 10**6}, r"too large for model\.safetensors, which has \d+ numbers"),
        ({"id2label": None, "label2id": None, "num_labels": 10**9}, "num_labels is 1000000000"),
        ({"id2label": None, "label2id": None, "num_labels": 9}, r"classifier\.bias has shape \[3\], but \[9\]"),
        ({"hidden_act": "nonsense"}, "cannot build this model of model_type 'albert'; the log"),
        ({"hidden_size": "wide"}, "cannot build this model of model_type 'albert'; the log"),
        ({"model_type": "nothing"}, "model_type 'nothing' is unknown to transformers"),
        ({"model_type": "mamba"}, "has no ForSequenceClassification for model_type 'mamba'"),
        ({"model_type": "reformer"}, "model_type 'reformer' is refused: its answers are random"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "'albert' comes with code of its own .auto_map., which labeld"),
    ],
)
def test_what_cannot_be_served_is_refused(
    albert: Path, spoil: Callable[[Path], None] | dict[str, Any], expected: str
) -> None:
    """One sentence names the key or the tensor."""
    if isinstance(spoil, dict):
        change(albert, **spoil)
    else:
        spoil(albert)

    with pytest.raises(FolderError, match=expected) as caught:
        opened(albert)
    assert str(albert) not in str(caught.value)


def test_a_table_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    """GPT-J computes a table with a row for each position, and no weight says how many there are."""
    config = transformers.GPTJConfig(**WORDS, n_embd=32, n_layer=1, n_head=4, n_positions=66, rotary_dim=8)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    assert 66 == opened(tmp_path).max_tokens
    change(tmp_path, n_positions=10**8)

    with pytest.raises(FolderError, match=r"too large for model\.safetensors"):
        opened(tmp_path)


def test_a_model_that_needs_more_than_token_ids_is_refused(tmp_path: Path) -> None:
    """When it is loaded: a T5 that does not know how its decoder begins."""
    save("t5", tmp_path)
    change(tmp_path, decoder_start_token_id=None)

    with pytest.raises(FolderError, match="cannot run this model of model_type 't5'; the log"):
        opened(tmp_path)


def test_extra_tensors_are_warned_of(albert: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By name, in one line."""
    state = load_file(albert / "model.safetensors") | {"qa_outputs.weight": torch.zeros(2, 32)}
    save_file(state, albert / "model.safetensors")
    with caplog.at_level(logging.WARNING):
        opened(albert)

    assert ["model.safetensors has 1 tensors that the model does not use: qa_outputs.weight."] == caplog.messages
