"""Dialects that rank documents by a query: TEI, the Hub's task, vLLM, NIM; those of Cohere's shape are in cohere.py."""

from dataclasses import dataclass, replace
from typing import Any

from labeld.errors import InvalidRequestError
from labeld.protocol.dialects import cohere
from labeld.protocol.dialects.base import Answered, Call, Dialect, Question
from labeld.protocol.dialects.errors import openai_error, tei_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import CUT, tei_cut, vllm_cut
from labeld.protocol.dialects.ranking import Ranking, pairs, windows
from labeld.types import Parameters, Text

_TEI = '{"query": "a question", "texts": ["a text", "another one"]}'
_HOSTED = '{"inputs": {"query": "a question", "texts": ["a text", "another one"]}}'
_SCORE = '{"model": "org/name", "queries": "a question", "documents": ["a text", "another one"]}'
_NIM = '{"model": "org/name", "query": {"text": "a question"}, "passages": [{"text": "a text"}]}'


@dataclass(frozen=True, slots=True)
class _Tei(Ranking):
    texts: tuple[str, ...] | None = None
    """Those to return with their scores."""
    top_n: int | None = None
    """Not of TEI itself, but LiteLLM sends it."""

    def reply(self, answered: Answered) -> Any:
        texts = self.texts
        return [
            {
                "index": index,
                **({"text": texts[index]} if texts else {}),
                "score": score,
                **self.window_scores(answered, index),
            }
            for index, score in self.ranked(answered)[: self.top_n]
        ]


def parse_tei(call: Call, place: str = "") -> Question:
    """`{query, texts[], truncate, truncation_direction, raw_scores, return_text}`."""
    fields = Fields(call.value, _TEI, place)
    query, texts = fields.text("query"), fields.texts("texts", call.limits)
    question = _Tei(
        call.model or fields.model(),
        pairs(query, texts),
        call.options,
        fields.flag("raw_scores"),
        fields.optional_text("label"),
        windows(fields, tei_cut(fields)),
        tuple(texts) if fields.flag("return_text") else None,
        fields.number("top_n", minimum=0) or None,
    )
    return replace(question, ignored=fields.unread())


def parse_rerank(call: Call) -> Question:
    """The bare `/rerank`, which TEI's clients and those of Cohere's shape share: `documents` are of the latter."""
    is_cohere = isinstance(call.value, dict) and "documents" in call.value and "texts" not in call.value
    return cohere.parse_cohere(call) if is_cohere else parse_tei(call)


@dataclass(frozen=True, slots=True)
class _Hosted(Ranking):
    texts: tuple[str, ...] | None = None
    top_n: int | None = None

    def reply(self, answered: Answered) -> Any:
        texts = self.texts
        return [
            {
                "index": index,
                "score": score,
                **({"text": texts[index]} if texts else {}),
                **self.window_scores(answered, index),
            }
            for index, score in self.ranked(answered)[: self.top_n]
        ]


def parse_hosted(call: Call) -> Question:
    """`{"inputs": {"query", "texts"[, "return_documents"]}, "parameters"}` of the Hub's task text-ranking."""
    body = Fields(call.value, _HOSTED)
    inputs = Fields(body.get("inputs"), _HOSTED, "inputs")
    parameters = body.object("parameters")
    query, texts = inputs.text("query"), inputs.texts(inputs.first_of(("texts", "documents")), call.limits)
    is_returned = [inputs.flag("return_documents"), parameters.flag("return_documents")]
    question = _Hosted(
        call.model,
        pairs(query, texts),
        call.options,
        parameters.flag("raw_scores"),
        parameters.optional_text("label"),
        windows(parameters, CUT if parameters.flag("truncation", default=True) else Parameters()),
        tuple(texts) if any(is_returned) else None,
        parameters.number("top_k"),
    )
    return replace(question, ignored=(*body.unread(), *inputs.unread(), *parameters.unread()))


@dataclass(frozen=True, slots=True)
class _Score(Ranking):
    request_id: str = ""
    created: int = 0

    def reply(self, answered: Answered) -> Any:
        return {
            "id": f"score-{self.request_id}",
            "object": "list",
            "created": self.created,
            "model": answered.model,
            "data": [
                {"index": index, "object": "score", "score": score, **self.window_scores(answered, index)}
                for index, score in sorted(self.ranked(answered))
            ],
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
    question = _Score(
        call.model or fields.model(),
        tuple([Text(first, second) for first, second in zip(firsts, seconds, strict=True)]),
        call.options,
        not fields.has_activation(),
        fields.optional_text("label"),
        windows(fields, vllm_cut(fields)),
        call.request_id,
        call.created,
    )
    return replace(question, ignored=fields.unread())


class _Nim(Ranking):
    def reply(self, answered: Answered) -> Any:
        return {
            "rankings": [
                {"index": index, "logit": score, **self.window_scores(answered, index, "logit")}
                for index, score in self.ranked(answered)
            ]
        }


def parse_nim(call: Call) -> Question:
    """NIM's `{model, query: {text}, passages: [{text}], truncate: "NONE"|"END"}`, answered with logits."""
    fields = Fields(call.value, _NIM)
    asked = Fields(fields.get("query"), _NIM, "query")
    query, passages = asked.text("text"), fields.texts("passages", call.limits, members=("text",))
    cut = CUT if fields.one_of("truncate", ("NONE", "END")) == "END" else Parameters()
    model, label = call.model or fields.model(), fields.optional_text("label")
    read = windows(fields, cut)
    ignored = (*fields.unread(), *asked.unread())
    return _Nim(model, pairs(query, passages), call.options, raw=True, label=label, parameters=read, ignored=ignored)


DIALECTS = (
    Dialect(
        "rerank",
        ("/rerank",),
        parse_rerank,
        tei_error,
        description="Ranks texts by a query, as TEI or Cohere.",
        example=_TEI,
    ),
    *cohere.DIALECTS,
    Dialect(
        "text_ranking",
        ("/pipeline/text-ranking/{model_id:path}", "/hf-inference/models/{model_id:path}/pipeline/text-ranking"),
        parse_hosted,
        description="Ranks texts by a query, as the Hub's task text-ranking.",
        example=_HOSTED,
    ),
    Dialect(
        "score",
        ("/score", "/v1/score"),
        parse_score,
        openai_error,
        description="Scores pairs, as vLLM.",
        example=_SCORE,
    ),
    Dialect(
        "nim",
        ("/v1/ranking",),
        parse_nim,
        openai_error,
        description="Ranks passages by logits, as NVIDIA NIM.",
        example=_NIM,
    ),
)
