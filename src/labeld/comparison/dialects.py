"""The client side of each dialect: the body of a request for one text, and the ranking in its reply. Pure.

The shapes are those of the projects that are named; scores without a label's name get that of their id (`LABEL_3`).
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeld.comparison.answers import PeerRanking, PeerScore, label_of
from labeld.comparison.errors import UnreadableReplyError
from labeld.errors import InvalidRequestError
from labeld.types import Text

TEXT, PAIR = '"TEXT"', '"PAIR"'
"""Places of the two texts in a body of the operator's own."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The parts of a request that are equal for all texts."""

    model: str
    """The model's name at the peer."""
    truncation: bool = False
    """Whether the peer is asked to cut texts that are too long."""
    tensors: tuple[str, ...] = ("text", "text_pair")
    """Names of a model's input tensors."""


@dataclass(frozen=True, slots=True)
class ClientDialect:
    """One way of asking a server."""

    name: str
    path: str
    """The path that is added to the address of the server; `{model}` is the model's name there."""
    body: Callable[[Text, Asking], Any]
    """The value of a request's JSON."""
    read: Callable[[Any], PeerRanking]
    """The ranking in the value of a reply's JSON; raises UnreadableReplyError."""
    takes_pairs: bool = True


def _hosted(text: Text, asking: Asking) -> Any:
    inputs = text.text if text.pair is None else {"text": text.text, "text_pair": text.pair}
    cut = {"truncation": True} if asking.truncation else {}
    return {"inputs": inputs, "parameters": {"top_k": None, **cut}}


def _predict(text: Text, asking: Asking) -> Any:
    inputs: Any = text.text if text.pair is None else [[text.text, text.pair]]
    return {"inputs": inputs, "truncate": asking.truncation}


def _vllm(text: Text, asking: Asking) -> Any:
    cut = {"truncate_prompt_tokens": -1} if asking.truncation else {}
    return {"model": asking.model, "input": [text.text], **cut}


def _infinity(text: Text, asking: Asking) -> Any:
    return {"model": asking.model, "input": [text.text], "raw_scores": False}


def _infer(text: Text, asking: Asking) -> Any:
    parts = [one for one in text if one is not None]
    if len(parts) > len(asking.tensors):
        raise InvalidRequestError("The peer's model has one tensor of texts, but the input has pairs: see /v2/models.")
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [one]}
        for name, one in zip(asking.tensors, parts, strict=False)
    ]
    return {"inputs": tensors, **({"parameters": {"truncation": True}} if asking.truncation else {})}


def _instances(text: Text, asking: Asking) -> Any:
    instance = text.text if text.pair is None else {"text": text.text, "text_pair": text.pair}
    cut = {"truncation": True} if asking.truncation else {}
    return {"instances": [instance], "parameters": {"return_all_scores": True, **cut}}


def own_dialect(template: str) -> ClientDialect:
    """A dialect of the operator's own, whose body is JSON in which "TEXT" and "PAIR" stand for the texts.

    Raises InvalidRequestError where it is none.
    """
    try:
        value = json.loads(template)
    except (ValueError, RecursionError):
        raise InvalidRequestError(f"--body is not JSON: give one such as {{{TEXT.lower()}: {TEXT}}}.") from None
    if _filled(value, Text("", "")) == _filled(value, Text("text", "")):
        raise InvalidRequestError(f"--body has no {TEXT}, quotes included, where the text goes.")
    has_pair = _filled(value, Text("", "")) != _filled(value, Text("", "pair"))
    return ClientDialect("own body", "", lambda text, _: _filled(value, text), read_ranking, takes_pairs=has_pair)


def _filled(value: Any, text: Text) -> Any:
    """A value of JSON with the texts in their places."""
    if isinstance(value, dict):
        return {key: _filled(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, text) for one in value]
    return text.text if value == TEXT[1:-1] else text.pair if value == PAIR[1:-1] else value


def read_ranking(value: Any) -> PeerRanking:
    """The first ranking of `{"label", "score"}` anywhere in a reply.

    One without labels is an answer, too: of a server whose thresholds no label reaches.
    """
    if value in ([], [[]]):
        return ()
    found = next(_rankings(value), None)
    if not found:
        raise UnreadableReplyError('has no list of {"label", "score"}')
    return _best_first(found)


