"""Body bytes -> value: decompressed, then read as JSON, a form, or raw text (contract section 3.1).

Pure. A body is read as what it looks like, or refused: nothing that was meant as JSON or as a form is classified as a
text (decision 20).
"""

import re
import zlib
from typing import Any
from urllib.parse import parse_qsl

from labeld.config.settings import InputLimits
from labeld.errors import BodyTooLargeError, InvalidJsonError, InvalidRequestError, UnsupportedEncodingError
from labeld.protocol import strict_json
from labeld.protocol.damaged_json import KNOWN, is_damaged_json

GZIP = ("gzip", "x-gzip")
MAX_MEMBERS = 100
"""Members of a gzip: each costs a copy of the rest, and 2 MB hold 100,000 empty ones. Clients send one."""
FORM = "application/x-www-form-urlencoded"
INPUT_FIELDS = ("inputs", "inputs[]")
"""Fields of a form that are texts, in the spellings of HTML, PHP and axios."""

_NAME = r"[A-Za-z_][A-Za-z0-9_.%\[\]-]*"
_FORM = re.compile(rf"{_NAME}=[^\s&]*(?:&{_NAME}=[^\s&]*)*", re.ASCII)
"""Fields as a browser or curl encodes them: spaces are + or %20. NOTE: a sentence has spaces, so it is none."""
_TEXTS_FIELD = re.compile(
    rf"(?:{_NAME}=[^&]*+&)*(?:inputs(?:(?:\[|%5B)\d*(?:\]|%5D))?|text|text_pair)=", re.ASCII | re.IGNORECASE
)
"""The beginning of a form that has texts, encoded or not."""
_FIELD_NAME = re.compile(rf"(?:^|&)({_NAME})=", re.ASCII)
_ENCODED_JSON = re.compile(r"%7B|%5B", re.IGNORECASE)
"""The beginning of JSON that was sent as if it were a form: `curl --data-urlencode`, URLSearchParams."""
_OBJECT_OR_LIST = re.compile(r"[\s\x00-\x1f\u00ad\u200b-\u200f\u2060\ufeff]*+[{\[]")
"""The beginning of an object or a list, also behind characters that nobody sees."""
_JSON_STARTS = frozenset('"-0123456789tfn')
"""First characters of a bare JSON value: a string, a number, true, false or null."""


def unpacked(body: bytes, encoding: str, limits: InputLimits) -> bytes:
    """The body without its Content-Encoding, of which gzip is read; at most `max_body_bytes` long.

    Raises UnsupportedEncodingError, BodyTooLargeError, or InvalidRequestError for what is not gzip to its end.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        if len(body) > limits.max_body_bytes:
            raise BodyTooLargeError(limits.max_body_bytes)
        return body
    if encoding not in GZIP:
        raise UnsupportedEncodingError(encoding[:60])
    parts: list[bytes] = []
    room = limits.max_body_bytes
    try:
        while body:  # NOTE: gzip may be several members, one after the other
            if len(parts) == MAX_MEMBERS:
                raise InvalidRequestError(f"The gzip of the body has more than {MAX_MEMBERS} members: send one.")
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            part = member.decompress(body, room + 1)
            if len(part) > room:
                raise BodyTooLargeError(limits.max_body_bytes)
            if not member.eof:
                raise InvalidRequestError("The body ends before its gzip does: send it whole.")
            parts.append(part)
            room -= len(part)
            body = member.unused_data
    except zlib.error:
        raise InvalidRequestError("The body is not gzip, as its Content-Encoding says: send it uncompressed.") from None
    return b"".join(parts)


def read_value(body: bytes, content_type: str, limits: InputLimits) -> Any:
    """The value of a body of any Content-Type: parsed JSON, the fields of a form, or raw text as a str.

    Raises InvalidRequestError.
    """
    try:
        text = str(body, "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(str(error)) from None  # contract section 6.2 records exactly this text
    start = text.lstrip()[:1]
    if not start:
        raise InvalidRequestError('The body is empty: send {"inputs": "some text"}.')
    media_type = content_type.partition(";")[0].strip().lower()
    may_be_raw = not media_type or media_type.startswith("text/") or media_type == FORM
    if not may_be_raw or _OBJECT_OR_LIST.match(text) or is_damaged_json(text):
        return _encoded_once(strict_json.loads(text, limits), limits)
    if _is_form(text.strip(), media_type):
        return _form(text.strip(), limits)
    if start in _JSON_STARTS:
        try:
            value = strict_json.loads(text, limits)
        except InvalidJsonError:
            return text
        return _encoded_once(value, limits)
    return text


def _encoded_once(value: Any, limits: InputLimits) -> Any:
    """The value of JSON; raises InvalidRequestError where it is a string that is a request itself."""
    if not isinstance(value, str) or not _OBJECT_OR_LIST.match(value):
        return value
    try:
        inner = strict_json.loads(value, limits)
    except InvalidRequestError:
        return value
    texts = inner if isinstance(inner, list) else []
    if "inputs" in inner or (texts and all(isinstance(one, str | dict) for one in texts)):
        raise InvalidRequestError(
            'The body is JSON that was encoded twice: send {"inputs": "some text"} itself, or a text that has brackets '
            "as its `inputs`."
        )
    return value


def _is_form(text: str, media_type: str) -> bool:
    """Whether it is a form by what it looks like, under a type that says so; under none also by a name that is known.

    A text may be named `inputs` or `inputs[0]`, and a parameter `top_k` or `parameters[top_k]`.
    """
    if media_type not in {"", FORM}:
        return False
    if _TEXTS_FIELD.match(text) or _ENCODED_JSON.match(text):
        return True
    if not _FORM.fullmatch(text):
        return False
    names = (re.split(r"[.\[%]", name, maxsplit=1)[0] for name in _FIELD_NAME.findall(text))
    return media_type == FORM or not KNOWN.isdisjoint(names)


def _form(text: str, limits: InputLimits) -> dict[str, Any]:
    """The envelope that a form's fields mean: `inputs` or `inputs[]` are the texts, other fields are parameters."""
    if re.search(r"\s", text):  # NOTE: where it ends could only be guessed, since & and + may be of the text
        raise InvalidRequestError(
            "The form has spaces, so its fields are not encoded: use curl --data-urlencode 'inputs=some text', or send "
            'JSON, {"inputs": "some text"}.'
        )
    try:
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=limits.max_json_strings)
    except ValueError:  # UnicodeDecodeError is one
        raise InvalidRequestError(
            f"The form is not UTF-8, or has more than {limits.max_json_strings} fields (setting max_json_strings): "
            'send JSON, {"inputs": "some text"}.'
        ) from None
    texts = [value for name, value in fields if name in INPUT_FIELDS]
    if not texts:
        raise InvalidRequestError(
            "The form has no field `inputs`: send inputs=some+text, or JSON with Content-Type: application/json, or "
            "text that is no form with Content-Type: text/plain."
        )
    others = [(name, value) for name, value in fields if name not in INPUT_FIELDS]
    if len(dict(others)) < len(others):
        raise InvalidRequestError("The form has a field twice that is not `inputs`: send it once.")
    is_list = len(texts) > 1 or any(name == "inputs[]" for name, _ in fields)
    envelope: dict[str, Any] = {"inputs": texts if is_list else texts[0]}
    if others:
        envelope["parameters"] = {name: literal(value) for name, value in others}
    return envelope


def literal(value: str) -> float | bool | str:
    """The value of a query parameter or a form's field as era B reads it: a number, true or false, or itself."""
    if re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", value):
        return float(value)
    return {"true": True, "false": False}.get(value.lower(), value)
