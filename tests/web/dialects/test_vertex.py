"""Vertex AI's instances may be bodies of TEI, whose options count."""

from typing import Any

import pytest
import torch

from tests.support.dialect_bodies import CLASSIFIER, DOCUMENTS, QUERY
from tests.support.server_process import Server
from tests.web.dialects.test_classify import CLOSE, LONG, PAIR, ranking
from tests.web.dialects.test_zero_shot import ask

RANKING = {"query": QUERY, "texts": DOCUMENTS, "label": "positive"}


def predictions(server: Server, *instances: Any, **more: Any) -> Any:
    """The predictions of a good request."""
    return ask(server, "/vertex", {"instances": instances, **more})["predictions"]


def test_queries_with_texts(dialects: Server) -> None:
    """Each instance is ranked as `/rerank` ranks it."""
    other = {**RANKING, "query": "hello", "texts": DOCUMENTS[:2], "return_text": True}
    expected = [ask(dialects, "/rerank", one) for one in (RANKING, other)]
    close = [[{**one, "score": pytest.approx(one["score"], abs=CLOSE)} for one in found] for found in expected]

    assert predictions(dialects, RANKING, other) == close


def test_pairs_and_batches(dialects: Server, reference: Any) -> None:
    """A list of two strings is a pair, and a list of lists several texts."""
    pair = ranking(reference(CLASSIFIER).probabilities(*PAIR))
    single = ranking(reference(CLASSIFIER).probabilities(DOCUMENTS[0]))

    found = predictions(dialects, {"inputs": list(PAIR)}, {"inputs": [[DOCUMENTS[0]], list(PAIR)]}, DOCUMENTS[0])
    assert found == [pair, [single, pair], single]


def test_options_of_an_instance(dialects: Server, reference: Any) -> None:
    """They count beside the text, and in `parameters` for the instances that leave them open."""
    expected = ranking(reference(CLASSIFIER).logits(LONG, truncation=True))
    expected = [{**one, "score": pytest.approx(one["score"].expected, abs=1e-4)} for one in expected]
    options = {"raw_scores": True, "truncate": True}

    assert predictions(dialects, {"inputs": LONG, **options}) == [expected]
    assert predictions(dialects, {"inputs": [LONG]}, parameters=options) == [expected]


def test_options_that_are_ignored(dialects: Server) -> None:
    """They are named once."""
    reply = dialects.post("/vertex", json={"instances": [{"inputs": "a", "x": 1}] * 3, "parameters": {"top_k": 1}})

    assert reply.status_code == 200
    assert reply.headers["x-hf-warning"].endswith(": top_k, x")


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([{"query": "a"}], "`instances[0].texts`"),
        ([{"inputs": ["a", "b", "c"]}], "`instances[0].inputs`"),
        ([RANKING, {"inputs": ["a"]}], "`instances[1]`"),
        ([{"inputs": "a", "raw_scores": True}, {"inputs": "a"}], "`instances[1]`"),
        ([{"inputs": ["a"]}, 7], "`instances[1].inputs`"),
        ([{"inputs": [["a"]] * 600}] * 2, "max_inputs"),
    ],
)
def test_instances_that_are_wrong(dialects: Server, instances: Any, said: str) -> None:
    """Each with a sentence that names it."""
    reply = dialects.post("/vertex", json={"instances": instances})

    assert reply.status_code == 400
    assert said in reply.json()["error"]


def test_a_pair_is_that_of_transformers(reference: Any) -> None:
    """The labels' scores differ between the pair and its first text, or the tests above would show nothing."""
    pair, single = (torch.tensor(reference(CLASSIFIER).logits(*one)) for one in (PAIR, PAIR[:1]))

    assert (pair - single).abs().max() > 0.01