def _rankings(value: Any) -> Iterator[list[PeerScore]]:
    parts = value if isinstance(value, list) else [value]
    if parts and all(isinstance(one, dict) and "label" in one and "score" in one for one in parts):
        yield [PeerScore(_label(one["label"]), _score(one["score"])) for one in parts]
        return
    for one in parts:
        if isinstance(one, list):
            yield from _rankings(one)
        elif isinstance(one, dict):
            for member in one.values():
                yield from _rankings(member)
        elif isinstance(one, str) and one.startswith(("[{", "{")):  # JSON in a tensor of strings: MLServer's way
            yield from _rankings(_parsed(one))


def _read_classify(value: Any) -> PeerRanking:
    """VLLM's label with the scores of all by their ids, or Infinity's ranking."""
    data = value.get("data") if isinstance(value, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    if isinstance(first, dict) and isinstance(first.get("probs"), list):
        return _by_id(first["probs"], first.get("label"))
    if not data:
        raise UnreadableReplyError("has no list `data`")
    return read_ranking(data)


def _read_infer(value: Any) -> PeerRanking:
    outputs = value.get("outputs") if isinstance(value, dict) else None
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise UnreadableReplyError("has no list `outputs`")
    numbers, strings, ids = (
        next((_flat(one["data"]) for one in outputs if _is_tensor(one, *kinds)), None)
        for kinds in (("FP16", "FP32", "FP64", "BF16"), ("BYTES",), ("INT32", "INT64", "UINT32", "UINT64"))
    )
    if strings and isinstance(strings[0], str) and strings[0].startswith(("[", "{")):
        return read_ranking(strings)
    if numbers:
        return _by_id(numbers, strings[0] if strings else None)
    if best := strings or ids:
        return (PeerScore(_label(best[0]), None),)
    raise UnreadableReplyError("has no tensor of labels or scores with its data as JSON")


def _read_instances(value: Any) -> PeerRanking:
    """A ranking, a label by its name or its id, scores by label, or scores by id."""
    predictions = value.get("predictions") if isinstance(value, dict) else None
    if not isinstance(predictions, list) or not predictions:
        raise UnreadableReplyError("has no list `predictions`")
    first = predictions[0]
    if isinstance(first, str) or (isinstance(first, int) and not isinstance(first, bool)):
        return (PeerScore(_label(first), None),)
    if isinstance(first, list) and first and all(map(_is_number, first)):
        return _by_id(first, None)
    if isinstance(first, dict) and first and all(map(_is_number, first.values())) and "score" not in first:
        return _best_first([PeerScore(_label(key), _score(one)) for key, one in first.items()])
    return read_ranking(predictions)


def _by_id(scores: Sequence[Any], best: Any) -> PeerRanking:
    """Scores by label id, of which the best one has a name where the reply says it."""
    ranking = list(_best_first([PeerScore(label_of(index), _score(one)) for index, one in enumerate(scores)]))
    if not ranking:
        raise UnreadableReplyError("has no scores")
    if best is not None:
        ranking[0] = ranking[0]._replace(label=_label(best))
    return tuple(ranking)


def _best_first(ranking: Sequence[PeerScore]) -> PeerRanking:
    return tuple(sorted(ranking, key=lambda one: -math.inf if one.score is None else -one.score))


def _label(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return label_of(value)
    raise UnreadableReplyError("has a label that is no string")


def _score(value: Any) -> float:
    try:
        score = float(value) if _is_number(value) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        score = math.nan
    if not math.isfinite(score):
        raise UnreadableReplyError("has a score that is no finite number")
    return score


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_tensor(value: Mapping[str, Any], *kinds: str) -> bool:
    return value.get("datatype") in kinds and isinstance(value.get("data"), list) and bool(value["data"])


def _flat(data: Any) -> list[Any]:
    return [item for one in data for item in _flat(one)] if isinstance(data, list) else [data]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


DIALECTS = {
    one.name: one
    for one in (
        ClientDialect("open-inference", "/v2/models/{model}/infer", _infer, _read_infer),
        ClientDialect("kserve", "/v1/models/{model}:predict", _instances, _read_instances),
        ClientDialect("hosted", "/models/{model}", _hosted, read_ranking),
        ClientDialect("tei", "/predict", _predict, read_ranking),
        ClientDialect("vllm", "/classify", _vllm, _read_classify, takes_pairs=False),
        ClientDialect("infinity", "/classify", _infinity, _read_classify, takes_pairs=False),
        ClientDialect("sagemaker", "/invocations", _hosted, read_ranking),
        ClientDialect("vertex", "/vertex", _instances, _read_instances),
        ClientDialect("endpoint", "/", _hosted, read_ranking),
    )
}
"""By the name that `--dialect` takes; `endpoint` is the hosted API at one path, as huggingface's toolkit serves it."""
