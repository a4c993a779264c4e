"""The dialect of Cohere that ranks, with its variants: those of Jina and vLLM, of Infinity, and of Voyage."""

from dataclasses import dataclass, replace
from typing import Any

from labeld.protocol.dialects.base import Answered, Call, Dialect, Question
from labeld.protocol.dialects.errors import message_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import CUT, vllm_cut
from labeld.protocol.dialects.ranking import Ranking, pairs, windows
from labeld.types import Parameters

_EXAMPLE = '{"model": "org/name", "query": "a question", "documents": ["a text", "another one"]}'


@dataclass(frozen=True, slots=True)
class _Cohere(Ranking):
    top_n: int | None = None
    documents: tuple[Any, ...] | None = None
    """Those to return with their scores: texts, or objects as they were sent."""
    request_id: str = ""

    def reply(self, answered: Answered) -> Any:
        usage = {"prompt_tokens": answered.tokens, "total_tokens": answered.tokens}
        return {
            "id": f"rerank-{self.request_id}",
            "object": self.kind,
            "model": answered.model,
            self.member: [self.result(answered, *one) for one in self.ranked(answered)[: self.top_n]],
            "usage": usage,
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        }

    @property
    def kind(self) -> str:
        """The member `object` of the reply, of which Infinity's client takes no other."""
        return "rerank"

    @property
    def member(self) -> str:
        """The member of the reply that has the results."""
        return "results"

    def result(self, answered: Answered, index: int, score: float) -> dict[str, Any]:
        """One document's."""
        document = {"document": self.document(self.documents[index])} if self.documents else {}
        return {"index": index, "relevance_score": score, **document, **self.window_scores(answered, index)}

    def document(self, sent: Any) -> Any:
        """A returned document."""
        return {"text": sent} if isinstance(sent, str) else sent


class _Infinity(_Cohere):
    def document(self, sent: Any) -> Any:
        return sent


class _Voyage(_Infinity):
    @property
    def kind(self) -> str:
        return "list"

    @property
    def member(self) -> str:
        return "data"


@dataclass(frozen=True, slots=True)
class _Either(_Cohere):
    """Asked for without a limit, by whose name Cohere's and Voyage's can be told apart."""

    returns_documents: bool = False
    """Whether they were asked for, as they are of Voyage."""

    def reply(self, answered: Answered) -> Any:
        reply = _Cohere.reply(self, answered)
        data = [{name: value for name, value in one.items() if name != "document"} for one in reply["results"]]
        if self.returns_documents and self.documents:
            data = [{**one, "document": self.documents[one["index"]]} for one in data]
        return {**reply, "data": data}


def parse_cohere(call: Call) -> Question:
    """`{model, query, documents, top_n, return_documents, max_tokens_per_doc}`, with the members of its variants.

    Voyage's says `top_k` for `top_n`, and Infinity's client always sends `raw_scores`. Both want documents only where
    they ask for them. vLLM's clients cannot ask for them, and read them.
    """
    fields = Fields(call.value, _EXAMPLE)
    query, (texts, sent) = fields.text("query"), _documents(fields, call)
    is_voyage = "top_k" in fields.value and "top_n" not in fields  # its client also sends null
    is_infinity = "raw_scores" in fields and not is_voyage
    cut = CUT if fields.flag("truncation", default=True) else Parameters()
    if "truncate_prompt_tokens" in fields:  # of vLLM
        cut = vllm_cut(fields)
    if "stride" not in fields and (most := fields.number("max_tokens_per_doc")):  # windows cut nothing
        cut = replace(CUT, max_pair_tokens=most)
    is_raw = fields.flag("raw_scores") or not fields.has_activation()
    top_n = fields.number("top_k") if is_voyage else fields.number("top_n", minimum=0) or None  # 0 as vLLM has it
    returned = tuple(sent) if fields.flag("return_documents", default=not (is_voyage or is_infinity)) else None
    named = (fields.model(), pairs(query, texts), call.options, is_raw, fields.optional_text("label"))
    how = (windows(fields, cut), top_n, returned, call.request_id)
    question: _Cohere
    if is_voyage:
        question = _Voyage(*named, *how)
    elif is_infinity:
        question = _Infinity(*named, *how)
    elif "top_n" in fields:
        question = _Cohere(*named, *how)
    else:
        question = _Either(*named, *how, returns_documents=fields.flag("return_documents"))
    return replace(question, ignored=fields.unread())


def _documents(fields: Fields, call: Call) -> tuple[list[str], list[Any]]:
    """The text of each document, and what is returned for it.

    Of an object `text` is read, or the fields that Cohere's `rank_fields` names, one after the other.
    """
    if "rank_fields" not in fields:
        texts = fields.texts("documents", call.limits, members=("text",))
        return texts, list(texts)
    names = list(dict.fromkeys(fields.texts("rank_fields", call.limits)))  # once each, or a text could be any length
    sent = fields.get("documents")
    joined = [_joined(one, names) for one in sent] if isinstance(sent, list) else sent
    read = Fields({"documents": joined} if sent is not ... else {}, _EXAMPLE)
    return read.texts("documents", call.limits, members=names), sent


def _joined(document: Any, names: list[str]) -> Any:
    """The text of these fields of a document; itself where it has none of them."""
    if not isinstance(document, dict):
        return document
    found = [document[name] for name in names if isinstance(document.get(name), str)]
    return "\n".join(found) if found else document


DIALECTS = (
    Dialect(
        "cohere",
        ("/v1/rerank", "/v2/rerank"),
        parse_cohere,
        message_error,
        description="Ranks documents by a query, as Cohere, Jina, vLLM and Infinity do; with `top_k` as Voyage.",
        example=_EXAMPLE,
    ),
)
