"""How long texts are read: cut, or in windows, by members that every dialect takes beside its own. Pure."""

from dataclasses import replace
from typing import get_args

from labeld.literals import Aggregate, Side, TruncationStrategy
from labeld.protocol.dialects.fields import Fields
from labeld.types import Parameters

CUT = Parameters(truncation="longest_first")
"""How dialects read that cut long texts unless they are asked not to; a header says how much was cut."""


def cuts_by_default(parameters: Parameters, cut: Parameters = CUT) -> bool:
    """True where long texts are cut as in `cut` for want of another wish, so that an alias's windows may read them."""
    plain = replace(parameters, function_to_apply=cut.function_to_apply, aggregate=None, return_windows=False)
    return plain == cut


def windows(fields: Fields, parameters: Parameters, *, of: TruncationStrategy | None = None) -> Parameters:
    """The parameters with `stride`, `max_length` and `aggregate`.

    `of` says which text of a pair is read in windows, the longer one where it is None.
    """
    stride, length = fields.number("stride", minimum=0), fields.number("max_length")
    aggregate: Aggregate | None = fields.one_of("aggregate", get_args(Aggregate))  # type: ignore[assignment]
    if stride is not None:
        parameters = replace(parameters, truncation=of)
    elif length is not None and parameters.truncation is None:
        parameters = replace(parameters, truncation="longest_first")
    elif length is None:
        return parameters if aggregate is None else replace(parameters, aggregate=aggregate)
    return replace(parameters, stride=stride, max_length=length, aggregate=aggregate)


def tei_cut(fields: Fields) -> Parameters:
    """TEI's `truncate` and `truncation_direction`."""
    side: Side = "left" if fields.one_of("truncation_direction", ("Left", "Right")) == "Left" else "right"
    return replace(CUT, truncation_side=side) if fields.flag("truncate") else Parameters()


def vllm_cut(fields: Fields) -> Parameters:
    """VLLM's `truncate_prompt_tokens`: so many tokens, or -1 for as many as the model takes.

    Where the body says otherwise how long texts are read it means nothing, and stays unread.
    """
    if "stride" in fields or "max_length" in fields:
        return Parameters()
    most = fields.number("truncate_prompt_tokens", minimum=-1)
    return replace(CUT, max_length=most if most > 0 else None) if most else Parameters()
