"""Texts are classified in every dialect as transformers classifies them."""

import json
from typing import Any

import pytest
import torch

from tests.support.dialect_bodies import CLASSIFIER, DOCUMENTS, EQUAL, EQUAL_LABELS, RERANKER
from tests.support.server_process import Server
from tests.web.dialects.test_zero_shot import ask

LONG = "the market fell and the day was bad " * 30
NAMES = ("negative", "neutral", "positive")
MULTI = "org/multi-label"
CLOSE = 1e-5
PAIR = ("i like the film", "a good film")
INFER = f"/v2/models/{CLASSIFIER}/infer"


def ranking(scores: list[float], names: tuple[str, ...] = NAMES) -> list[dict[str, Any]]:
    """The hosted API's answer to one text with these scores."""
    pairs = sorted(zip(names, scores, strict=True), key=lambda one: -one[1])
    return [{"label": name, "score": pytest.approx(score, abs=CLOSE)} for name, score in pairs]


@pytest.fixture
def rankings(reference: Any) -> list[Any]:
    """The answers to DOCUMENTS."""
    return [ranking(reference(CLASSIFIER).probabilities(one)) for one in DOCUMENTS]


def test_tei(dialects: Server, reference: Any, rankings: list[Any]) -> None:
    """A string, a list of one, a pair as a list of two, and a batch of both."""
    pair = ranking(reference(CLASSIFIER).probabilities(*PAIR))

    assert ask(dialects, "/predict", {"inputs": DOCUMENTS[0]}) == rankings[0]
    assert ask(dialects, "/predict", {"inputs": DOCUMENTS[:1]}) == rankings[0]
    assert ask(dialects, "/predict", {"inputs": list(PAIR)}) == pair
    batch = [[DOCUMENTS[0]], list(PAIR), [DOCUMENTS[1]]]
    assert ask(dialects, "/predict", {"inputs": batch}) == [rankings[0], pair, rankings[1]]
    assert ask(dialects, "/predict", {"inputs": batch[:1]}) == rankings[:1]


@pytest.mark.parametrize(
    ("path", "text", "read"),
    [
        ("/predict", {"inputs": [[DOCUMENTS[0]]]}, lambda reply: reply[0]),
        ("/classify", {"input": DOCUMENTS[:1]}, lambda reply: reply["data"][0]),
    ],
)
def test_raw_scores(dialects: Server, reference: Any, path: str, text: dict[str, Any], read: Any) -> None:
    """Logits, and scores by the model's own function where they are not asked for."""
    logits = reference(MULTI).logits(DOCUMENTS[0])
    sigmoids = torch.tensor(logits).sigmoid().tolist()
    one = torch.tensor(reference(RERANKER).logits(DOCUMENTS[0])).sigmoid().tolist()

    assert read(ask(dialects, path, {**text, "model": MULTI, "raw_scores": True})) == ranking(logits)
    assert read(ask(dialects, path, {**text, "model": MULTI, "raw_scores": False})) == ranking(sigmoids)
    assert read(ask(dialects, path, {**text, "model": RERANKER, "raw_scores": False})) == ranking(one, ("LABEL_0",))


@pytest.mark.parametrize("side", ["left", "right"])
def test_tei_truncates(dialects: Server, reference: Any, side: str) -> None:
    """From the side that is asked for, and only when it is asked to."""
    tokenizer = reference(CLASSIFIER).tokenizer
    before, tokenizer.truncation_side = tokenizer.truncation_side, side
    expected = ranking(reference(CLASSIFIER).probabilities(LONG, truncation=True))
    tokenizer.truncation_side = before
    body = {"inputs": LONG, "truncate": True, "truncation_direction": side.title()}
    reply = dialects.post("/predict", json=body)

    assert reply.json() == expected
    assert reply.headers["x-truncated-texts"] == "1"
    refused = dialects.post("/predict", json={"inputs": LONG})
    assert (refused.status_code, refused.json()["error_type"]) == (413, "Validation")


