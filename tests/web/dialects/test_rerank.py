"""Documents are ranked in every dialect as transformers scores them."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from tests.support.dialect_bodies import CLASSIFIER, DOCUMENTS, QUERY, RERANKER
from tests.support.server_process import Server
from tests.support.tiny_models import WORDS

CLOSE = 1e-5
LONG = "the market fell and the day was bad " * 30


def ask(server: Server, path: str, body: dict[str, Any], **headers: str) -> Any:
    """The reply of a good request."""
    reply = server.post(path, json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


def ranked(scores: list[float]) -> list[tuple[int, Any]]:
    """Index and score, best first."""
    found = sorted(enumerate(scores), key=lambda one: -one[1])
    return [(index, pytest.approx(score, abs=CLOSE)) for index, score in found]


def results(reply: Any, score: str = "score") -> list[tuple[int, float]]:
    """Index and score of each result."""
    return [(one["index"], one[score]) for one in reply]


def test_tei(dialects: Server, reference: Any) -> None:
    """By the sigmoid, by the logit with `raw_scores`, with texts only where they are wanted."""
    body = {"query": QUERY, "texts": DOCUMENTS, "model": RERANKER}
    scores = reference(RERANKER).sigmoids(QUERY, DOCUMENTS)
    logits = [reference(RERANKER).logits(QUERY, one)[0] for one in DOCUMENTS]

    assert results(ask(dialects, "/rerank", body)) == ranked(scores)
    assert results(ask(dialects, "/rerank", body | {"raw_scores": True})) == ranked(logits)
    assert results(ask(dialects, "/rerank", body | {"top_n": 2})) == ranked(scores)[:2]
    assert all("text" not in one for one in ask(dialects, "/rerank", body))
    assert all(one["text"] == DOCUMENTS[one["index"]] for one in ask(dialects, "/rerank", body | {"return_text": True}))


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_cohere(dialects: Server, reference: Any, path: str) -> None:
    """Documents are strings or objects, `top_n` keeps the best, and `usage` counts tokens."""
    body = {"query": QUERY, "documents": [DOCUMENTS[0], *({"text": one} for one in DOCUMENTS[1:])], "model": RERANKER}
    scores = reference(RERANKER).sigmoids(QUERY, DOCUMENTS)
    reply = ask(dialects, path, body)
    tokens = sum(len(reference(RERANKER).tokenizer(QUERY, one)["input_ids"]) for one in DOCUMENTS)
    best = ask(dialects, path, body | {"top_n": 2, "return_documents": True})["results"]

    assert results(reply["results"], "relevance_score") == ranked(scores)
    assert reply["id"].startswith("rerank-")
    assert reply["model"] == RERANKER
    assert reply["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert results(best, "relevance_score") == ranked(scores)[:2]
    assert [one["document"] for one in best] == [{"text": DOCUMENTS[one["index"]]} for one in best]


def test_voyage(dialects: Server, reference: Any) -> None:
    """`top_k` makes it Voyage's: the results are in `data`, and documents are strings."""
    body = {"query": QUERY, "documents": DOCUMENTS, "model": RERANKER, "top_k": 3, "return_documents": True}
    reply = ask(dialects, "/v1/rerank", body)

    assert results(reply["data"], "relevance_score") == ranked(reference(RERANKER).sigmoids(QUERY, DOCUMENTS))[:3]
    assert [one["document"] for one in reply["data"]] == [DOCUMENTS[one["index"]] for one in reply["data"]]
    assert "results" not in reply


def test_voyage_with_no_limit(dialects: Server) -> None:
    """Its client sends `top_k` as null where all documents are wanted."""
    body = {"query": QUERY, "documents": DOCUMENTS, "model": RERANKER, "top_k": None, "truncation": True}

    assert len(ask(dialects, "/v1/rerank", body)["data"]) == len(DOCUMENTS)


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_body_of_cohere_or_voyage(dialects: Server, is_wanted: bool) -> None:
    """Without `top_n` and `top_k` nobody can tell, so both find their results."""
    body = {"query": QUERY, "documents": DOCUMENTS, "model": RERANKER, "return_documents": is_wanted}
    reply = ask(dialects, "/v1/rerank", body)

    assert results(reply["data"], "relevance_score") == results(reply["results"], "relevance_score")
    if is_wanted:
        assert [{"text": one["document"]} for one in reply["data"]] == [one["document"] for one in reply["results"]]


