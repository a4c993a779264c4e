"""The interface of a dialect: a body is parsed into a question, which becomes a request, and then a reply's value."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from labeld.config.models_file import Windows
from labeld.config.settings import InputLimits
from labeld.error_reply import ErrorShape
from labeld.protocol.request import read_body
from labeld.types import ClassifyRequest, Options, Ranking

ALL_SCORES = -math.inf
"""A threshold that every score reaches: for questions whose answers are no rankings, for which an alias's are."""


class Call(NamedTuple):
    """One HTTP call, as a dialect reads it."""

    value: Any
    """The value of the body (`protocol.request.read_body`); None where there is none."""
    headers: Mapping[str, str]
    """By lower-case name."""
    model: str | None
    """The model that the path names."""
    version: str | None
    """Its version that the path names."""
    limits: InputLimits
    options: Options
    """Those of the headers, and of `options` in the body."""
    request_id: str
    created: int
    """Unix time in seconds."""


class Answered(NamedTuple):
    """The answers to the texts of a question's request."""

    texts: Sequence[Any]
    """For each text its ranking as a list of `{"label", "score"}`, or `{"labels", "windows"}`, decoded from JSON."""
    labels: Sequence[str]
    """The model's, in the order of their ids."""
    model: str
    """The name that was asked for, or the id of the model that answers by default."""
    tokens: int
    """Tokens that the model has read for these answers, now or when they were computed."""


class Question(Protocol):
    """One parsed body."""

    @property
    def model(self) -> str | None:
        """The model that it names."""
        ...

    @property
    def role(self) -> "Role":
        """The part that a model plays which no name was given for."""
        ...

    def windowed(self, windows: Windows) -> "Question":
        """The question as an alias with windows reads it, where it says nothing of long texts itself."""
        ...

    def request(self, labels: Sequence[str]) -> ClassifyRequest:
        """The texts to classify by a model with these labels; raises InvalidRequestError, WrongTaskError."""
        ...

    def reply(self, answered: Answered) -> Any:
        """The value of the reply's JSON."""
        ...

    def rankings(self, answered: Answered) -> list[Ranking]:
        """The answers in the reply as rankings, by which two models can be compared."""
        ...


Role = Literal["default", "reranker", "zero_shot"]
"""The part of a model: the default one, or that of the setting of this name."""


Asked = TypeVar("Asked")
"""What the body of a dialect is parsed into: a Question, or a guard's (`protocol.dialects.guard.Check`)."""


@dataclass(frozen=True, slots=True)
class Dialect(Generic[Asked]):
    """One shape of requests and replies."""

    name: str
    paths: tuple[str, ...]
    """Templates of the paths of its POST route, as Starlette reads them; `{model_id:path}` is a model's name."""
    parse: Callable[[Call], Asked]
    """Raises InvalidRequestError naming the field that is wrong."""
    error: ErrorShape | None = None
    """None for the hosted API's `{"error": …}`."""
    read: Callable[[bytes, Mapping[str, str], InputLimits], Any] = field(default=read_body, kw_only=True)
    """The value of a body with these headers; raises as `protocol.request.read_body`."""
    description: str = field(default="", kw_only=True)
    """One sentence for the API's description."""
    example: str = field(default="", kw_only=True)
    """The JSON of a small body that is answered, for errors and for the API's description."""
