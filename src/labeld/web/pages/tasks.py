"""The tasks of a model on its page: each one's widget, filled by the address, and what the code to copy sends.

NOTE: static/classification.js, zero_shot.js and ranking.js make the same bodies from the fields as they are edited.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labeld.config.models_file import Windows, ZeroShotDefaults
from labeld.literals import Aggregate
from labeld.types import Text
from labeld.web.pages.model_view import ModelView

TEXT_CHARACTERS = 8000
"""Characters of a text in the address, at most; the rest is cut off."""
STRIDE = 32
"""Tokens that two windows share, unless the address or the alias says otherwise."""
TEMPLATE = "This example is {}."

Query = Mapping[str, str]
"""The parameters of an address."""


@dataclass(frozen=True, slots=True)
class Widget:
    """A task's widget as it stands at first."""

    fields: dict[str, Any]
    """By the name that the template has for them."""
    values: dict[str, Any]
    """Of the slots in the code to copy, by name."""
    asked: bool
    """True where the address has what a request needs."""
    when: frozenset[str] = field(default=frozenset())
    """Kinds of requests, by which parts of the code are shown."""


class Task(NamedTuple):
    """A task of the Hub that a model's page serves."""

    title: str
    name: str
    """Of its templates and its script."""
    path: str
    """Of the route that its widget asks, before the model's id."""
    widget: Callable[[ModelView, Query], Widget]


def address_text(query: Query, name: str) -> str:
    """A text of the address; empty where there is none."""
    return query.get(name, "").strip()[:TEXT_CHARACTERS]


def lines(text: str) -> list[str]:
    """The documents of a field that has one in each line."""
    return [one.strip() for one in text.split("\n") if one.strip()]


def _classification(view: ModelView, query: Query) -> Widget:
    text, pair = address_text(query, "text"), address_text(query, "text_pair")
    example = Text(text, pair or None) if text else view.examples[0]
    windows = _windows(view, query, asked=bool(text))
    values = _classification_values(view.model_id, example, windows)
    kinds = {"plain" if windows is None else "windows", *(["pair"] if example.pair else [])}
    return Widget({"text": example, "windows": windows, "stride": STRIDE}, values, bool(text), frozenset(kinds))


def _windows(view: ModelView, query: Query, *, asked: bool) -> Windows | None:
    """The windows that the address asks for, or the alias where the address has no text."""
    stride, length = query.get("stride", ""), query.get("max_length", "")
    if _is_number(stride):
        aggregate: Aggregate = "mean" if query.get("aggregate") == "mean" else "max"
        return Windows(int(stride), aggregate, int(length) if _is_number(length) else None)
    of_alias = view.alias.windows if view.alias else Windows()
    return of_alias if of_alias.stride is not None and not asked else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7


def _classification_values(model_id: str, text: Text, windows: Windows | None) -> dict[str, Any]:
    read: dict[str, Any] = {}
    if windows is not None:
        length = {} if windows.max_length is None else {"max_length": windows.max_length}
        read = {"stride": windows.stride, **length, "aggregate": windows.aggregate or "max"}
    which: dict[str, Any] = {}
    if windows is not None and text.pair:  # so that it is known of which text the windows are
        which = {"truncation": "only_first" if len(text.text) >= len(text.pair) else "only_second"}
    inputs = {"text": text.text, "text_pair": text.pair} if text.pair else text.text
    both = [one for one in text if one]
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [one]}
        for name, one in zip(("text", "text_pair"), both, strict=False)
    ]
    parameters = {**read, **which}
    return {
        "inputs": inputs,
        "parameters": parameters,
        "body": {"inputs": inputs, **({"parameters": {**parameters, "return_windows": True}} if read else {})},
        "tei": {"model": model_id, "inputs": [both], **read},
        "vllm": {"model": model_id, "input": [text.text], **read},
        "tensors": {"inputs": tensors, **({"parameters": parameters} if read else {})},
    }


QUERY = "How many people live in Berlin?"
DOCUMENTS = (
    "Berlin has 3.7 million registered inhabitants.",
    "Berlin is well known for its museums.",
    "In 2014 the city state Berlin had 37,368 live births.",
    "The urban area of Berlin comprised about 4.1 million people in 2014.",
)
"""Texts to rank for a model whose examples are not of that kind."""


def _ranking(view: ModelView, query: Query) -> Widget:
    asked, documents = address_text(query, "query"), lines(address_text(query, "documents"))
    pairs = [one for one in view.examples if one.pair and one.text == view.examples[0].text]
    wanted: tuple[str, Sequence[str]] = (QUERY, DOCUMENTS)
    if asked and documents:
        wanted = (asked, documents)
    elif len(pairs) > 1:
        wanted = (pairs[0].text, [one.pair for one in pairs if one.pair])
    question, texts = wanted[0], [*wanted[1]]
    named = {"model": view.model_id, "query": question}
    values = {
        "query": question,
        "documents": texts,
        "body": {"inputs": {"query": question, "texts": texts}},
        "cohere": {**named, "documents": texts},
        "tei": {**named, "texts": texts, "truncate": True},
        "vllm": {"model": view.model_id, "queries": question, "documents": texts, "truncate_prompt_tokens": -1},
    }
    return Widget({"query": question, "documents": "\n".join(texts)}, values, bool(asked and documents))


EXAMPLE = ("The striker scored twice before half time.", "sports, politics, cooking")
"""A text and candidate labels to begin with."""


def _zero_shot(view: ModelView, query: Query) -> Widget:
    text, labels = address_text(query, "text"), address_text(query, "labels")
    asked, said = bool(text and labels), view.alias.zero_shot if view.alias else ZeroShotDefaults()
    if not asked:
        text, labels = EXAMPLE[0], ", ".join(said.candidate_labels) or EXAMPLE[1]
    template = address_text(query, "template") or said.hypothesis_template or TEMPLATE
    multi_label = (
        bool(said.multi_label) if "multi_label" not in query and not asked else query.get("multi_label") == "true"
    )
    candidates = [one.strip() for one in labels.split(",") if one.strip()]
    how = {"hypothesis_template": template, "multi_label": multi_label}
    parameters = {"candidate_labels": candidates, **how}
    values = {
        "text": text,
        "labels": candidates,
        "template": template,
        "multi_label": multi_label,
        "parameters": parameters,
        "body": {"inputs": text, "parameters": parameters},
        "jina": {"model": view.model_id, "input": [text], "labels": candidates, **how},
    }
    fields = {"text": text, "labels": labels, "template": template, "multi_label": multi_label}
    return Widget(fields, values, asked)


TASKS = {
    "text-classification": Task("Classify", "classification", "/models/", _classification),
    "zero-shot-classification": Task("Zero-shot", "zero_shot", "/pipeline/zero-shot-classification/", _zero_shot),
    "text-ranking": Task("Rank", "ranking", "/pipeline/text-ranking/", _ranking),
}
"""By the Hub's name."""
