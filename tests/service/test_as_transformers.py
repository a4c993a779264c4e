"""Folders that are not quite right: what transformers' pipeline answers with them, labeld answers too."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    CamembertConfig,
    CamembertForSequenceClassification,
    Pipeline,
    pipeline,
)

from labeld.config.load import load
from labeld.errors import InvalidRequestError, LabeldError, NotFiniteError
from labeld.service.build import open_service
from labeld.tokenization.errors import UnknownTokenIdError
from labeld.tokenization.loader import read_tokenizer
from labeld.types import Options, Parameters, Text
from tests.support.graph_models import BART
from tests.support.tiny_models import BERT, NAMES, TEXTS, VOCABULARY, VOCABULARY_ONLY, save, seeded
from tests.support.tokenizer_folders import byte_bpe, fairseq

Edit = Callable[[Path], object]
TOLERANCE = 1e-5


def config(**keys: object) -> Edit:
    """Sets keys of config.json."""

    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | keys))

    return edit


def tokenizer_config(**keys: object) -> Edit:
    """Sets keys of tokenizer_config.json."""

    def edit(folder: Path) -> None:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | keys))

    return edit


def last_bias(*values: float) -> Edit:
    """Sets the biases of the last layer."""

    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        save_file(tensors | {"classifier.bias": torch.tensor(values)}, folder / "model.safetensors", {"format": "pt"})

    return edit


def append(name: str, content: str) -> Edit:
    """Adds to a file."""

    def edit(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(content)

    return edit


def add_token(folder: Path) -> None:
    """One token more than the model has embeddings for."""
    (folder / "added_tokens.json").write_text(json.dumps({"newtoken": len(VOCABULARY)}))


LESS = float("-inf")
EDITS: dict[str, tuple[str, Edit]] = {
    "names for another number of labels": ("org/bert", config(id2label={"0": "a", "1": "b"}, num_labels=3)),
    "names and number agree": ("org/bert", config(num_labels=3)),
    "problem type multi_label": ("org/bert", config(problem_type="multi_label")),
    "problem type empty": ("org/bert", config(problem_type="")),
    "quantized once": ("org/bert", config(quantization_config={"quant_method": "of-yesterday"})),
    "one label never": ("org/bert", last_bias(0.5, LESS, -0.5)),
    "one label never, sigmoid": ("org/multi-label", last_bias(0.5, LESS, -0.5)),
    "blank lines": (VOCABULARY_ONLY, append("vocab.txt", "\n\n\n")),
    "one word more": (VOCABULARY_ONLY, append("vocab.txt", "unheard\n")),
    "one added token more": (VOCABULARY_ONLY, add_token),
    "small model_max_length": ("org/bert", tokenizer_config(model_max_length=4)),
}


def edited(models_dir: Path, folder: Path, case: str) -> Path:
    """A copy of the case's model, edited."""
    model, edit = EDITS[case]
    shutil.copytree(models_dir / model, folder)
    edit(folder)
    return folder


WAITING = Options(wait_for_model=True)


def answered(models_dir: Path, asked: Sequence[str | Text], **parameters: Any) -> list[list[dict[str, Any]]]:
    """The service's answers of the one model in models_dir, in label order."""
    texts = [Text(one) if isinstance(one, str) else one for one in asked]

    async def main() -> list[list[dict[str, Any]]]:
        settings = load({"models_dir": models_dir, "models": ("model",), "cache_dir": models_dir.parent}, {})
        async with open_service(settings) as service, service.lease(service.resolve("model"), WAITING) as loaded:
            scored = await service.scorer.score(loaded, texts, Parameters(**parameters), range(len(texts)))
            return [in_order([label._asdict() for label in one.ranking]) for one in scored]

    return asyncio.run(main())


