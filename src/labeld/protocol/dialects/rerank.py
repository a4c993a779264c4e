"""Dialects that rank documents by a query: TEI, Cohere (Jina, vLLM, Infinity), Voyage, the Hub's task, vLLM, NIM."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from labeld.errors import InvalidRequestError
from labeld.protocol.dialects import lengths
from labeld.protocol.dialects.base import Answered, Call, Dialect, Question
from labeld.protocol.dialects.errors import message_error, openai_error, tei_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import CUT, tei_cut, vllm_cut
from labeld.protocol.dialects.ranking import Ranking
from labeld.types import Parameters, Text

_TEI = '{"query": "a question", "texts": ["a text", "another one"]}'
_COHERE = '{"model": "org/name", "query": "a question", "documents": ["a text", "another one"]}'
_HOSTED = '{"inputs": {"query": "a question", "texts": ["a text", "another one"]}}'
_SCORE = '{"model": "org/name", "queries": "a question", "documents": ["a text", "another one"]}'
_NIM = '{"model": "org/name", "query": {"text": "a question"}, "passages": [{"text": "a text"}]}'


def pairs(query: str, documents: Sequence[str]) -> tuple[Text, ...]:
    """Each document beside the query."""
    return tuple([Text(query, one or None) for one in documents])


def windows(fields: Fields, parameters: Parameters) -> Parameters:
    """The parameters with windows of documents, where they are asked for."""
    return lengths.windows(fields, parameters, of="only_second")


@dataclass(frozen=True, slots=True)
class _Tei(Ranking):
    texts: tuple[str, ...] | None = None
    """Those to return with their scores."""
    top_n: int | None = None
    """Not of TEI itself, but LiteLLM sends it."""

    def reply(self, answered: Answered) -> Any:
        texts = self.texts
        return [
            {"index": index, **({"text": texts[index]} if texts else {}), "score": score}
            for index, score in self.ranked(answered)[: self.top_n]
        ]


def parse_tei(call: Call) -> Question:
    """`{query, texts[], truncate, truncation_direction, raw_scores, return_text}`."""
    fields = Fields(call.value, _TEI)
    query, texts = fields.text("query"), fields.texts("texts", call.limits)
    return _Tei(
        call.model or fields.optional_text("model"),
        pairs(query, texts),
        call.options,
        fields.flag("raw_scores"),
        fields.optional_text("label"),
        windows(fields, tei_cut(fields)),
        tuple(texts) if fields.flag("return_text") else None,
        fields.number("top_n"),
    )


def parse_rerank(call: Call) -> Question:
    """The bare `/rerank`, which TEI's clients and those of Cohere's shape share: `documents` are of the latter."""
    is_cohere = isinstance(call.value, dict) and "documents" in call.value and "texts" not in call.value
    return parse_cohere(call) if is_cohere else parse_tei(call)


@dataclass(frozen=True, slots=True)
class _Cohere(Ranking):
    top_n: int | None = None
    documents: tuple[str, ...] | None = None
    """Those to return with their scores."""
    request_id: str = ""

    def reply(self, answered: Answered) -> Any:
        usage = {"prompt_tokens": answered.tokens, "total_tokens": answered.tokens}
        return {
            "id": f"rerank-{self.request_id}",
            "object": "list",
            "model": answered.model,
            self.member: [self.result(*one) for one in self.ranked(answered)[: self.top_n]],
            "usage": usage,
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        }

    @property
    def member(self) -> str:
        """The member of the reply that has the results."""
        return "results"

    def result(self, index: int, score: float) -> dict[str, Any]:
        """One document's."""
        document = {"document": self.document(self.documents[index])} if self.documents else {}
        return {"index": index, "relevance_score": score, **document}

    def document(self, text: str) -> Any:
        """A returned document."""
        return {"text": text}


class _Voyage(_Cohere):
    @property
    def member(self) -> str:
        return "data"

    def document(self, text: str) -> Any:
        return text


class _Either(_Cohere):
    """Asked for without a limit, by whose name the two can be told apart."""

    def reply(self, answered: Answered) -> Any:
        reply = _Cohere.reply(self, answered)
        for one in (data := [dict(one) for one in reply["results"]]):
            if "document" in one:
                one["document"] = one["document"]["text"]
        return {**reply, "data": data}


def parse_cohere(call: Call) -> Question:
    """`{model, query, documents, top_n, return_documents, max_tokens_per_doc}`; Voyage's says `top_k` for `top_n`."""
    fields = Fields(call.value, _COHERE)
    query, documents = fields.text("query"), fields.texts("documents", call.limits, members=("text",))
    is_voyage = "top_k" in fields.value and "top_n" not in fields  # its client also sends null
    cut = CUT if fields.flag("truncation", default=True) else Parameters()
    if "truncate_prompt_tokens" in fields:  # of vLLM
        cut = vllm_cut(fields)
    if most := fields.number("max_tokens_per_doc"):
        cut = replace(CUT, max_pair_tokens=most)
    kind: type[_Cohere] = _Voyage if is_voyage else _Cohere if "top_n" in fields else _Either
    return kind(
        call.model or fields.optional_text("model"),
        pairs(query, documents),
        call.options,
        fields.flag("raw_scores"),
        fields.optional_text("label"),
        windows(fields, cut),
        fields.number("top_k" if is_voyage else "top_n"),
        tuple(documents) if fields.flag("return_documents") else None,
        call.request_id,
    )


