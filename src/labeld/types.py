"""Plain data that the packages exchange, with no behaviour beyond small properties."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeld.literals import Aggregate, FunctionName, Side, TruncationStrategy

Threshold = float | tuple[tuple[str, float], ...]
"""The least score that a ranking keeps: one for all labels, or one for each of some labels."""


class Text(NamedTuple):
    """One input: a string, or a pair of strings.

    Where the hosted API reads texts, a `pair` of `""` was already made `None` (contract section 5). Elsewhere it is a
    pair with an empty text, as in transformers' lists.
    """

    text: str
    pair: str | None = None


class LabelScore(NamedTuple):
    """One label of a ranking. `score` is a float32 value widened to a Python float."""

    label: str
    score: float


Ranking = list[LabelScore]
"""The labels of one text, best score first."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """A request's parameters of the ranking and of the tokenizer (contract section 3.3)."""

    top_k: int | None = None
    """At most this many labels; `None` = all of them."""
    function_to_apply: FunctionName | None = None
    """`None` = the model's own default."""
    truncation: TruncationStrategy | None = None
    """`None` = a text that is too long is an error."""
    max_length: int | None = None
    """Tokens of a text that is truncated, or of a window, special tokens included; `None` = as the model takes."""
    max_pair_tokens: int | None = None
    """Tokens of a pair's second text that truncation keeps, at most; `None` = as many as there is room for."""
    truncation_side: Side | None = None
    """The side of a text that truncation cuts off; windows begin at the other. `None` = the tokenizer's own."""
    stride: int | None = None
    """Tokens that two neighbouring windows of a text share; `None` = a text is not read in windows."""
    aggregate: Aggregate | None = None
    """The score of a label from its scores in the windows; `None` = the best. Means nothing without windows."""
    return_windows: bool = False
    """True when the ranking of each window is wanted, too. Means nothing without windows."""
    threshold: Threshold | None = None
    """Labels of a lower score are left out; `None` = none are."""
    by_id: bool = False
    """True when all labels are wanted in the order of their ids, which their names cannot tell where two are equal."""


@dataclass(frozen=True, slots=True)
class Options:
    """The request's options, from headers or from `options` in the body; a header wins (contract section 3.3)."""

    use_cache: bool = True
    wait_for_model: bool = False
    load_model: bool = True


class ClassifyRequest(NamedTuple):
    """The content of one HTTP call: any number of texts, one set of parameters."""

    texts: tuple[Text, ...]
    parameters: Parameters = Parameters()
    options: Options = Options()
    ignored: tuple[str, ...] = ()
    """Names of parameters that were sent and that mean nothing here; answered with an `X-HF-Warning` header."""

    @property
    def characters(self) -> int:
        """Code points of all texts, pairs included (`x-compute-characters`, contract section 7)."""
        return sum(len(text.text) + len(text.pair or "") for text in self.texts)


class WindowRanking(NamedTuple):
    """The ranking of one window of a text."""

    start: int
    """Its first character's position in the text; of a pair, in the text that is read in windows."""
    end: int
    """The position after its last character."""
    ranking: Ranking


class ScoredText(NamedTuple):
    """One text's ranking, and what the model has read for it."""

    ranking: Ranking
    windows: tuple[WindowRanking, ...]
    """Empty where they were not asked for."""
    tokens: int
    """Tokens of all windows, special tokens included."""
    window_count: int
    cut_characters: int
    """Characters that truncation left out."""


class Answer(NamedTuple):
    """One text's finished answer, as it is cached."""

    encoded: bytes
    """Its ranking as JSON (`protocol.response.encode_answer`)."""
    seconds: float
    """Seconds that the request which computed it took."""
    tokens: int = 0
    """Tokens that the model has read, special tokens included."""
    window_count: int = 1
    """Windows in which the text was read."""
    cut_characters: int = 0
    """Characters that truncation left out."""
    top_label: str | None = None
    """The first label of its ranking, None where that is empty; kept because parsing the JSON takes 8 to 11 µs."""
    top_score: float = 0.0


@dataclass(slots=True)
class Timings:
    """Seconds of a request's steps, of several texts those of the slowest; 0 for what another request had begun."""

    tokenization: float = 0.0
    queue: float = 0.0
    """From the end of tokenization to the start of the batch."""
    inference: float = 0.0
    total: float = 0.0
    """From when the head of the request had arrived."""


class ClassifyReply(NamedTuple):
    """The answer to a request, ready to be sent."""

    answers: tuple[Answer, ...]
    """In the order of the texts."""
    revision: str
    """40 hex digits of the model's revision (`x-sha`); empty for the answers of several models."""
    compute_seconds: float
    """Seconds from tokenising to the last ranking, at the time of computing (`x-compute-time`)."""
    characters: int
    ignored: tuple[str, ...] = ()
    compute_type: Literal["cpu", "gpu", "cache"] = "cpu"
    timings: Timings | None = None
    """None for a reply from the cache."""
    model: str = ""
    """The model that answered, where an alias has one of two answer (`x-model`); else empty."""


Logits = NDArray[np.float32]
"""A model's output before a function makes scores of it: float32 [texts, labels], or [labels] of one text."""


class EncodedText(NamedTuple):
    """One text as the model reads it: token ids and token types, each int32 [tokens]."""

    ids: NDArray[np.int32]
    type_ids: NDArray[np.int32]


class EncodedInput(NamedTuple):
    """One input of a request as the model reads it: in one piece, or in overlapping windows."""

    windows: tuple[EncodedText, ...]
    spans: tuple[tuple[int, int], ...] = ()
    """First character of each window, and the one after its last; empty where windows were not asked for."""
    cut_characters: int = 0
    """Characters that truncation left out."""