def test_vllm(dialects: Server, reference: Any) -> None:
    """`probs` stand in the order of the labels' ids."""
    reply = ask(dialects, "/classify", {"model": CLASSIFIER, "input": DOCUMENTS})
    tokens = sum(len(reference(CLASSIFIER).tokenizer(one)["input_ids"]) for one in DOCUMENTS)

    assert reply["id"].startswith("classify-")
    assert (reply["object"], reply["model"], reply["usage"]["total_tokens"]) == ("list", CLASSIFIER, tokens)
    for index, (one, text) in enumerate(zip(reply["data"], DOCUMENTS, strict=True)):
        probabilities = reference(CLASSIFIER).probabilities(text)
        assert one == {
            "index": index,
            "label": NAMES[probabilities.index(max(probabilities))],
            "probs": pytest.approx(probabilities, abs=CLOSE),
            "num_classes": 3,
        }
    one = ask(dialects, "/classify", {"input": DOCUMENTS[0]})
    assert (one["model"], len(one["data"])) == (CLASSIFIER, 1)


def test_vllm_truncates_and_gives_logits(dialects: Server, reference: Any) -> None:
    """To so many tokens, or with -1 to as many as the model takes; `use_activation` false means logits."""
    for most, how in ((20, {"max_length": 20}), (-1, {})):
        body = {"input": LONG, "truncate_prompt_tokens": most, "use_activation": False}
        logits = reference(CLASSIFIER).logits(LONG, truncation=True, **how)
        assert ask(dialects, "/classify", body)["data"][0]["probs"] == pytest.approx(logits, abs=1e-4)
    assert dialects.post("/classify", json={"input": LONG}).status_code == 400


def test_infinity(dialects: Server, reference: Any, rankings: list[Any]) -> None:
    """The member `raw_scores`, which its client always sends, means its shape; long texts are cut."""
    reply = ask(dialects, "/classify", {"model": CLASSIFIER, "input": DOCUMENTS, "raw_scores": False})
    cut = ask(dialects, "/classify", {"input": [LONG], "raw_scores": False})

    assert reply["object"] == "classify"
    assert reply["data"] == rankings
    assert cut["data"] == [ranking(reference(CLASSIFIER).probabilities(LONG, truncation=True))]


def tensor(data: list[Any], name: str = "text", shape: list[int] | None = None) -> dict[str, Any]:
    """A tensor of texts."""
    return {"name": name, "shape": shape or [len(data)], "datatype": "BYTES", "data": data}


def outputs(reply: Any) -> dict[str, Any]:
    """The tensors of a reply by their names."""
    return {one["name"]: one for one in reply["outputs"]}


def test_open_inference(dialects: Server, reference: Any) -> None:
    """The best label of each text, and the scores of all by their ids."""
    expected = [reference(CLASSIFIER).probabilities(one) for one in DOCUMENTS]
    reply = ask(dialects, INFER, {"id": "42", "inputs": [tensor(DOCUMENTS)]})
    labels, scores = outputs(reply)["label"], outputs(reply)["scores"]

    assert (reply["id"], reply["model_name"]) == ("42", CLASSIFIER)
    assert (labels["datatype"], labels["shape"]) == ("BYTES", [4])
    assert labels["data"] == [NAMES[one.index(max(one))] for one in expected]
    assert (scores["datatype"], scores["shape"]) == ("FP32", [4, 3])
    assert scores["data"] == pytest.approx([score for one in expected for score in one], abs=CLOSE)


def test_open_inference_by_version_with_pairs_and_parameters(dialects: Server, reference: Any) -> None:
    """Columns may be nested lists; `top_k` leaves the best labels; a parameter that means nothing is named."""
    inputs = [tensor([["a film"], ["good"]], shape=[2, 1]), tensor(["hello", "world"], "text_pair")]
    body = {"inputs": inputs, "parameters": {"top_k": 2, "priority": 1}, "outputs": [{"name": "scores"}]}
    reply = dialects.post(f"/v2/models/{CLASSIFIER}/versions/1/infer", json=body)
    pairs = (("a film", "hello"), ("good", "world"))
    best = [sorted(reference(CLASSIFIER).probabilities(*one), reverse=True)[:2] for one in pairs]

    assert list(outputs(reply.json())) == ["scores"]
    assert outputs(reply.json())["scores"]["shape"] == [2, 2]
    assert outputs(reply.json())["scores"]["data"] == pytest.approx([*best[0], *best[1]], abs=CLOSE)
    assert "priority" in reply.headers["x-hf-warning"]
    assert dialects.post(f"/v2/models/{CLASSIFIER}/versions/7/infer", json=body).status_code == 404


