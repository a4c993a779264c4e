"""Documents are ranked for each client of Cohere's shape, and for vLLM's, as that client asks and reads."""

from typing import Any

import pytest

from tests.support.dialect_bodies import DOCUMENTS, QUERY, RERANKER
from tests.support.server_process import Server
from tests.web.dialects.test_rerank import CLOSE, LONG, ask, ranked, results

BODY = {"model": RERANKER, "query": QUERY, "documents": DOCUMENTS}
PATHS = ("/rerank", "/v1/rerank", "/v2/rerank")
each_path = pytest.mark.parametrize("path", PATHS)


@each_path
def test_infinity(dialects: Server, reference: Any, path: str) -> None:
    """Its client takes one value of `object` only, always sends `raw_scores`, and reads documents as strings."""
    body = BODY | {"raw_scores": False, "return_documents": True, "top_n": 3}
    reply = ask(dialects, path, body)

    assert reply["object"] == "rerank"
    assert results(reply["results"], "relevance_score") == ranked(reference(RERANKER).sigmoids(QUERY, DOCUMENTS))[:3]
    assert [one["document"] for one in reply["results"]] == [DOCUMENTS[one["index"]] for one in reply["results"]]
    without = ask(dialects, path, BODY | {"raw_scores": False})
    assert all("document" not in one for one in without["results"])
    assert "data" not in without


@each_path
def test_the_kind_of_a_reply(dialects: Server, path: str) -> None:
    """`object` is rerank, but list in Voyage's."""
    for asked, kind in (({}, "rerank"), ({"top_n": 2}, "rerank"), ({"top_k": 2}, "list")):
        assert ask(dialects, path, BODY | asked)["object"] == kind


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rerank", {"query": QUERY, "documents": DOCUMENTS, "raw_scores": False, "label": "positive"}),
        ("/rerank", {"query": QUERY, "texts": DOCUMENTS, "label": "positive"}),
        ("/classify", {"input": DOCUMENTS, "raw_scores": False}),
        ("/classify", {"input": DOCUMENTS}),
        ("/predict", {"inputs": [["a film"]]}),
        ("/score", {"queries": QUERY, "documents": DOCUMENTS, "label": "positive"}),
    ],
)
def test_the_name_of_no_model(dialects: Server, path: str, body: dict[str, Any]) -> None:
    """Infinity's client sends one where its caller names none, and is answered as if it had not."""
    unnamed, named = (ask(dialects, path, one) for one in (body, body | {"model": "default/not-specified"}))
    if isinstance(named, dict):  # of which each has a name and a time of its own
        unnamed, named = ({**one, "id": "", "created": 0} for one in (unnamed, named))

    assert named == unnamed


@each_path
def test_no_limit_is_also_zero(dialects: Server, path: str) -> None:
    """As vLLM and Infinity have it."""
    assert len(ask(dialects, path, BODY | {"top_n": 0})["results"]) == len(DOCUMENTS)
    assert dialects.post(path, json=BODY | {"top_n": -1}).status_code in {400, 422}


def test_no_limit_is_also_zero_in_a_body_of_tei(dialects: Server) -> None:
    """To which LiteLLM adds `top_n`."""
    body = {"model": RERANKER, "query": QUERY, "texts": DOCUMENTS, "top_n": 0}

    assert len(ask(dialects, "/rerank", body)) == len(DOCUMENTS)


@each_path
def test_documents_come_back_unless_they_are_not_wanted(dialects: Server, path: str) -> None:
    """VLLM's clients cannot ask for them, and read them; Voyage's get them only where they ask."""
    for asked in ({}, {"top_n": 2}):
        found = ask(dialects, path, BODY | asked)["results"]
        assert [one["document"] for one in found] == [{"text": DOCUMENTS[one["index"]]} for one in found]
    for asked, name in (({"return_documents": False}, "results"), ({"top_k": 2}, "data"), ({}, "data")):
        assert all("document" not in one for one in ask(dialects, path, BODY | asked)[name])


@each_path
@pytest.mark.parametrize("name", ["use_activation", "activation", "softmax"])
def test_logits_by_the_names_of_vllm(dialects: Server, reference: Any, path: str, name: str) -> None:
    """The switch has had three, and stands in a body of `/rerank` and of `/score`."""
    logits = [reference(RERANKER).logits(QUERY, one)[0] for one in DOCUMENTS]
    found = ask(dialects, path, BODY | {name: False})["results"]
    pairs = {"model": RERANKER, "queries": QUERY, "documents": DOCUMENTS}

    assert results(found, "relevance_score") == ranked(logits)
    assert [one["score"] for one in ask(dialects, "/score", pairs | {name: False})["data"]] == pytest.approx(
        logits, abs=CLOSE
    )
    scores = reference(RERANKER).sigmoids(QUERY, DOCUMENTS)
    assert results(ask(dialects, path, BODY | {name: True})["results"], "relevance_score") == ranked(scores)


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/rerank", {"query": "good", "texts": ["a film", ""]}, results),
        ("/v1/rerank", {"query": "good", "documents": ["a film", ""]}, lambda r: results(r["data"], "relevance_score")),
        ("/score", {"queries": "good", "documents": ["a film", ""]}, lambda reply: results(reply["data"])),
    ],
)
def test_an_empty_document(dialects: Server, reference: Any, path: str, body: dict[str, Any], read: Any) -> None:
    """It is the empty text of a pair, as transformers reads it in a list, and not the query by itself."""
    logits = [one[0] for one in reference(RERANKER).logits_of_list(["good", "good"], ["a film", ""])]
    alone = reference(RERANKER).logits("good")[0]
    found = dict(read(ask(dialects, path, {**body, "model": RERANKER})))
    scores = dict(ranked([1 / (1 + 2.718281828459045**-one) for one in logits]))

    assert logits[1] != pytest.approx(alone, abs=1e-3)
    assert found == scores