def in_order(ranking: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By the name of the label, since equal scores have no order that counts here."""
    return sorted(ranking, key=lambda one: str(one["label"]))


def require_same(reference: Pipeline, models_dir: Path, inputs: list[str], **parameters: Any) -> None:
    """The pipeline's labels and scores, text by text."""
    asked = {"truncation": True} if parameters else {}
    expected = [in_order(reference(one, top_k=None, **asked)) for one in inputs]
    for ours, theirs in zip(answered(models_dir, inputs, **parameters), expected, strict=True):
        assert [one["label"] for one in theirs] == [one["label"] for one in ours]
        assert [one["score"] for one in theirs] == pytest.approx([one["score"] for one in ours], abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("case", EDITS)
def test_the_answers_are_those_of_the_pipeline(models_dir: Path, tmp_path: Path, case: str) -> None:
    """Of texts that use nothing the model lacks, longer ones than model_max_length among them."""
    folder = edited(models_dir, tmp_path / "models/model", case)
    reference = pipeline("text-classification", str(folder), device="cpu")

    require_same(reference, tmp_path / "models", TEXTS)
    require_same(reference, tmp_path / "models", TEXTS, truncation="longest_first")


def test_camemberts_own_three_tokens_are_no_obstacle(tmp_path: Path) -> None:
    """A model with an embedding for each piece that texts use, and none for the last three tokens."""
    (tmp_path / "models").mkdir()
    folder = fairseq(tmp_path / "models/model", "camembert")
    tokens = read_tokenizer(folder).tokenizer.get_vocab_size()
    sizes = {name: size for name, size in BERT.items() if name != "vocab_size"}
    model = seeded(CamembertForSequenceClassification, CamembertConfig(**sizes, vocab_size=tokens - 3))
    model.save_pretrained(folder)
    reference = pipeline("text-classification", str(folder), device="cpu")

    require_same(reference, tmp_path / "models", ["a", "it was good", "bad"])


def bart(folder: Path) -> Path:
    """A small BART as facebook/bart-large-mnli is published: its labels, and a tokenizer without a class."""
    folder.parent.mkdir()
    byte_bpe(folder, "bart", model_max_length=128)
    tokens = read_tokenizer(folder).tokenizer.get_vocab_size()
    sizes = BART | {"vocab_size": tokens, "max_position_embeddings": 128, "num_labels": 3}
    labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
    seeded(BartForSequenceClassification, BartConfig(**sizes, id2label=labels)).save_pretrained(folder)
    return folder


def test_bart_answers_texts_and_pairs_as_the_pipeline_does(tmp_path: Path) -> None:
    """Together, though they have different numbers of end tokens, one of them written in a text; long ones are cut."""
    folder = bart(tmp_path / "models/model")
    reference = pipeline("text-classification", str(folder), device="cpu")
    pairs = [("I have a problem with my phone", "This example is urgent."), ("a </s> b", "c"), ("", "d </s>")]
    expected = [in_order(reference({"text": text, "text_pair": pair}, top_k=None)) for text, pair in pairs]

    require_same(reference, tmp_path / "models", ["a", "", "it was </s> good", "</s>", " many words" * 9])
    require_same(reference, tmp_path / "models", ["many words </s> " * 90, "short"], truncation="longest_first")
    for ours, theirs in zip(answered(tmp_path / "models", [Text(*pair) for pair in pairs]), expected, strict=True):
        assert [one["score"] for one in theirs] == pytest.approx([one["score"] for one in ours], abs=TOLERANCE)


def test_a_tokenizer_that_ends_no_text_is_no_tokenizer_of_bart(tmp_path: Path) -> None:
    """Where transformers' pipeline fails on each text, the load says why."""
    folder = bart(tmp_path / "models/model")
    tokenizer_config(tokenizer_class="GPT2Tokenizer")(folder)
    with pytest.raises(ValueError, match="at least one <eos> token"):
        pipeline("text-classification", str(folder), device="cpu")("a")

    with pytest.raises(LabeldError, match="gives a text no token 2, which is the eos_token_id of config"):
        answered(tmp_path / "models", ["a"])


@pytest.mark.parametrize(
    ("case", "text"), [("one word more", "unheard"), ("one added token more", "a newtoken"), ("blank lines", "a good")]
)
def test_only_a_text_that_uses_a_missing_token_is_an_error(
    models_dir: Path, tmp_path: Path, case: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As in transformers, whose look-up fails; here the sentence names the text, and the log said it at the load."""
    folder = edited(models_dir, tmp_path / "models/model", case)
    reference = pipeline("text-classification", str(folder), device="cpu")
    with caplog.at_level(logging.WARNING):
        if case == "blank lines":
            answered(tmp_path / "models", ["a good"])
        else:
            with pytest.raises(IndexError):
                reference(text)
            with pytest.raises(UnknownTokenIdError, match=r"^Text 1 of `inputs` has the token"):
                answered(tmp_path / "models", ["a", text])

    assert f"have ids beyond its {len(VOCABULARY)} embeddings" in caplog.text


def test_a_pair_for_a_model_of_one_token_type_is_an_error(tmp_path: Path) -> None:
    """Transformers looks for the second type beyond the table; single texts are answered."""
    folder = tmp_path / "models/model"
    save(BertForSequenceClassification, BertConfig(**BERT, type_vocab_size=1, id2label=NAMES), folder)
    reference = pipeline("text-classification", str(folder), device="cpu")

    require_same(reference, tmp_path / "models", TEXTS)
    with pytest.raises((IndexError, RuntimeError)):
        reference({"text": "a", "text_pair": "b"})
    with pytest.raises(InvalidRequestError, match="reads no pairs"):
        answered(tmp_path / "models", [Text("a", "b")])


@pytest.mark.parametrize(
    ("bias", "parameters"), [((LESS,) * 3, {}), ((0.0, LESS, 0.0), {"function_to_apply": "none"})], ids=["all", "none"]
)
def test_a_score_that_is_no_number_is_an_error(
    models_dir: Path, tmp_path: Path, bias: tuple[float, ...], parameters: dict[str, str]
) -> None:
    """JSON has no way to write what transformers computes then."""
    folder = tmp_path / "models/model"
    shutil.copytree(models_dir / "org/bert", folder)
    last_bias(*bias)(folder)

    with pytest.raises(NotFiniteError, match="for text 0 of"):
        answered(tmp_path / "models", ["a"], **parameters)


@pytest.mark.parametrize("case", ["names for another number of labels", "problem type multi_label", "quantized once"])
def test_what_may_be_meant_otherwise_is_said_when_the_model_is_loaded(
    models_dir: Path, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with the model's id and the key."""
    edited(models_dir, tmp_path / "models/model", case)
    with caplog.at_level(logging.WARNING):
        answered(tmp_path / "models", ["a"])

    (line,) = [line for line in caplog.text.splitlines() if "model model: config.json: " in line]
    assert next(key for key in ("num_labels", "problem_type", "quantization_config") if key in line)


def test_weights_that_are_really_quantized_are_refused_by_their_tensor(models_dir: Path, tmp_path: Path) -> None:
    """quantization_config or not: they are not the numbers that are needed."""
    folder = tmp_path / "models/model"
    shutil.copytree(models_dir / "org/bert", folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.weight"].to(torch.int8)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(LabeldError, match=r"tensor classifier\.weight is stored as int8"):
        answered(tmp_path / "models", ["a"])
