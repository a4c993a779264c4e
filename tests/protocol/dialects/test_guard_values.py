"""Whatever a body of a guard's dialect is, it is parsed or said to be wrong, and what is parsed can be answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.interface import Interface
from labeld.protocol.dialects.base import Call, Dialect
from labeld.protocol.dialects.guard import DIALECTS, Check
from labeld.protocol.verdict import Finding, Verdict
from labeld.types import Options

pytestmark = pytest.mark.slow

MEMBERS = (
    *("input", "contents", "texts", "structured_messages", "model", "detector_params", "threshold", "images"),
    *("label_thresholds", "safe_labels", "content", "type", "text", "additional_provider_specific_params", "policy"),
)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.sampled_from(["", "text"]),
    lambda one: some.lists(one, max_size=3) | some.dictionaries(some.sampled_from(MEMBERS), one, max_size=4),
    max_leaves=12,
)


def parsed(dialect: Dialect[Check], value: Any) -> Check | str:
    """What a body asks, or the sentence that says what is wrong with it."""
    try:
        return dialect.parse(Call(value, {}, None, None, InputLimits(), Options(), "some-id", 1))
    except InvalidRequestError as error:
        return error.sentence(Interface.HTTP)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
@given(value=JSON)
def test_any_body(dialect: Dialect[Check], value: Any) -> None:
    """A check of texts, whose reply is JSON with a part for each, or a sentence."""
    check = parsed(dialect, value)
    if isinstance(check, str):
        assert len(check) > 10
        return
    assert all(isinstance(one, str) for one in check.texts)
    found = Verdict({"a": 0.9}, (Finding(0, 1, "x", "a", 0.9),))
    reply = json.loads(json.dumps(check.reply("default", [found] * len(check.texts)), allow_nan=False))
    if dialect.name == "detector":
        assert len(check.texts) == len(reply)
    elif dialect.name == "moderation":
        assert all(one["flagged"] for one in reply["results"])
    else:
        assert ("BLOCKED" if check.texts else "NONE") == reply["action"]
