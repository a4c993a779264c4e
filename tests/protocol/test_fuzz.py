"""Whatever bytes come in, a request or an error of the client's making comes out."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeld.config.settings import InputLimits
from labeld.error_reply import encode_error
from labeld.errors import LabeldError
from labeld.types import ClassifyRequest, Text
from tests.support.requests_read import parse_request

pytestmark = pytest.mark.slow

LIMITS = InputLimits(max_body_bytes=4096, max_json_depth=6, max_json_strings=40, max_inputs=5)

NAMES = ["inputs", "text", "text_pair", "parameters", "options", "top_k", "truncation", "max_length"]
NAMES += ["function_to_apply", "return_all_scores", "use_cache", "wait_for_model", "dont_load_model"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(NAMES), inner), max_leaves=20
)
pieces = st.sampled_from(
    ['{"inputs":', "[", "]", "{", "}", '"', "\\", "\\ud800", ",", ":", "1e999", "NaN", "a", "0", " "]
)
bodies = (
    st.binary(max_size=60)
    | st.lists(pieces, max_size=60).map(lambda parts: "".join(parts).encode())
    | values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"inputs": values}, optional={"parameters": values, "options": values}).map(
        lambda value: json.dumps(value).encode()
    )
)
headers = st.dictionaries(
    st.sampled_from(["content-type", "content-encoding", "x-use-cache", "x-wait-for-model", "x-load-model"]),
    st.sampled_from(["application/json", "text/plain", "true", "0", "identity", "gzip"]) | st.text(max_size=5),
)
queries = st.just("") | st.text(max_size=30) | st.sampled_from(["top_k=1", "top_k=%ff&a", "truncation=&&=;"])


@settings(max_examples=600)
@given(bodies, headers, queries)
def test_only_requests_and_errors_below_500_come_out(body: bytes, fields: dict[str, str], query: str) -> None:
    """Random JSON, random bytes and random headers never bring a 500, and what is read keeps to the limits."""
    try:
        request = parse_request(body, fields, query, LIMITS)
    except LabeldError as error:
        status, sent, reply = encode_error(error, "an-id")
        assert 400 <= status < 500
        assert json.loads(reply)["error"]
        assert all(b"\n" not in value and b"\r" not in value for _, value in sent)
    else:
        assert isinstance(request, ClassifyRequest)
        assert len(request.texts) <= LIMITS.max_inputs
        assert all(part is None or part.encode() is not None for text in request.texts for part in text)
        assert request.parameters.max_length is None or request.parameters.truncation


texts = st.text(max_size=40)
inputs = st.lists(texts | st.tuples(texts, texts.filter(bool)), max_size=5)


@settings(max_examples=200)
@given(inputs, st.booleans(), st.randoms(use_true_random=False))
def test_texts_arrive_as_they_were_sent(sent: list[Any], ascii_only: bool, chance: random.Random) -> None:
    """Every text, escaped or not, single or pair, in whatever order of keys, is read unchanged."""
    items = [one if isinstance(one, str) else {"text": one[0], "text_pair": one[1]} for one in sent]
    fields = list({"inputs": items, "parameters": {}, "options": {}, "model": "x"}.items())
    chance.shuffle(fields)

    body = json.dumps(dict(fields), ensure_ascii=ascii_only).encode()

    expected = tuple(Text(one) if isinstance(one, str) else Text(*one) for one in sent)
    assert expected == parse_request(body, {}, "", InputLimits()).texts
