"""The Open Inference Protocol (KServe's second one, Triton, MLServer), with its extension for binary tensors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.protocol.decoding import read_value, unpacked
from labeld.protocol.dialects.base import ALL_SCORES, Answered, Call, Dialect, Question
from labeld.protocol.dialects.classification import Classification, best_label, in_order
from labeld.protocol.dialects.errors import EmptyInputError
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.errors import wrong_value
from labeld.protocol.parameters import BIGGEST, PARAMETERS, read_parameters
from labeld.protocol.request import read_body, require_room
from labeld.types import ClassifyRequest, Text

HEADER = "inference-header-content-length"
"""The header with the length of the JSON before binary tensors."""
TEXT, PAIR, LABEL, SCORES = "text", "text_pair", "label", "scores"
VERSION = "1"
"""The version of each model, where none is asked for by the name of a revision."""
BINARY = "binary_data_output"
MOST_DIMENSIONS = 8
_EXAMPLE = '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a text"]}]}'
_SERVED = tuple(name for name in PARAMETERS if name not in {"threshold", "return_windows"})
"""Parameters of the hosted API that leave every text with as many scores as the others."""


@dataclass(frozen=True, slots=True)
class _Infer(Classification):
    request_id: str | None
    outputs: tuple[str, ...]

    @property
    def by_id(self) -> bool:
        return self.asked.parameters.top_k is None

    def reply(self, answered: Answered) -> Any:
        """Best labels with the scores of all by their ids; with `top_k` so many labels with theirs, best first."""
        rankings, labels = answered.texts, answered.labels
        if self.by_id:
            names, shape = [best_label(ranking) for ranking in rankings], [len(rankings)]
            scores = [score for ranking in rankings for score in in_order(ranking, labels)]
        else:
            names = [one["label"] for ranking in rankings for one in ranking]
            scores = [one["score"] for ranking in rankings for one in ranking]
            shape = [len(rankings), len(rankings[0])]
        tensors = {
            LABEL: {"name": LABEL, "datatype": "BYTES", "shape": shape, "data": names},
            SCORES: {
                "name": SCORES,
                "datatype": "FP32",
                "shape": [len(rankings), len(scores) // len(rankings)],
                "data": scores,
            },
        }
        name = {} if self.request_id is None else {"id": self.request_id}
        outputs = [tensors[one] for one in self.outputs]
        return {"model_name": answered.model, "model_version": VERSION, **name, "outputs": outputs}


def parse_infer(call: Call) -> Question:
    """`{"id", "inputs": [{"name", "shape", "datatype": "BYTES", "data"}], "outputs", "parameters"}`.

    A tensor named `text_pair` has the second texts of pairs.
    """
    body = Fields(call.value, _EXAMPLE)
    texts = _texts(body, call.limits)
    parameters = body.object("parameters")
    given = {name: value for name, value in parameters.value.items() if name in _SERVED}
    ignored = tuple(name for name in parameters.value if name not in {*_SERVED, BINARY})
    named, (outputs, of_outputs) = body.optional_text("id"), _outputs(body)
    read = replace(read_parameters(given), threshold=ALL_SCORES)
    asked = ClassifyRequest(texts, read, call.options, (*ignored, *of_outputs, *body.unread()))
    return _Infer(call.model and versioned(call.model, call.version), asked, named, outputs)


def versioned(model: str, version: str | None) -> str:
    """The name of a version of a model: the model itself, or its revision of that name."""
    return model if version in {None, VERSION} else f"{model}@{version}"


def _texts(body: Fields, limits: InputLimits) -> tuple[Text, ...]:
    tensors = body.get("inputs")
    if not isinstance(tensors, list):
        raise wrong_value("inputs", "a list of tensors", tensors, f"send {_EXAMPLE}")
    found: dict[str, list[str]] = {}
    for index, one in enumerate(tensors):
        name, data = _tensor(one, f"inputs[{index}]", limits)
        name = PAIR if name == PAIR else TEXT
        if name in found:
            raise InvalidRequestError(f"`inputs` has several tensors of texts: send one, and `{PAIR}` for pairs.")
        found[name] = data
    texts, pairs = found.get(TEXT), found.get(PAIR)
    if texts is None:
        raise EmptyInputError(f"`inputs` has no tensor of texts: send {_EXAMPLE}.")
    if pairs is not None and len(pairs) != len(texts):
        raise InvalidRequestError(f"There are {len(texts)} texts and {len(pairs)} in `{PAIR}`: send as many of both.")
    return tuple([Text(text, pairs[index] if pairs else None) for index, text in enumerate(texts)])


def _tensor(value: Any, place: str, limits: InputLimits) -> tuple[str, list[str]]:
    """Name and strings of a tensor."""
    fields = Fields(value, _EXAMPLE, place)
    name, datatype = fields.text("name"), fields.text("datatype")
    if datatype != "BYTES":
        raise wrong_value(f"{place}.datatype", "BYTES", datatype, f"send {_EXAMPLE}")
    shape, data = fields.value.get("shape", ...), fields.value.get("data", ...)
    if not isinstance(shape, list) or not 1 <= len(shape) <= MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise wrong_value(
            f"{place}.shape", f"a list of 1 to {MOST_DIMENSIONS} whole numbers", shape, f"send {_EXAMPLE}"
        )
    if not isinstance(data, list):
        raise wrong_value(f"{place}.data", "a list of strings", data, f"send {_EXAMPLE}")
    while data and all(isinstance(one, list) for one in data):  # NOTE: the depth of JSON is bounded
        data = [item for one in data for item in one]
    if math.prod(shape) != len(data):
        raise InvalidRequestError(
            f"`{place}.shape` is {shape}, for {math.prod(shape)} texts, but `{place}.data` has {len(data)}: "
            "send the shape of the data."
        )
    if not data:
        raise EmptyInputError(f"`{place}.data` is empty: send {_EXAMPLE}.")
    return name, Fields({"data": data}, _EXAMPLE, place).texts("data", limits)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= BIGGEST  # NOTE: type, because True is an int


def _outputs(body: Fields) -> tuple[tuple[str, ...], list[str]]:
    """Names of the tensors that are wanted, which are both where none is named, and parameters that mean nothing."""
    wanted = body.get("outputs", None)
    wanted = [] if wanted is None else wanted
    if not isinstance(wanted, list):
        raise wrong_value("outputs", "a list", wanted, f"leave it out, or send {_EXAMPLE}")
    names: list[str] = []
    ignored: list[str] = []
    for index, one in enumerate(wanted):
        place = f"outputs[{index}]"
        fields = Fields(one, _EXAMPLE, place)
        name = fields.text("name")
        if name not in {LABEL, SCORES}:
            raise wrong_value(f"{place}.name", f"{LABEL} or {SCORES}", name)
        names.append(name)
        parameters = fields.object("parameters")
        parameters.get("binary_data")  # outputs are JSON, which whoever asks for binary ones reads as well
        ignored += parameters.unread()
    return tuple(dict.fromkeys(names)) or (LABEL, SCORES), ignored


def read_infer(body: bytes, headers: Mapping[str, str], limits: InputLimits) -> Any:
    """The value of a body, in which binary tensors are their strings; raises as `protocol.request.read_body`."""
    sent = headers.get(HEADER)
    if sent is None:
        return read_body(body, headers, limits)
    body = unpacked(body, headers.get("content-encoding", ""), limits)
    if not (sent.isascii() and sent.isdigit() and len(sent) < 20 and int(sent) <= len(body)):
        raise InvalidRequestError(
            f"The header {HEADER} is {sent[:20]!r}, but must be the length of the JSON in a body of {len(body)} bytes."
        )
    length = int(sent)
    value = read_value(body[:length], "application/json", limits)
    tensors = value.get("inputs") if isinstance(value, dict) else None
    rest = body[length:]
    for index, one in enumerate(tensors if isinstance(tensors, list) else ()):
        parameters = one.get("parameters") if isinstance(one, dict) else None
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(rest):
                place = f"inputs[{index}].parameters.binary_data_size"
                raise wrong_value(place, f"a whole number up to the {len(rest)} bytes that are left", size)
            one["data"] = _strings(rest[:size], f"inputs[{index}]", limits)
            rest = rest[size:]
    if rest:
        raise InvalidRequestError(
            f"The body has {len(rest)} bytes after its last tensor: say in each tensor's `binary_data_size` how long "
            "it is."
        )
    return value


def _strings(data: bytes, place: str, limits: InputLimits) -> list[str]:
    """The elements of a binary tensor of BYTES: each its length in 4 bytes, little-endian, and then itself."""
    found: list[str] = []
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if at + 4 > len(data) or end > len(data):
            raise InvalidRequestError(f"The binary data of `{place}` ends within element {len(found)}: send it whole.")
        try:
            found.append(str(data[at + 4 : end], "utf-8"))
        except UnicodeDecodeError:
            raise InvalidRequestError(f"Element {len(found)} of `{place}` is not UTF-8: send text.") from None
        at = end
        require_room(place, len(found), limits)
    return found


def describe_server(version: str) -> dict[str, Any]:
    """The server's metadata."""
    return {"name": "labeld", "version": version, "extensions": ["binary_tensor_data"]}


def describe_model(name: str, labels: Sequence[str]) -> dict[str, Any]:
    """A model's metadata."""
    return {
        "name": name,
        "versions": [VERSION],
        "platform": "labeld_transformers",
        "inputs": [
            {"name": TEXT, "datatype": "BYTES", "shape": [-1]},
            {"name": PAIR, "datatype": "BYTES", "shape": [-1], "parameters": {"optional": True}},
        ],
        "outputs": [
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
            {"name": SCORES, "datatype": "FP32", "shape": [-1, len(labels)], "parameters": {"labels": list(labels)}},
        ],
    }


DIALECTS = (
    Dialect(
        "open_inference",
        ("/v2/models/{model_id:path}/versions/{version}/infer", "/v2/models/{model_id:path}/infer"),
        parse_infer,
        read=read_infer,
        description="Classifies a tensor of texts, by the Open Inference Protocol.",
        example=_EXAMPLE,
    ),
)