@dataclass(frozen=True, slots=True)
class _Hosted(Ranking):
    texts: tuple[str, ...] | None = None
    top_n: int | None = None

    def reply(self, answered: Answered) -> Any:
        texts = self.texts
        return [
            {"index": index, "score": score, **({"text": texts[index]} if texts else {})}
            for index, score in self.ranked(answered)[: self.top_n]
        ]


def parse_hosted(call: Call) -> Question:
    """`{"inputs": {"query", "texts"[, "return_documents"]}, "parameters"}` of the Hub's task text-ranking."""
    body = Fields(call.value, _HOSTED)
    inputs = Fields(body.value.get("inputs", ...), _HOSTED, "inputs")
    parameters = Fields(body.value.get("parameters") or {}, _HOSTED, "parameters")
    query, texts = inputs.text("query"), inputs.texts(inputs.first_of(("texts", "documents")), call.limits)
    return _Hosted(
        call.model,
        pairs(query, texts),
        call.options,
        parameters.flag("raw_scores"),
        parameters.optional_text("label"),
        windows(parameters, CUT if parameters.flag("truncation", default=True) else Parameters()),
        tuple(texts) if inputs.flag("return_documents") else None,
        parameters.number("top_k"),
    )


@dataclass(frozen=True, slots=True)
class _Score(Ranking):
    request_id: str = ""
    created: int = 0

    def reply(self, answered: Answered) -> Any:
        scores = sorted(self.ranked(answered))
        return {
            "id": f"score-{self.request_id}",
            "object": "list",
            "created": self.created,
            "model": answered.model,
            "data": [{"index": index, "object": "score", "score": score} for index, score in scores],
            "usage": {"prompt_tokens": answered.tokens, "total_tokens": answered.tokens},
        }


def parse_score(call: Call) -> Question:
    """VLLM's `{model, queries|text_1|data_1, documents|text_2|data_2}`: one to many, or as many to as many."""
    fields = Fields(call.value, _SCORE)
    firsts = fields.one_or_more(fields.first_of(("queries", "text_1", "data_1")), call.limits)
    seconds = fields.one_or_more(fields.first_of(("documents", "text_2", "data_2")), call.limits)
    if len(firsts) not in {1, len(seconds)}:
        raise InvalidRequestError(
            f"There are {len(firsts)} queries and {len(seconds)} documents: send one query, or one for each document."
        )
    if len(firsts) == 1:
        firsts *= len(seconds)
    texts = tuple([Text(first, second or None) for first, second in zip(firsts, seconds, strict=True)])
    return _Score(
        call.model or fields.optional_text("model"),
        texts,
        call.options,
        not fields.flag(fields.first_of(("use_activation", "activation")), default=True),
        fields.optional_text("label"),
        windows(fields, vllm_cut(fields)),
        call.request_id,
        call.created,
    )


class _Nim(Ranking):
    def reply(self, answered: Answered) -> Any:
        return {"rankings": [{"index": index, "logit": score} for index, score in self.ranked(answered)]}


def parse_nim(call: Call) -> Question:
    """NIM's `{model, query: {text}, passages: [{text}], truncate: "NONE"|"END"}`, answered with logits."""
    fields = Fields(call.value, _NIM)
    query = Fields(fields.value.get("query", ...), _NIM, "query").text("text")
    passages = fields.texts("passages", call.limits, members=("text",))
    cut = CUT if fields.one_of("truncate", ("NONE", "END")) == "END" else Parameters()
    model, label = call.model or fields.optional_text("model"), fields.optional_text("label")
    return _Nim(model, pairs(query, passages), call.options, raw=True, label=label, parameters=windows(fields, cut))


DIALECTS = (
    Dialect("rerank", ("/rerank",), parse_rerank, tei_error, description="Ranks texts by a query, as TEI or Cohere."),
    Dialect(
        "cohere",
        ("/v1/rerank", "/v2/rerank"),
        parse_cohere,
        message_error,
        description="Ranks documents by a query, as Cohere, Jina, vLLM and Infinity do; with `top_k` as Voyage.",
    ),
    Dialect(
        "text_ranking",
        ("/pipeline/text-ranking/{model_id:path}", "/hf-inference/models/{model_id:path}/pipeline/text-ranking"),
        parse_hosted,
        description="Ranks texts by a query, as the Hub's task text-ranking.",
    ),
    Dialect("score", ("/score", "/v1/score"), parse_score, openai_error, description="Scores pairs, as vLLM."),
    Dialect("nim", ("/v1/ranking",), parse_nim, openai_error, description="Ranks passages by logits, as NVIDIA NIM."),
)