@pytest.mark.parametrize(
    "path", [f"/pipeline/text-ranking/{RERANKER}", f"/hf-inference/models/{RERANKER}/pipeline/text-ranking"]
)
def test_the_task_of_the_hub(dialects: Server, reference: Any, path: str) -> None:
    """The model is named by the path, and `return_documents` stands in `inputs`."""
    inputs = {"query": QUERY, "texts": DOCUMENTS, "return_documents": True}
    reply = ask(dialects, path, {"inputs": inputs, "parameters": {"top_k": 3}})

    assert results(reply) == ranked(reference(RERANKER).sigmoids(QUERY, DOCUMENTS))[:3]
    assert [one["text"] for one in reply] == [DOCUMENTS[one["index"]] for one in reply]


@pytest.mark.parametrize("names", [("queries", "documents"), ("text_1", "text_2"), ("data_1", "data_2")])
def test_vllm_score(dialects: Server, reference: Any, names: tuple[str, str]) -> None:
    """One to many in the order that was sent, one to one, and many to as many."""
    first, second = names
    model = {"model": RERANKER}
    scores = reference(RERANKER).sigmoids(QUERY, DOCUMENTS)
    crossed = [reference(RERANKER).sigmoids(one, [two])[0] for one, two in pairwise(DOCUMENTS)]
    many = ask(dialects, "/score", {**model, first: QUERY, second: DOCUMENTS})
    one = ask(dialects, "/v1/score", {**model, first: [QUERY], second: DOCUMENTS[2]})
    each = ask(dialects, "/v1/score", {**model, first: DOCUMENTS[:-1], second: DOCUMENTS[1:]})

    assert [result["score"] for result in many["data"]] == pytest.approx(scores, abs=CLOSE)
    assert [result["index"] for result in many["data"]] == [0, 1, 2, 3]
    assert [result["score"] for result in one["data"]] == pytest.approx(scores[2:3], abs=CLOSE)
    assert [result["score"] for result in each["data"]] == pytest.approx(crossed, abs=CLOSE)
    reply = dialects.post("/score", json={**model, first: DOCUMENTS[:2], second: DOCUMENTS})
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


def test_nim(dialects: Server, reference: Any) -> None:
    """Logits, best first."""
    body = {"model": RERANKER, "query": {"text": QUERY}, "passages": [{"text": one} for one in DOCUMENTS]}
    logits = [reference(RERANKER).logits(QUERY, one)[0] for one in DOCUMENTS]

    assert results(ask(dialects, "/v1/ranking", body)["rankings"], "logit") == ranked(logits)


@pytest.mark.parametrize(("model", "label"), [(CLASSIFIER, "positive"), ("org/nli", None), ("org/nli-two", None)])
def test_a_label_of_several(dialects: Server, reference: Any, model: str, label: str | None) -> None:
    """The one that is named ranks, and of an NLI model entailment."""
    names = list(reference(model).model.config.id2label.values())
    number = names.index(label or "entailment")
    scores = [reference(model).probabilities(QUERY, one)[number] for one in DOCUMENTS]
    body = {"model": model, "query": QUERY, "texts": DOCUMENTS, **({"label": label} if label else {})}

    assert results(ask(dialects, "/rerank", body)) == ranked(scores)


def test_a_classifier_cannot_rank_without_a_label(dialects: Server) -> None:
    """The sentence names its labels and the way out; so does the one for a label that it does not have."""
    body = {"model": CLASSIFIER, "query": QUERY, "documents": DOCUMENTS}
    refused = dialects.post("/v1/rerank", json=body)
    unknown = dialects.post("/v1/rerank", json=body | {"label": "great"})

    assert refused.status_code == unknown.status_code == 400
    assert '"label"' in refused.json()["message"]
    assert "positive" in refused.json()["detail"]
    assert "great" in unknown.json()["message"]


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_truncation_from_either_side(dialects: Server, reference: Any, side: str) -> None:
    """TEI cuts where it is asked to, and says how much; it refuses a long text otherwise."""
    body = {"model": RERANKER, "query": QUERY, "texts": [LONG, "a film"]}
    sides = reference(RERANKER).tokenizer
    before, sides.truncation_side = sides.truncation_side, side.lower()
    scores = reference(RERANKER).sigmoids(QUERY, [LONG, "a film"], truncation=True)
    sides.truncation_side = before
    reply = dialects.post("/rerank", json=body | {"truncate": True, "truncation_direction": side})

    assert results(reply.json()) == ranked(scores)
    assert reply.headers["x-truncated-texts"] == "1"
    assert 0 < int(reply.headers["x-truncated-characters"]) < len(LONG)
    assert int(reply.headers["x-compute-tokens"]) == 128 + len(sides(QUERY, "a film")["input_ids"])
    refused = dialects.post("/rerank", json=body)
    assert (refused.status_code, refused.json()["error_type"]) == (413, "Validation")


