"""Body, headers and query -> ClassifyRequest: contract sections 2.3 and 3. Replies are written by response.py.

Pure: bytes and headers in, plain data out, and InvalidRequestError (a few relatives of it included) for everything that
is not a request. Every sentence names the field, what is allowed there, and the way out.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.protocol.decoding import literal, read_value, unpacked
from labeld.protocol.errors import TooManyTextsError, kind, wrong_value
from labeld.protocol.options import BODY_OPTIONS, read_options
from labeld.protocol.parameters import PARAMETERS, read_parameters
from labeld.types import ClassifyRequest, Options, Parameters, Text

OF_TEI = ("truncate", "truncation_direction", "raw_scores")
"""Options of text-embeddings-inference beside `inputs`, which the hosted API does not have."""
_PAIR = '{"text": "...", "text_pair": "..."}'
_DEFAULT_PARAMETERS = Parameters()


def read_body(body: bytes, headers: Mapping[str, str], limits: InputLimits) -> Any:
    """The value of a body: JSON, the fields of a form, or raw text (contract section 3.1).

    `headers` has lower-cased names. Raises InvalidRequestError, UnsupportedEncodingError or BodyTooLargeError, and
    nothing else.
    """
    body = unpacked(body, headers.get("content-encoding", ""), limits)
    return read_value(body, headers.get("content-type", ""), limits)


def request_of(value: Any, headers: Mapping[str, str], query: str, limits: InputLimits) -> ClassifyRequest:
    """The request that the value of a body is: contract section 3, and section 2.3 for what old clients send.

    `headers` has lower-cased names; `query` is the raw query string. Raises InvalidRequestError, and nothing else.
    """
    envelope = value if isinstance(value, dict) else {"inputs": _bare_input(value)}
    ignored: list[str] = []
    texts = _texts(envelope, limits, ignored)
    if len(envelope) > 1:
        ignored += [name for name in OF_TEI if envelope.get(name) is not None]
    given = _given_parameters(envelope, query, ignored)
    parameters = read_parameters(given) if given else _DEFAULT_PARAMETERS
    ignored += [name for name in given if name not in PARAMETERS]
    options = read_options(headers, _given_options(envelope, ignored))
    return ClassifyRequest(texts, parameters, options, tuple(dict.fromkeys(ignored)))


def _bare_input(value: Any) -> Any:
    """JSON that is not an object is itself the input, a number as its string (contract section 3.1)."""
    if value is None or isinstance(value, bool):
        raise InvalidRequestError(f'The body is {kind(value)}: send {{"inputs": "some text"}}.')
    return str(value) if isinstance(value, int | float) else value


def _texts(envelope: dict[str, Any], limits: InputLimits, ignored: list[str]) -> tuple[Text, ...]:
    """The texts of `inputs` (contract section 3.2); keys beside text and text_pair are added to `ignored`."""
    if "inputs" not in envelope:
        raise InvalidRequestError('The body has no `inputs`: send {"inputs": "some text"}.')
    inputs = envelope["inputs"]
    if not isinstance(inputs, list):
        return (read_text(inputs, "inputs", ignored),)
    require_room("inputs", len(inputs), limits)
    return tuple([read_text(item, f"inputs[{index}]", ignored) for index, item in enumerate(inputs)])


def read_text(item: Any, place: str, ignored: list[str]) -> Text:
    """One item of `inputs`: a string or a pair (contract section 3.2); raises InvalidRequestError."""
    if isinstance(item, str):
        return Text(item)
    if isinstance(item, dict):
        text, pair = item.get("text"), item.get("text_pair")
        if not isinstance(text, str):
            raise wrong_value(f"{place}.text", "a string", item.get("text", ...), f"send {_PAIR} for each input")
        if pair is not None and not isinstance(pair, str):
            raise wrong_value(f"{place}.text_pair", "a string", pair, f"send {_PAIR} for each input")
        if len(item) > (2 if "text_pair" in item else 1):
            ignored += [f"inputs.{name}" for name in item if name not in ("text", "text_pair")]
        return Text(text, pair or None)
    if isinstance(item, list):
        raise InvalidRequestError(f"`{place}` is a list, and no text: send {_PAIR} for a pair of texts.")
    raise wrong_value(place, "a string", item, f'send "some text", or {_PAIR} for a pair of texts')


def require_room(place: str, count: int, limits: InputLimits) -> None:
    """Raises TooManyTextsError where a list has more texts than a request may have."""
    if count > limits.max_inputs:
        raise TooManyTextsError(
            f"`{place}` has {count} texts, more than the limit of {limits.max_inputs} (setting max_inputs): send "
            "several requests."
        )


def _given_parameters(envelope: dict[str, Any], query: str, ignored: list[str]) -> dict[str, Any]:
    """`parameters` of the body, else the known names among the query parameters (contract section 3.1).

    Known names beside `inputs` count as well. Names in the query that mean nothing there are added to `ignored`: where
    the body has `parameters` those that it does not repeat, and options, which only headers and the body have.
    """
    queried = parse_qsl(query, keep_blank_values=True) if query else []
    if "parameters" in envelope:
        given = _object(envelope, "parameters")
        ignored += [f"query.{one}" for one, value in queried if one in PARAMETERS and given.get(one) != literal(value)]
    else:
        given = _queried(queried)
    ignored += [f"query.{one}" for one, _ in queried if one in BODY_OPTIONS]
    return _with_those_beside(given, PARAMETERS, envelope, ignored)


def _given_options(envelope: dict[str, Any], ignored: list[str]) -> dict[str, Any]:
    """`options` of the body, and known names beside `inputs`. Parameters among them are added to `ignored`."""
    given = _object(envelope, "options")
    if given:
        ignored += [f"options.{name}" for name in PARAMETERS if name in given]
    return _with_those_beside(given, BODY_OPTIONS, envelope, ignored)


def _with_those_beside(
    given: dict[str, Any], names: Iterable[str], envelope: dict[str, Any], ignored: list[str]
) -> dict[str, Any]:
    """What is given, and what stands beside `inputs` by these names, where several clients put it.

    Where what is given says otherwise, that wins, and the name is added to `ignored`.
    """
    if len(envelope) == 1:
        return given
    beside = {name: envelope[name] for name in names if name in envelope}
    ignored += [name for name, value in beside.items() if name in given and given[name] != value]
    return beside | given


def _queried(queried: list[tuple[str, str]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in queried:
        if name in given:
            raise InvalidRequestError(f"The query parameter {name} is given twice: give it once.")
        if name in PARAMETERS:
            given[name] = literal(value)
    return given


def options_of(value: Any, headers: Mapping[str, str]) -> Options:
    """The options of a request with this body and headers; raises InvalidRequestError."""
    return read_options(headers, _given_options(value, []) if isinstance(value, dict) else {})


def ignored_query(query: str) -> list[str]:
    """The names in a raw query that mean something in the hosted API's, where a dialect reads only the body."""
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)] if query else []
    return [f"query.{name}" for name in dict.fromkeys(names) if name in PARAMETERS or name in BODY_OPTIONS]


def _object(envelope: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under this name; none and null are an empty one."""
    value = envelope.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_value(name, "an object", value)
    return value