def binary(texts: list[str], **changed: Any) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request with a binary tensor, as Triton's client writes it."""
    data = b"".join(len(one.encode()).to_bytes(4, "little") + one.encode() for one in texts)
    one = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [one | changed]}).encode()
    return head + data, {"inference-header-content-length": str(len(head))}


def test_binary_tensors(dialects: Server, reference: Any) -> None:
    """Texts of any language come as bytes; what is answered is JSON."""
    texts = [*DOCUMENTS, "日本語 é ñ", ""]
    body, headers = binary(texts)
    reply = dialects.post(INFER, data=body, headers=headers)
    expected = [score for one in texts for score in reference(CLASSIFIER).probabilities(one)]

    assert reply.status_code == 200, reply.text
    assert outputs(reply.json())["scores"]["data"] == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body, _: (body[:-1], {}), "binary_data_size"),
        (lambda body, _: (body + b"x", {}), "binary_data_size"),
        (lambda body, _: (body, {"inference-header-content-length": "x"}), "inference-header-content-length"),
        (lambda body, _: (body, {"inference-header-content-length": "99999"}), "inference-header-content-length"),
        (lambda body, _: (body.replace(b"film", b"f\xffl "), {}), "UTF-8"),
        (lambda body, _: (body.replace(b"\x0b\0\0\0", b"\xff\0\0\0"), {}), "element"),
    ],
)
def test_binary_tensors_that_are_wrong(dialects: Server, change: Any, said: str) -> None:
    """The sentence names what is wrong, and the next request is answered."""
    body, headers = binary(DOCUMENTS)
    changed, other = change(body, headers)
    reply = dialects.post(INFER, data=changed, headers=headers | other)

    assert reply.status_code == 400
    assert said in reply.json()["error"]
    assert dialects.post(INFER, data=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (None, "`inputs`"),
        ([], "no tensor"),
        ([7], "inputs[0]"),
        ([tensor(["a"]), tensor(["b"], "other")], "several"),
        ([tensor(["a"], "text_pair")], "no tensor"),
        ([tensor(["a"]), tensor(["b", "c"], "text_pair")], "as many"),
        ([tensor(["a"], shape=[2])], "inputs[0].shape"),
        ([tensor(["a"], shape=[-1])], "inputs[0].shape"),
        ([tensor(["a"], shape=[10**9] * 9)], "inputs[0].shape"),
        ([tensor(["a"]) | {"shape": "x"}], "inputs[0].shape"),
        ([tensor(["a"]) | {"datatype": "FP32"}], "BYTES"),
        ([tensor(["a"]) | {"data": "a"}], "inputs[0].data"),
        ([tensor([], shape=[0])], "empty"),
        ([tensor([1])], "inputs[0].data[0]"),
    ],
)
def test_tensors_that_are_wrong(dialects: Server, inputs: Any, said: str) -> None:
    """Each with a sentence that names the member."""
    reply = dialects.post(INFER, json={"inputs": inputs})

    assert reply.status_code == 400
    assert said in reply.json()["error"]


def test_kserve(dialects: Server, reference: Any, rankings: list[Any]) -> None:
    """Labels, or rankings where a parameter asks for scores."""
    path = f"/v1/models/{CLASSIFIER}:predict"
    pair = reference(CLASSIFIER).probabilities(*PAIR)
    instances = [*DOCUMENTS, {"text": PAIR[0], "text_pair": PAIR[1]}]
    labels = [*(one[0]["label"] for one in rankings), NAMES[pair.index(max(pair))]]

    assert ask(dialects, path, {"instances": instances}) == {"predictions": labels}
    assert ask(dialects, path, {"instances": DOCUMENTS, "parameters": {"top_k": 2}}) == {
        "predictions": [one[:2] for one in rankings]
    }