def test_fields_of_documents(dialects: Server, reference: Any) -> None:
    """`rank_fields` says which members of a document are read, in which order, and the document comes back whole."""
    sent = [{"title": "a film", "text": "good", "year": 1999}, {"text": "hello world"}, "i love it"]
    body = BODY | {"documents": sent, "rank_fields": ["text", "title"], "return_documents": True, "top_n": 3}
    reply = dialects.post("/v1/rerank", json=body)
    scores = reference(RERANKER).sigmoids(QUERY, ["good\na film", "hello world", "i love it"])
    found = reply.json()["results"]

    assert results(found, "relevance_score") == ranked(scores)
    assert {one["index"]: one["document"] for one in found} == {0: sent[0], 1: sent[1], 2: {"text": sent[2]}}
    assert "x-hf-warning" not in reply.headers


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rank_fields": "text"}, "rank_fields"),
        ({"rank_fields": []}, "rank_fields"),
        ({"rank_fields": [7]}, "rank_fields[0]"),
        ({"rank_fields": ["title"], "documents": [{"text": "a"}]}, "documents[0].title"),
        ({"rank_fields": ["title"], "documents": 7}, "documents"),
    ],
)
def test_fields_that_are_wrong(dialects: Server, changed: dict[str, Any], said: str) -> None:
    """The sentence names the member."""
    reply = dialects.post("/v1/rerank", json=BODY | changed)

    assert reply.status_code == 400
    assert f"`{said}`" in reply.json()["message"]


def test_fields_that_are_named_twice_are_read_once(dialects: Server, reference: Any) -> None:
    """Or a body could make texts that are many times as long as it is."""
    body = BODY | {"documents": [{"text": "good"}], "rank_fields": ["text"] * 500, "top_n": 1}

    assert results(ask(dialects, "/v1/rerank", body)["results"], "relevance_score") == ranked(
        reference(RERANKER).sigmoids(QUERY, ["good"])
    )


TWO = [LONG, "a film"]
PASSAGES = {"query": {"text": QUERY}, "passages": [{"text": one} for one in TWO]}


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/rerank", {"query": QUERY, "texts": TWO}, lambda reply: reply),
        ("/v1/rerank", {"query": QUERY, "documents": TWO}, lambda reply: reply["results"]),
        ("/v1/rerank", {"query": QUERY, "documents": TWO, "top_k": 2}, lambda reply: reply["data"]),
        ("/score", {"queries": QUERY, "documents": TWO}, lambda reply: reply["data"]),
        ("/v1/ranking", PASSAGES, lambda reply: reply["rankings"]),
        (f"/pipeline/text-ranking/{RERANKER}", {"inputs": {"query": QUERY, "texts": TWO}}, lambda reply: reply),
    ],
)
def test_windows_in_the_reply(dialects: Server, reference: Any, path: str, body: dict[str, Any], read: Any) -> None:
    """With `return_windows` each result has the score of each window of its document, and its characters."""
    how = {"stride": 8, "max_length": 40, "return_windows": True}
    known, name = reference(RERANKER), "logit" if body is PASSAGES else "score"
    windows = known.windows(QUERY, LONG, 40, 8)
    scores = (windows if name == "logit" else windows.sigmoid()).flatten().tolist()
    beside = {"parameters": how} if "pipeline" in path else {"model": RERANKER, **how}
    found = {one["index"]: one for one in read(ask(dialects, path, {**body, **beside}))}

    assert [one[name] for one in found[0]["windows"]] == pytest.approx(scores, abs=CLOSE)
    assert [[one["start"], one["end"]] for one in found[0]["windows"]] == known.spans(QUERY, LONG, 40, 8)
    assert len(found[1]["windows"]) == 1


def test_the_task_of_the_hub_returns_documents_by_a_parameter(dialects: Server) -> None:
    """As well as by a member of `inputs`."""
    body = {"inputs": {"query": QUERY, "texts": DOCUMENTS}, "parameters": {"return_documents": True}}
    reply = ask(dialects, f"/pipeline/text-ranking/{RERANKER}", body)

    assert [one["text"] for one in reply] == [DOCUMENTS[one["index"]] for one in reply]
