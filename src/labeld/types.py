"""Plain data that the packages exchange, with no behaviour beyond small properties."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FunctionName = Literal["sigmoid", "softmax", "none"]
"""Names of the functions from logits to scores (`function_to_apply`)."""

Precision = Literal["float32", "bfloat16", "int8"]
"""Number format of a model's computation; int8: the matrices of its blocks in 8 bits, the rest in float32."""

TruncationStrategy = Literal["longest_first", "only_first", "only_second"]
"""The text of a pair that is shortened, by the names of transformers' tokenizers."""


class Text(NamedTuple):
    """One input: a string, or a pair of strings. A `pair` of `""` was already made `None` (contract section 5)."""

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
    """Tokens to keep when truncating, special tokens included; `None` = as many as the model takes."""


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


class Answer(NamedTuple):
    """One text's finished answer, as it is cached."""

    encoded: bytes
    """Its ranking as JSON (`protocol.response.encode_ranking`)."""
    seconds: float
    """Seconds that the request which computed it took."""


class ClassifyReply(NamedTuple):
    """The answer to a request, ready to be sent."""

    encoded: tuple[bytes, ...]
    """The ranking of each text as JSON, in the order of the texts (`protocol.response.encode_ranking`)."""
    revision: str
    """40 hex digits of the model's revision (`x-sha`)."""
    compute_seconds: float
    """Seconds from tokenising to the last ranking, at the time of computing (`x-compute-time`)."""
    characters: int
    ignored: tuple[str, ...] = ()
    compute_type: Literal["cpu", "gpu", "cache"] = "cpu"


Logits = NDArray[np.float32]
"""A model's output before a function makes scores of it: float32 [texts, labels], or [labels] of one text."""


class EncodedText(NamedTuple):
    """One text as the model reads it: token ids and token types, each int32 [tokens]."""

    ids: NDArray[np.int32]
    type_ids: NDArray[np.int32]