def test_vertex_and_sagemaker(dialects: Server, reference: Any, rankings: list[Any]) -> None:
    """Vertex AI's instances, and the hosted shapes of classification and ranking at SageMaker's path."""
    instances = [DOCUMENTS[0], {"text": DOCUMENTS[1]}, {"inputs": DOCUMENTS[2]}, DOCUMENTS[3]]
    neutral = [reference(CLASSIFIER).probabilities(PAIR[0], one)[1] for one in DOCUMENTS]
    best = max(range(4), key=lambda index: neutral[index])
    query = {"query": PAIR[0], "texts": DOCUMENTS}

    assert ask(dialects, "/vertex", {"instances": instances}) == {"predictions": rankings}
    assert ask(dialects, "/invocations", {"inputs": DOCUMENTS}) == rankings
    assert ask(dialects, "/invocations", {"inputs": DOCUMENTS[0], "parameters": {"top_k": 1}}) == [rankings[0][:1]]
    for body in ({**query, "label": "neutral"}, {"inputs": query, "parameters": {"label": "neutral"}}):
        found = ask(dialects, "/invocations", body)
        assert found[0] == {"index": best, "score": pytest.approx(neutral[best], abs=CLOSE)}


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": LONG, "truncate": True},
        {"inputs": LONG, "truncate": True, "truncation_direction": "Left"},
        {"inputs": DOCUMENTS[0], "raw_scores": True},
        {"inputs": list(PAIR), "raw_scores": True},
        {"inputs": [[DOCUMENTS[0]], list(PAIR)], "raw_scores": False},
    ],
    ids=["truncate", "left", "raw", "pair", "batch"],
)
def test_sagemaker_reads_bodies_of_tei(dialects: Server, body: dict[str, Any]) -> None:
    """Those that have one of its options are answered as at its own path."""
    assert ask(dialects, "/invocations", body) == ask(dialects, "/predict", body)


def test_the_model_of_a_body(dialects: Server) -> None:
    """Vertex AI's and SageMaker's paths name none, so the body may; instances of several models are refused."""
    expected = dialects.classify(DOCUMENTS[:1], "org/nli")
    named = {"model": "org/nli"}

    assert ask(dialects, "/invocations", {"inputs": DOCUMENTS[0], **named}) == expected
    assert ask(dialects, "/vertex", {"instances": DOCUMENTS[:1], **named})["predictions"] == expected
    one, other = ({"inputs": DOCUMENTS[0], "model": model} for model in ("org/nli", "org/bert"))
    assert ask(dialects, "/vertex", {"instances": [one]})["predictions"] == expected
    assert ask(dialects, "/vertex", {"instances": [{"inputs": [DOCUMENTS[0]]}], **named})["predictions"] == expected
    refused = dialects.post("/vertex", json={"instances": [one, other]})
    assert (400, True) == (refused.status_code, "`instances[1]`" in refused.json()["error"])


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/predict", {"inputs": [[LONG]]}, lambda reply: reply[0]),
        ("/classify", {"input": LONG, "raw_scores": False}, lambda reply: reply["data"][0]),
        ("/vertex", {"instances": [LONG]}, lambda reply: reply["predictions"][0]),
        ("/invocations", {"inputs": LONG}, lambda reply: reply[0]),
    ],
)
@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_windows(dialects: Server, path: str, body: dict[str, Any], read: Any, aggregate: str) -> None:
    """Every dialect reads long texts in windows, with the scores of the hosted API's shape."""
    how = {"stride": 8, "max_length": 40, "aggregate": aggregate}
    expected = dialects.classify(LONG, CLASSIFIER, **how)[0]
    beside = {"parameters": how} if path in {"/vertex", "/invocations"} else how

    assert read(ask(dialects, path, {**body, **beside})) == expected


def test_probes(dialects: Server) -> None:
    """Health and metadata of the server and of a model."""
    found = {
        path: dialects.get(path).json()
        for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/ping", f"/v2/models/{CLASSIFIER}/ready")
    }
    model = dialects.get(f"/v2/models/{CLASSIFIER}").json()

    assert found["/v2"]["name"] == "labeld"
    assert found["/v2/health/live"] == {"live": True}
    assert found["/v2/health/ready"] == {"ready": True}
    assert found["/ping"] == {"status": "ready"}
    assert found[f"/v2/models/{CLASSIFIER}/ready"] == {"name": CLASSIFIER, "ready": True}
    assert [(one["name"], one["datatype"], one["shape"]) for one in model["outputs"]] == [
        ("label", "BYTES", [-1]),
        ("scores", "FP32", [-1, 3]),
    ]
    assert model["outputs"][1]["parameters"]["labels"] == list(NAMES)
    for path in ("/v2/models/org/nothing", "/v2/models/org/nothing/ready"):
        assert dialects.get(path).status_code == 404


