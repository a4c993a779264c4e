"""config.json: labels and what logits mean, as transformers reads them; and what is wrong with a broken one."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, TextClassificationPipeline

from labeld.checkpoint.config import read_config
from labeld.errors import FolderError
from labeld.scoring import apply, rank

CLASSIFIER = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}


def written(folder: Path, **keys: object) -> Path:
    """A folder with a config.json of a classifier, changed by `keys`."""
    (folder / "config.json").write_text(json.dumps(CLASSIFIER | keys))
    return folder


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"num_labels": 1},
        {"num_labels": 3},
        {"id2label": {"0": "NEGATIVE", "1": "POSITIVE"}},
        {"id2label": {"1": "b", "0": "a", "2": "c"}},
        {"id2label": {"0": "1 star"}},
        {"id2label": {"0": "a", "1": "b"}, "num_labels": 2},
        {"id2label": {"0": "a", "1": "b"}, "num_labels": 2.0},
        {"id2label": {"0": "a", "1": "b"}, "num_labels": 3},
        {"id2label": {"0": "a", "1": "b", "2": "c"}, "num_labels": 2},
        {"id2label": {"0": "a", "5": "b"}, "num_labels": 3},
        {"id2label": {}, "num_labels": 3},
        {"id2label": {"0": "a", "00": "z", "1": "b"}},
    ],
)
def test_labels_are_those_of_transformers(tmp_path: Path, keys: dict[str, object]) -> None:
    """In id order, `LABEL_n` where there are no names."""
    expected = BertConfig.from_pretrained(written(tmp_path, **keys)).id2label

    assert [expected[index] for index in range(len(expected))] == list(read_config(tmp_path).labels)


def test_labels_that_are_no_strings_are_the_json_text_of_what_transformers_passes_on(tmp_path: Path) -> None:
    """Clients are promised strings."""
    written(tmp_path, id2label={"0": 1, "1": 2.5, "2": True, "3": None, "4": "x"})

    assert read_config(tmp_path).labels == tuple(
        label if isinstance(label, str) else json.dumps(label)
        for label in BertConfig.from_pretrained(tmp_path).id2label.values()
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"id2label": {"0": "a", "1": "b"}, "num_labels": 3}, "num_labels 3 does not fit the 2 labels of id2label"),
        ({"problem_type": "multi_label"}, "problem_type 'multi_label' is none of"),
        ({"problem_type": ""}, "problem_type '' is none of"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config is not used"),
    ],
)
def test_what_may_be_meant_otherwise_is_remarked(tmp_path: Path, keys: dict[str, object], expected: str) -> None:
    """In a sentence for the log; a config without such a thing has none."""
    assert () == read_config(written(tmp_path, num_labels=2, problem_type=None, quantization_config=None)).remarks
    (remark,) = read_config(written(tmp_path, **keys)).remarks

    assert expected in remark


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("problem_type", ["multi_label", "", "regression ", "MULTI_LABEL_CLASSIFICATION", 7])
def test_another_problem_type_says_nothing(tmp_path: Path, problem_type: object, labels: int) -> None:
    """As transformers' pipeline goes by the number of labels then."""
    written(tmp_path, problem_type=problem_type, num_labels=labels)
    pipeline = object.__new__(TextClassificationPipeline)
    pipeline.model = SimpleNamespace(config=BertConfig.from_pretrained(tmp_path))
    logits = torch.tensor([[0.5, -1.0, 2.0]])[:, :labels]
    expected = [one["score"] for one in pipeline.postprocess({"logits": logits}, top_k=None, _legacy=False)]
    config = read_config(tmp_path)

    assert expected == pytest.approx(
        [one.score for one in rank(apply(logits[0].numpy(), config.default_function), config.labels)], abs=1e-7
    )


@pytest.mark.parametrize(
    ("problem_type", "labels", "expected"),
    [
        (None, 2, "softmax"),
        (None, 1, "sigmoid"),
        ("single_label_classification", 2, "softmax"),
        ("multi_label_classification", 3, "sigmoid"),
        ("regression", 1, "none"),
        ("regression", 2, "none"),
    ],
)
def test_the_default_function_follows_the_problem_type(
    tmp_path: Path, problem_type: str | None, labels: int, expected: str
) -> None:
    """The rule of transformers' pipeline; config.function_to_apply is ignored as it is there."""
    written(tmp_path, problem_type=problem_type, num_labels=labels, function_to_apply="sigmoid")

    assert expected == read_config(tmp_path).default_function


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"model_type": None}, "has no model_type"),
        ({"architectures": ["BertForMaskedLM"]}, "labeld serves text classifiers"),
        ({"architectures": None}, "labeld serves text classifiers"),
        ({"architectures": [1]}, "labeld serves text classifiers"),
        ({"id2label": ["a"]}, "id2label must be an object"),
        ({"id2label": {}}, "the number of labels in id2label is 0"),
        ({"id2label": {"0": ["a"]}}, "a label of id2label is an object or a list"),
        ({"id2label": {"x": "a", "5": "b"}, "num_labels": 3}, "a key of id2label is not a whole number"),
        ({"id2label": {"0": "a"}, "num_labels": None}, "num_labels is None"),
        ({"id2label": {"one": "a"}}, "a key of id2label is not a whole number"),
        ({"id2label": {"0": "a", "2": "b"}}, "keys of id2label are not 0 to 1"),
        ({"num_labels": 10**9}, "num_labels is 1000000000"),
        ({"num_labels": "2"}, "num_labels is '2'"),
        ({"problem_type": "single_label_classification", "num_labels": 1}, "needs more than one label"),
    ],
)
def test_a_config_that_is_wrong_is_refused_by_its_key(tmp_path: Path, keys: dict[str, object], expected: str) -> None:
    """The sentence names the key and its value."""
    with pytest.raises(FolderError, match=expected) as refused:
        read_config(written(tmp_path, **keys))
    assert str(refused.value).startswith("config.json")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "is not valid JSON"),
        (b"[1]", "is not a JSON object"),
        (b"\xff", "is not valid JSON"),
        (b"[" * 10**5, "JSON"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    """By its name."""
    (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(FolderError, match=rf"^config\.json .*{expected}"):
        read_config(tmp_path)


def test_a_missing_config_is_refused(tmp_path: Path) -> None:
    """By its name, without its path."""
    with pytest.raises(FolderError, match=r"^config\.json is missing\.$"):
        read_config(tmp_path)
