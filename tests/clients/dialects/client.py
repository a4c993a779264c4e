"""Asks a server of labeld by a client package, and prints what it got as JSON: `client.py NAME URL`.

A process of its own: packages of clients need versions of others that the tests do not.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

QUERY = "i like the film"
DOCUMENTS = ["the market fell", "a good film", "i love it", "hello world"]
LONG = "the market fell and the day was bad " * 30
MODEL, CLASSIFIER = "org/one-label", "org/bert"
LABELS = ("negative", "neutral", "positive")
"""Of the classifier, in the order of their ids."""
Answers = dict[str, Callable[[], Any]]


def pairs(results: Any, score: str = "relevance_score") -> list[Any]:
    """Index and score of each result, objects or dicts."""
    found = [one if isinstance(one, dict) else vars(one) for one in results]
    return [[one["index"], one[score]] for one in found]


def cohere(url: str) -> Answers:
    """Cohere's own client, by both versions of its API."""
    from cohere import Client, ClientV2

    old, new = Client("key", base_url=url), ClientV2("key", base_url=url)
    how: dict[str, Any] = {"query": QUERY, "model": MODEL}
    return {
        "rank": lambda: pairs(new.rerank(documents=DOCUMENTS, **how).results),
        "top": lambda: pairs(old.rerank(documents=DOCUMENTS, top_n=2, **how).results),
        "documents": lambda: [
            one.document.text for one in old.rerank(documents=DOCUMENTS, return_documents=True, **how).results
        ],
        "long": lambda: pairs(new.rerank(documents=[LONG], **how).results),
        "error": lambda: failure(lambda: new.rerank(documents=DOCUMENTS, query=QUERY, model="org/nothing")),
    }


def litellm(provider: str) -> Callable[[str], Answers]:
    """LiteLLM, by one of its providers."""

    def answers(url: str) -> Answers:
        import litellm

        litellm.suppress_debug_info = True

        def rerank(documents: list[str], model: str = MODEL, **how: Any) -> Any:
            return litellm.rerank(
                *(f"{provider}/{model}", QUERY, documents), api_base=url, api_key="key", **how
            ).results

        found = {
            "rank": lambda: pairs(rerank(DOCUMENTS, return_documents=False)),
            "top": lambda: pairs(rerank(DOCUMENTS, top_n=2, return_documents=False)),
            "documents": lambda: [one["document"]["text"] for one in rerank(DOCUMENTS, return_documents=True)],
            "long": lambda: pairs(rerank([LONG], return_documents=False)),
        }
        if provider != "huggingface":  # which does not send the model's name
            found["error"] = lambda: failure(lambda: rerank(DOCUMENTS, "org/nothing"))
        return found

    return answers


def voyage(url: str) -> Answers:
    """Voyage's own client."""
    from voyageai import Client

    client = Client("key", base_url=f"{url}/v1", max_retries=0)

    def rerank(documents: list[str], model: str = MODEL, **how: Any) -> Any:
        return client.rerank(QUERY, documents, model, **how).results

    return {
        "rank": lambda: [[one.index, one.relevance_score] for one in rerank(DOCUMENTS)],
        "top": lambda: [[one.index, one.relevance_score] for one in rerank(DOCUMENTS, top_k=2)],
        "documents": lambda: [one.document for one in rerank(DOCUMENTS)],
        "long": lambda: [[one.index, one.relevance_score] for one in rerank([LONG])],
        "error": lambda: failure(lambda: rerank(DOCUMENTS, "org/nothing")),
    }


def openai(url: str) -> Answers:
    """OpenAI's own client, which has no method for these routes, by its `post`."""
    from openai import OpenAI

    client, listing = (OpenAI(base_url=base, api_key="key", max_retries=0) for base in (url, f"{url}/v1"))

    def post(path: str, **body: Any) -> Any:
        return client.post(path, body=body, cast_to=object)

    return {
        "rank": lambda: pairs(post("/v1/rerank", model=MODEL, query=QUERY, documents=DOCUMENTS)["results"]),
        "top": lambda: pairs(post("/v1/rerank", model=MODEL, query=QUERY, documents=DOCUMENTS, top_n=2)["results"]),
        "classify": lambda: [one["probs"] for one in post("/classify", model=CLASSIFIER, input=DOCUMENTS)["data"]],
        "probes": lambda: (
            CLASSIFIER in [one.id for one in listing.models.list()]
            and listing.models.retrieve(CLASSIFIER).id == CLASSIFIER
        ),
        "error": lambda: failure(lambda: post("/classify", model="org/nothing", input=DOCUMENTS)),
    }


def haystack(url: str) -> Answers:
    """Haystack's ranker for TEI, which names no model."""
    from haystack import Document
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    def rerank(documents: list[str], query: str = QUERY, **how: Any) -> Any:
        ranker = HuggingFaceTEIRanker(url=url, top_k=10, token=None, **how)
        given = [Document(content=one, meta={"index": index}) for index, one in enumerate(documents)]
        return ranker.run(query=query, documents=given)["documents"]

    def found(documents: Any) -> list[Any]:
        return [[one.meta["index"], one.score] for one in documents]

    return {
        "rank": lambda: found(rerank(DOCUMENTS)),
        "raw": lambda: found(rerank(DOCUMENTS, raw_scores=True)),
        "error": lambda: failure(lambda: rerank(DOCUMENTS, "")),
    }


