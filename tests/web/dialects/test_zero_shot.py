"""Candidate labels are scored in every dialect as transformers' zero-shot pipeline scores them."""

from typing import Any

import pytest
import torch

from tests.support.dialect_bodies import CLASSIFIER, DOCUMENTS, LABELS, NLI
from tests.support.server_process import Server
from tests.support.tiny_models import WORDS

TEXT = "the market rose and it was very good"
PATHS = ("/models/{}", "/pipeline/zero-shot-classification/{}", "/hf-inference/models/{}/pipeline/{task}")
TEMPLATE = "{} is a film"


def ask(server: Server, path: str, body: dict[str, Any], **headers: str) -> Any:
    """The reply of a good request."""
    reply = server.post(path, json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


def scored(result: Any) -> list[dict[str, Any]]:
    """The labels of the pipeline for one text, best first, as the hosted API writes them."""
    pairs = zip(result["labels"], result["scores"], strict=True)
    return [{"label": label, "score": pytest.approx(score, abs=1e-5)} for label, score in pairs]


@pytest.mark.parametrize("model", NLI)
@pytest.mark.parametrize(
    "parameters",
    [
        {"candidate_labels": LABELS},
        {"candidate_labels": LABELS, "multi_label": True},
        {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE},
        {"candidate_labels": "good, bad , market,"},
        {"candidate_labels": ["good"]},
        {"candidate_labels": ["good"], "multi_label": True},
    ],
    ids=["single", "multi", "template", "commas", "one", "one-multi"],
)
def test_as_the_pipeline(dialects: Server, reference: Any, model: str, parameters: dict[str, Any]) -> None:
    """Of models whose labels stand in any order, for one text and for several."""
    pipeline = reference(model).zero_shot
    path = f"/pipeline/zero-shot-classification/{model}"

    assert ask(dialects, path, {"inputs": TEXT, "parameters": parameters}) == scored(pipeline(TEXT, **parameters))
    assert ask(dialects, path, {"inputs": DOCUMENTS, "parameters": parameters}) == [
        scored(one) for one in pipeline(DOCUMENTS, **parameters)
    ]


def test_the_models_tell_labels_apart(reference: Any) -> None:
    """Scores of labels differ between texts, or the comparisons would show nothing."""
    for model in NLI:
        found = [reference(model).zero_shot(one, LABELS) for one in DOCUMENTS]
        scores = torch.tensor(
            [[dict(zip(one["labels"], one["scores"], strict=True))[x] for x in LABELS] for one in found]
        )
        assert (scores.amax() - scores.amin()).item() > 0.1


@pytest.mark.parametrize("path", PATHS)
def test_every_path_and_spelling(dialects: Server, reference: Any, path: str) -> None:
    """By the task in the path, or by the labels in the body; older clients write other names."""
    expected = scored(reference("org/nli").zero_shot(TEXT, LABELS, multi_label=True))
    for body in (
        {"inputs": TEXT, "parameters": {"candidate_labels": LABELS, "multi_label": True}},
        {"inputs": TEXT, "parameters": {"candidateLabels": LABELS, "multiLabel": True}},
        {"inputs": {"text": TEXT}, "candidate_labels": LABELS, "multi_label": True},
        {"inputs": {"sequences": TEXT}, "candidateLabels": LABELS, "multiLabel": True},
    ):
        assert ask(dialects, path.format("org/nli", task="zero-shot-classification"), body) == expected


def test_the_old_client_of_the_hub(dialects: Server, reference: Any) -> None:
    """huggingface_hub before 1.0 reads one object of the text, labels and scores."""
    body = {"inputs": TEXT, "parameters": {"candidate_labels": LABELS}}
    agent = "unknown/None; hf_hub/0.25.2; python/3.11; torch/2.4"
    reply = ask(dialects, "/models/org/nli", body, **{"user-agent": agent})
    expected = reference("org/nli").zero_shot(TEXT, LABELS)

    assert reply == {**expected, "scores": pytest.approx(expected["scores"], abs=1e-5)}


def test_jina(dialects: Server, reference: Any) -> None:
    """Each text has its prediction, and all labels with their scores."""
    body = {"model": "org/nli", "input": [DOCUMENTS[0], {"text": DOCUMENTS[1]}], "labels": LABELS}
    reply = ask(dialects, "/v1/classify", body)
    expected = [scored(reference("org/nli").zero_shot(one, LABELS)) for one in DOCUMENTS[:2]]

    assert [one["predictions"] for one in reply["data"]] == expected
    assert [one["index"] for one in reply["data"]] == [0, 1]
    for one, labels in zip(reply["data"], expected, strict=True):
        assert {"label": one["prediction"], "score": one["score"]} == labels[0]
        assert one["object"] == "classification"
    assert reply["usage"]["total_tokens"] > 6 * 8


def test_vertex_and_sagemaker(dialects: Server) -> None:
    """Candidate labels choose the task there as well, for which the default model is no NLI model."""
    parameters = {"candidate_labels": LABELS}
    for path, name in (("/vertex", "instances"), ("/invocations", "inputs")):
        reply = dialects.post(path, json={name: DOCUMENTS, "parameters": parameters})

        assert reply.status_code == 400
        assert "zero-shot-classification" in reply.json()["error"]
        assert "entailment" in reply.json()["error"]


def test_a_long_text_is_cut_as_the_pipeline_cuts_it(dialects: Server, reference: Any) -> None:
    """The text and never the label, and the reply says how much."""
    text = "the market fell and the day was bad " * 30
    reply = dialects.post("/models/org/nli", json={"inputs": text, "parameters": {"candidate_labels": LABELS}})

    assert reply.json() == scored(reference("org/nli").zero_shot(text, LABELS))
    assert reply.headers["x-truncated-texts"] == "3"
    assert int(reply.headers["x-compute-tokens"]) == 3 * 128


@pytest.mark.parametrize("is_multi", [False, True])
@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_windows_reach_the_end(dialects: Server, reference: Any, is_multi: bool, aggregate: str) -> None:
    """Each window is scored as the pipeline scores a text, then a label has the best or the mean of its windows."""
    known = reference("org/nli")
    text = f"{WORDS[0]} " * 400 + f"{WORDS[5]} " * 100
    hypotheses = [f"This example is {label}." for label in LABELS]
    each = torch.stack([known.windows(text, one, 128, 16, "only_first") for one in hypotheses], 1)
    scores = each[..., [0, 2]].softmax(-1)[..., 1] if is_multi else each[..., 2].softmax(-1)
    whole = scores.mean(0) if aggregate == "mean" else scores.amax(0)
    parameters = {"candidate_labels": LABELS, "multi_label": is_multi, "stride": 16, "aggregate": aggregate}
    reply = ask(dialects, "/models/org/nli", {"inputs": text, "parameters": parameters})

    assert {one["label"]: one["score"] for one in reply} == {
        label: pytest.approx(score, abs=1e-5) for label, score in zip(LABELS, whole.tolist(), strict=True)
    }


TEMPLATES = ("{} is a film", "{0} is a film", "{0}? Yes, {0}.", "a {{film}} of {}", "{{}} {0}", "is it {}? }}{{")


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_those_of_str_format(dialects: Server, reference: Any, template: str) -> None:
    """As the pipeline fills them, also with a label that has braces itself."""
    parameters = {"candidate_labels": ["good", "{0} bad", "market}"], "hypothesis_template": template}

    assert ask(dialects, "/models/org/nli", {"inputs": TEXT, "parameters": parameters}) == scored(
        reference("org/nli").zero_shot(TEXT, **parameters)
    )


@pytest.mark.parametrize(
    "template",
    [
        *("no place", "{{}}", "{} {}", "{} {0}", "{1}", "{label}", "{", "}", "{0", "{0.__class__}", "{0[0]}"),
        *("{:>1000000000}", "{0:>1000000000}", "{:{}}", "{!r}", "{0!a}", "{0}" * 11, "{}" + "a" * 10_000, "{0.0}"),
    ],
)
def test_templates_that_are_refused(dialects: Server, template: str) -> None:
    """Those without a place for the label, and those that ask a format for more than the label."""
    parameters = {"candidate_labels": LABELS, "hypothesis_template": template}
    for path, body in (
        ("/models/org/nli", {"inputs": TEXT, "parameters": parameters}),
        ("/v1/classify", {"model": "org/nli", "input": TEXT, "labels": LABELS, "hypothesis_template": template}),
    ):
        reply = dialects.post(path, json=body)

        assert reply.status_code == 400
        assert "hypothesis_template" in reply.text


@pytest.mark.parametrize("is_old", [False, True])
def test_the_best_labels(dialects: Server, reference: Any, is_old: bool) -> None:
    """`top_k` and `threshold` count as in text classification, by one number or by label."""
    agent = {"user-agent": "unknown/None; hf_hub/0.25.2; python/3.11"} if is_old else {}
    expected = scored(reference("org/nli").zero_shot(TEXT, LABELS))
    middle = expected[1]["score"].expected

    def found(**how: Any) -> list[str]:
        parameters = {"candidate_labels": LABELS, **how}
        reply = dialects.post("/models/org/nli", json={"inputs": TEXT, "parameters": parameters}, headers=agent)
        assert "x-hf-warning" not in reply.headers
        return reply.json()["labels"] if is_old else [one["label"] for one in reply.json()]

    names = [one["label"] for one in expected]
    assert found(top_k=1) == names[:1]
    assert found(top_k=None) == names
    assert found(threshold=middle - 1e-4) == names[:2]
    assert found(threshold=middle - 1e-4, top_k=1) == names[:1]
    assert found(threshold={names[0]: 1.0}) == names[1:]
    assert found(threshold=1.0) == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"candidate_labels": ["a"], "top_k": 0}, "parameters.top_k"),
        ({"candidate_labels": ["a"], "threshold": "x"}, "parameters.threshold"),
        ({"candidate_labels": ["a"], "threshold": {"b": 0.5}}, "parameters.threshold"),
        ({"candidate_labels": []}, "candidate_labels"),
        ({"candidate_labels": " , "}, "candidate_labels"),
        ({"candidate_labels": ["a", 7]}, "candidate_labels[1]"),
        ({"candidate_labels": ["a", " "]}, "candidate_labels[1]"),
        ({"candidate_labels": {"a": 1}}, "candidate_labels"),
        ({"candidate_labels": ["a"], "hypothesis_template": "no place"}, "hypothesis_template"),
        ({"candidate_labels": ["a"], "hypothesis_template": 7}, "hypothesis_template"),
        ({"candidate_labels": ["a"], "multi_label": "yes"}, "multi_label"),
        ({"candidate_labels": [f"label {number}" for number in range(2000)]}, "max_inputs"),
    ],
)
def test_wrong_parameters(dialects: Server, parameters: dict[str, Any], said: str) -> None:
    """The sentence names the parameter."""
    reply = dialects.post("/models/org/nli", json={"inputs": TEXT, "parameters": parameters})

    assert reply.status_code == 400
    assert said in reply.json()["error"]


@pytest.mark.parametrize("parameters", [[1], "a", 7, True])
def test_parameters_that_are_no_object(dialects: Server, parameters: Any) -> None:
    """They are 400, also where the labels stand beside them."""
    body = {"inputs": TEXT, "candidate_labels": LABELS, "parameters": parameters}

    for path in ("/models/org/nli", "/pipeline/zero-shot-classification/org/nli"):
        reply = dialects.post(path, json=body)
        assert reply.status_code == 400
        assert "`parameters`" in reply.json()["error"]


@pytest.mark.parametrize("model", [CLASSIFIER, "org/one-label"])
def test_a_model_without_entailment(dialects: Server, model: str) -> None:
    """The sentence names the task, the model's labels, and which models can."""
    reply = dialects.post(f"/models/{model}", json={"inputs": TEXT, "parameters": {"candidate_labels": LABELS}})

    assert reply.status_code == 400
    assert "NLI" in reply.json()["error"]