@pytest.mark.parametrize(("most", "length"), [(20, 20), (-1, 128)])
def test_vllm_cuts_to_so_many_tokens(dialects: Server, reference: Any, most: int, length: int) -> None:
    """By `truncate_prompt_tokens`, of both of its routes."""
    scores = reference(RERANKER).sigmoids(QUERY, [LONG], truncation=True, max_length=length)
    how = {"model": RERANKER, "documents": [LONG], "truncate_prompt_tokens": most}

    ranking = ask(dialects, "/rerank", {"query": QUERY, **how})
    assert results(ranking["results"], "relevance_score") == ranked(scores)
    assert results(ask(dialects, "/score", {"queries": QUERY, **how})["data"]) == ranked(scores)


def test_cohere_cuts_by_itself(dialects: Server, reference: Any) -> None:
    """A document that is too long is cut, and one of more tokens than `max_tokens_per_doc` to these."""
    body = {"model": RERANKER, "query": QUERY, "documents": [LONG]}
    tokenizer = reference(RERANKER).tokenizer
    kept = tokenizer.decode(tokenizer(LONG, add_special_tokens=False)["input_ids"][:9])
    cut = dialects.post("/v2/rerank", json=body)
    short = dialects.post("/v2/rerank", json=body | {"max_tokens_per_doc": 9})

    assert cut.json()["results"][0]["relevance_score"] == pytest.approx(
        reference(RERANKER).sigmoids(QUERY, [LONG], truncation=True)[0], abs=CLOSE
    )
    assert "x-truncated-characters" in cut.headers
    assert short.json()["results"][0]["relevance_score"] == pytest.approx(
        reference(RERANKER).sigmoids(QUERY, [kept])[0], abs=CLOSE
    )
    refused = dialects.post("/v1/rerank", json=body | {"truncation": False, "top_k": 1})
    assert (refused.status_code, list(refused.json())) == (400, ["message", "detail"])


def test_windows_reach_the_end_of_a_long_document(dialects: Server, reference: Any) -> None:
    """Words at the end of 50,000 characters change the score, which is that of the best window, or the mean."""
    known = reference(RERANKER)
    words = sorted(WORDS, key=lambda one: known.logits(QUERY, f"{one} " * 100)[0])
    plain, tail = f"{words[0]} " * (50_000 // len(words[0])), f"{words[-1]} " * 100
    plain_best = known.windows(QUERY, plain, 128, 16).sigmoid().max().item()
    windows = known.windows(QUERY, plain + tail, 128, 16).sigmoid()
    body = {"model": RERANKER, "query": QUERY, "documents": [plain, plain + tail], "stride": 16}
    by_index = dict(results(ask(dialects, "/v1/rerank", body)["results"], "relevance_score"))
    mean = dict(results(ask(dialects, "/v1/rerank", body | {"aggregate": "mean"})["results"], "relevance_score"))
    reply = dialects.post("/v1/rerank", json=body)

    assert windows.max().item() > plain_best + 0.01  # or the rest would show nothing
    assert by_index[0] == pytest.approx(plain_best, abs=CLOSE)
    assert by_index[1] == pytest.approx(windows.max().item(), abs=CLOSE)
    assert mean[1] == pytest.approx(windows.mean().item(), abs=CLOSE)
    assert "x-truncated-texts" not in reply.headers
    assert int(reply.headers["x-windows"]) > 2 * len(windows) - 10


@pytest.mark.parametrize("length", [32, 64])
def test_max_length_cuts_and_bounds_windows(dialects: Server, reference: Any, length: int) -> None:
    """It is the length of a text by itself, and that of a window with a stride."""
    known, body = reference(RERANKER), {"model": RERANKER, "query": QUERY, "texts": [LONG], "max_length": length}
    cut = known.sigmoids(QUERY, [LONG], truncation=True, max_length=length)
    best = torch.sigmoid(known.windows(QUERY, LONG, length, 4)).max().item()

    assert results(ask(dialects, "/rerank", body)) == ranked(cut)
    assert results(ask(dialects, "/rerank", body | {"stride": 4})) == ranked([best])


def test_options_in_the_body_count(dialects: Server) -> None:
    """A dialect reads `options` as the hosted API does: a wrong one is refused."""
    reply = dialects.post("/rerank", json={"query": QUERY, "texts": DOCUMENTS, "options": {"wait_for_model": 7}})

    assert reply.status_code == 422
    assert "wait_for_model" in reply.json()["error"]