def llama_index(url: str) -> Answers:
    """LlamaIndex' reranker for TEI, which names no model."""
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    def rerank(documents: list[str], top_n: int = 10) -> list[Any]:
        nodes = [NodeWithScore(node=TextNode(text=one)) for one in documents]
        found = TextEmbeddingInference(base_url=url, top_n=top_n).postprocess_nodes(nodes, query_str=QUERY)
        return [[documents.index(one.text), one.score] for one in found]

    return {"rank": lambda: rerank(DOCUMENTS), "top": lambda: rerank(DOCUMENTS, 2), "long": lambda: rerank([LONG])}


def infinity(url: str) -> Answers:
    """Infinity's own client."""
    from infinity_client import Client
    from infinity_client.api.default import classify, rerank
    from infinity_client.models import ClassifyInput, RerankInput

    client = Client(base_url=url)

    def ranked(documents: list[str], model: str = MODEL, **how: Any) -> Any:
        reply = rerank.sync_detailed(client=client, body=RerankInput(QUERY, documents, model=model, **how))
        return reply.parsed.results if reply.status_code == 200 else reply.content.decode()

    def classified() -> Any:
        given = ClassifyInput(input_=DOCUMENTS, model=CLASSIFIER)
        found = [{one.label: one.score for one in text} for text in classify.sync(client=client, body=given).data]
        return [[text[label] for label in LABELS] for text in found]

    return {
        "rank": lambda: pairs([one.to_dict() for one in ranked(DOCUMENTS)]),
        "top": lambda: pairs([one.to_dict() for one in ranked(DOCUMENTS, top_n=2)]),
        "documents": lambda: [one.document for one in ranked(DOCUMENTS, return_documents=True)],
        "raw": lambda: pairs([one.to_dict() for one in ranked(DOCUMENTS, raw_scores=True)]),
        "long": lambda: pairs([one.to_dict() for one in ranked([LONG])]),
        "classify": classified,
        "error": lambda: ranked(DOCUMENTS, "org/nothing"),
    }


def langchain(url: str) -> Answers:
    """LangChain's reranker for Cohere."""
    from langchain_cohere import CohereRerank
    from langchain_core.documents import Document

    def reranker(model: str = MODEL, top_n: int | None = None) -> Any:
        return CohereRerank(model=model, top_n=top_n, cohere_api_key="key", base_url=url)

    def compressed() -> list[str]:
        given = [Document(page_content=one) for one in DOCUMENTS]
        return [one.page_content for one in reranker().compress_documents(given, QUERY)]

    return {
        "rank": lambda: pairs(reranker().rerank(DOCUMENTS, QUERY)),
        "top": lambda: pairs(reranker(top_n=2).rerank(DOCUMENTS, QUERY)),
        "documents": compressed,
        "long": lambda: pairs(reranker().rerank([LONG], QUERY)),
        "error": lambda: failure(lambda: reranker("org/nothing").rerank(DOCUMENTS, QUERY)),
    }


def triton(url: str) -> Answers:
    """Triton's client, with binary tensors."""
    import numpy as np
    from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

    client = InferenceServerClient(url.removeprefix("http://"))

    def classify(texts: list[str], model: str = CLASSIFIER, *, binary: bool = True) -> Any:
        tensor = InferInput("text", [len(texts)], "BYTES")
        tensor.set_data_from_numpy(np.array(texts, dtype=object), binary_data=binary)
        outputs = [InferRequestedOutput("label"), InferRequestedOutput("scores")]
        return client.infer(model, [tensor], outputs=outputs).as_numpy("scores").tolist()

    def probes() -> bool:
        is_ready = client.is_server_live() and client.is_server_ready() and client.is_model_ready(CLASSIFIER)
        return bool(is_ready and client.get_model_metadata(CLASSIFIER)["name"] == CLASSIFIER)

    return {
        "classify": lambda: classify(DOCUMENTS),
        "json": lambda: classify(DOCUMENTS, binary=False),
        "probes": probes,
        "error": lambda: failure(lambda: classify(DOCUMENTS, "org/nothing")),
    }


CLIENTS: dict[str, tuple[str, Callable[[str], Answers]]] = {
    "cohere": ("cohere", cohere),
    "haystack": ("huggingface-api-haystack", haystack),
    "infinity": ("infinity_client", infinity),
    "langchain": ("langchain-cohere", langchain),
    "litellm-cohere": ("litellm", litellm("cohere")),
    "litellm-hosted_vllm": ("litellm", litellm("hosted_vllm")),
    "litellm-huggingface": ("litellm", litellm("huggingface")),
    "litellm-infinity": ("litellm", litellm("infinity")),
    "litellm-jina_ai": ("litellm", litellm("jina_ai")),
    "litellm-voyage": ("litellm", litellm("voyage")),
    "llama_index": ("llama-index-postprocessor-tei-rerank", llama_index),
    "openai": ("openai", openai),
    "triton": ("tritonclient", triton),
    "voyage": ("voyageai", voyage),
}
"""The package and the answers of each client."""


def failure(ask: Callable[[], Any]) -> str:
    """The sentence of the error that a call raises."""
    try:
        ask()
    except Exception as error:  # noqa: BLE001  # each package has errors of its own
        return str(error)
    return ""


def attempt(ask: Callable[[], Any]) -> Any:
    """The answer, or why there is none."""
    try:
        return {"answer": ask()}
    except Exception as error:  # noqa: BLE001
        return {"failed": f"{type(error).__name__}: {error}"[:500]}


if __name__ == "__main__":
    os.environ |= {"HAYSTACK_TELEMETRY_ENABLED": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    package, answers = CLIENTS[sys.argv[1]]
    found = {name: attempt(ask) for name, ask in answers(sys.argv[2]).items()}
    sys.stdout.write(f"\n{json.dumps({'version': version(package), 'found': found})}\n")
