"""Jina's dialect of zero-shot classification."""

from dataclasses import replace
from typing import Any

from labeld.protocol.dialects.base import Answered, Call, Dialect, Question
from labeld.protocol.dialects.errors import message_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.zero_shot import ZeroShot, candidate_labels, multi_label, reading, template

_EXAMPLE = '{"model": "org/name", "input": ["a text"], "labels": ["a label", "another one"]}'


class _Jina(ZeroShot):
    labels_place = "labels"
    example = _EXAMPLE

    def reply(self, answered: Answered) -> Any:
        found = [[{"label": label, "score": score} for label, score in one] for one in self.scored(answered)]
        data = [
            {
                "object": "classification",
                "index": index,
                "prediction": labels[0]["label"],
                "score": labels[0]["score"],
                "predictions": labels,
            }
            for index, labels in enumerate(found)
        ]
        return {"model": answered.model, "data": data, "usage": {"total_tokens": answered.tokens}}


def parse_jina(call: Call) -> Question:
    """`{model, input[], labels[]}`, with `hypothesis_template` and `multi_label` as the Hub's task has them."""
    fields = Fields(call.value, _EXAMPLE)
    texts = tuple(fields.one_or_more("input", call.limits, members=("text",)))
    labels = candidate_labels(fields.get("labels", None), "labels", _EXAMPLE)
    question = _Jina(
        call.model or fields.model(),
        texts,
        labels,
        call.options,
        call.limits,
        template(fields),
        multi_label(fields),
        reading(fields),
        place="input",
    )
    return replace(question, ignored=fields.unread())


DIALECTS = (
    Dialect(
        "jina",
        ("/v1/classify",),
        parse_jina,
        message_error,
        description="Scores labels by an NLI model, as Jina.",
        example=_EXAMPLE,
    ),
)