def test_probes_of_a_version(dialects: Server) -> None:
    """Metadata and readiness of version 1, which the metadata names, and of no version that a model does not have."""
    path = f"/v2/models/{CLASSIFIER}"

    assert dialects.get(f"{path}/versions/1").json() == dialects.get(path).json()
    assert dialects.get(f"{path}/versions/1/ready").json() == {"name": CLASSIFIER, "ready": True}
    for probe in ("versions/7", "versions/7/ready"):
        assert dialects.get(f"{path}/{probe}").status_code == 404


@pytest.mark.parametrize("text", DOCUMENTS)
def test_labels_of_one_name(dialects: Server, reference: Any, text: str) -> None:
    """Each has the score of its id."""
    scores = reference(EQUAL).probabilities(text)
    best = EQUAL_LABELS[scores.index(max(scores))]
    vllm = ask(dialects, "/classify", {"model": EQUAL, "input": text})["data"][0]
    infer = outputs(ask(dialects, f"/v2/models/{EQUAL}/infer", {"inputs": [tensor([text])]}))

    assert scores[0] != pytest.approx(scores[2], abs=0.01)  # or the rest would show nothing
    assert (vllm["label"], vllm["probs"]) == (best, pytest.approx(scores, abs=CLOSE))
    assert (infer["label"]["data"], infer["scores"]["data"]) == ([best], pytest.approx(scores, abs=CLOSE))


def test_an_empty_second_text_is_one(dialects: Server, reference: Any) -> None:
    """A pair of a text and an empty one is read as transformers reads a list of pairs."""
    [logits] = reference(CLASSIFIER).logits_of_list(["good"], [""])
    scores = torch.tensor(logits).softmax(-1).tolist()
    infer = ask(dialects, INFER, {"inputs": [tensor(["good"]), tensor([""], "text_pair")]})

    assert scores != pytest.approx(reference(CLASSIFIER).probabilities("good"), abs=1e-3)
    assert ask(dialects, "/predict", {"inputs": [["good", ""]]}) == [ranking(scores)]
    assert outputs(infer)["scores"]["data"] == pytest.approx(scores, abs=CLOSE)
    single = ask(dialects, f"/models/{CLASSIFIER}", {"inputs": {"text": "good", "text_pair": ""}})
    assert single == [ranking(reference(CLASSIFIER).probabilities("good"))]


@pytest.mark.parametrize("name", ["use_activation", "activation", "softmax"])
def test_names_of_vllm_for_logits(dialects: Server, reference: Any, name: str) -> None:
    """The switch has had three."""
    logits, scores = (how(DOCUMENTS[0]) for how in (reference(CLASSIFIER).logits, reference(CLASSIFIER).probabilities))

    for value, expected in ((False, logits), (True, scores), (None, scores)):
        probs = ask(dialects, "/classify", {"input": DOCUMENTS[0], name: value})["data"][0]["probs"]
        assert probs == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/predict", {"inputs": [[LONG]]}, lambda reply: reply[0]),
        ("/classify", {"input": LONG, "raw_scores": False}, lambda reply: reply["data"][0]),
    ],
)
def test_windows_in_the_reply(dialects: Server, path: str, body: dict[str, Any], read: Any) -> None:
    """With `return_windows` a text's answer is the object that the hosted API has for it."""
    how = {"stride": 8, "max_length": 40, "return_windows": True}

    assert read(ask(dialects, path, {**body, **how})) == dialects.classify(LONG, CLASSIFIER, **how)[0]


def test_windows_in_the_reply_of_vllm(dialects: Server) -> None:
    """Each has its characters, its best label, and its scores in the order of the labels' ids."""
    how = {"stride": 8, "max_length": 40, "return_windows": True}
    [data] = ask(dialects, "/classify", {"input": LONG, **how})["data"]
    expected = dialects.classify(LONG, CLASSIFIER, **how)[0]["windows"]

    assert len(data["windows"]) > 2
    for one, window in zip(data["windows"], expected, strict=True):
        scores = {label["label"]: label["score"] for label in window["labels"]}
        assert one == {
            "start": window["start"],
            "end": window["end"],
            "label": window["labels"][0]["label"],
            "probs": [scores[name] for name in NAMES],
        }
