"""The Python API: a model that classifies in this process, packed as the server packs, without a server.

A `Classifier` owns an event loop on a thread of its own, so it works the same in a script, in a notebook, inside a
running event loop and from several threads. It changes nothing of the process that it lives in.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Coroutine, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from itertools import islice
from os import PathLike, getpid
from typing import Any, Self, TypedDict, TypeVar, Unpack, overload

from labeld.config.load import load
from labeld.config.settings import Queue, Settings
from labeld.errors import InvalidRequestError, InvalidTextError, UnavailableError
from labeld.protocol.parameters import read_parameters
from labeld.service.in_process import InProcessService
from labeld.types import FunctionName, Parameters, Precision, Ranking, Text, TruncationStrategy

Input = str | tuple[str, str]
"""A text, or a pair of texts such as a query and a passage."""

Inputs = list[str] | list[tuple[str, str]] | list[Input]
"""Several texts. NOTE: a list, because a tuple is a pair."""

CHUNK = 64
"""Texts that are tokenised together."""
CHUNKS_IN_FLIGHT = 6
"""Chunks that are read from an iterable before the first is answered: enough to keep every thread busy."""
UNBOUNDED = Queue(queue_seconds=1e9, queue_timeout=1e9)
"""No limits of the queue: the classifier itself bounds the texts in flight."""

T = TypeVar("T")


class RankingParameters(TypedDict, total=False):
    """Parameters of rankings, as in a request to the server; None is the default."""

    top_k: int | None
    """At most this many labels; by default all."""
    function_to_apply: FunctionName | None
    """sigmoid, softmax or none; by default the model's own."""
    truncation: bool | TruncationStrategy | None
    """True, or a strategy of transformers' tokenizers; by default a text that is too long is an error."""
    max_length: int | None
    """Tokens to keep when truncating, special tokens included; by itself it switches truncation on."""


class Classifier:
    """One text classifier, loaded when it is made. Safe to use from several threads.

    Use it as a context manager, or `close` it. A pickled copy opens its model anew in the process that unpickles it.
    """

    def __init__(  # noqa: PLR0913  # settings, by their names
        self,
        model: str | None = None,
        *,
        precision: Precision | str | None = None,
        threads: int | None = None,
        models_dir: str | PathLike[str] | None = None,
        cache_dir: str | PathLike[str] | None = None,
        store_dir: str | PathLike[str] | None = None,
        offline: bool | None = None,
        hf_endpoint: str | None = None,
        hf_token: str | None = None,
    ) -> None:
        """Opens a model, downloading it if it is not on this machine; None is the bundled labeld/sentiment-en.

        `model` is `org/name` or `org/name@revision`. The other parameters are the settings of the same names; one that
        is None has the value of its environment variable (`LABELD_PRECISION`, `HF_TOKEN`, …) or its default.
        Raises LabeldError: SettingsError for an impossible value, and what loading a model raises.
        """
        given = {
            "models": None if model is None else [model],
            "precision": precision,
            "threads": threads,
            "models_dir": models_dir,
            "cache_dir": cache_dir,
            "store_dir": store_dir,
            "offline": offline,
            "hf_endpoint": hf_endpoint,
            "hf_token": hf_token,
        }
        self._start(load(given, name_of=str))

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The first model of the settings' `models`, with every other setting that concerns loading and computing."""
        classifier = cls.__new__(cls)
        classifier._start(settings)  # noqa: SLF001  # its own
        return classifier

    @property
    def model_id(self) -> str:
        """`org/name`, with `@revision` if one was asked for."""
        return self._model.model_id

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids."""
        return self._model.labels

    @property
    def revision(self) -> str:
        """40 hex digits: the Hub's commit, or a hash over the files of a local folder."""
        return self._model.revision

    @property
    def precision(self) -> Precision:
        """The precision in which the model computes; with `precision="auto"` the one that the trial has chosen."""
        return self._model.precision

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest text that is taken without truncation, special tokens included."""
        return self._model.max_tokens

    @overload
    def __call__(
        self,
        inputs: Input,
        **parameters: Unpack[RankingParameters],
    ) -> Ranking: ...

    @overload
    def __call__(
        self,
        inputs: Inputs,
        **parameters: Unpack[RankingParameters],
    ) -> list[Ranking]: ...

    def __call__(self, inputs: Input | Inputs, **parameters: Unpack[RankingParameters]) -> Ranking | list[Ranking]:
        """The ranking of a text or of a pair, best label first; for a list the rankings, in its order.

        The parameters are those of RankingParameters. Raises LabeldError for the first text that cannot be
        classified: its sentence names the text by its position.
        """
        if isinstance(inputs, str | tuple):
            (ranking,) = self.stream([inputs], **parameters)
            return ranking
        return list(self.stream(inputs, **parameters))

    def stream(
        self,
        inputs: Iterable[Input],
        **parameters: Unpack[RankingParameters],
    ) -> Iterator[Ranking]:
        """The rankings of many texts in their order, while the next ones are read; a few hundred are in flight.

        Parameters and errors are those of calling the classifier. An iterator that is closed early cancels what waits.
        """
        return self._stream(inputs, _parameters(parameters))

    @overload
    async def aclassify(
        self,
        inputs: Input,
        **parameters: Unpack[RankingParameters],
    ) -> Ranking: ...

    @overload
    async def aclassify(
        self,
        inputs: Inputs,
        **parameters: Unpack[RankingParameters],
    ) -> list[Ranking]: ...

    async def aclassify(
        self,
        inputs: Input | Inputs,
        **parameters: Unpack[RankingParameters],
    ) -> Ranking | list[Ranking]:
        """Classifies without blocking the caller's event loop, whichever that is; a cancelled call costs no more work.

        Parameters, results and errors are those of calling the classifier.
        """
        is_one = isinstance(inputs, str | tuple)
        texts: Iterable[Input] = [inputs] if isinstance(inputs, str | tuple) else inputs
        found: list[Ranking] = []
        with closing(self._in_order(texts, _parameters(parameters))) as chunks:
            for rankings in chunks:
                answered: list[Ranking] = await asyncio.wrap_future(rankings)
                found += answered
        return found[0] if is_one else found

    def close(self) -> None:
        """Gives the model's memory back; a call after that raises UnavailableError. Closing twice is fine."""
        self._finalizer()

    def __enter__(self) -> Self:
        """The classifier itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def __getstate__(self) -> Settings:
        """Its settings, the access token of the Hub included."""
        return self._settings

    def __setstate__(self, settings: Settings) -> None:
        """Opens the model in this process."""
        self._start(settings)

    def __repr__(self) -> str:
        """Names the model."""
        state = "" if self._finalizer.alive else ", closed"
        return f"<Classifier {self.model_id} in {self.precision}{state}>"

    def _start(self, settings: Settings) -> None:
        settings = replace(settings, queue=UNBOUNDED)
        self._settings, self._pid = settings, getpid()
        host = InProcessService(settings)
        self._finalizer = weakref.finalize(self, host.stop)
        self._host = host
        try:
            self._model = host.start()
        except BaseException:
            self.close()
            raise

    def _submit(self, work: "Coroutine[Any, Any, T]") -> "Future[T]":
        if self._pid != getpid():
            work.close()
            raise UnavailableError(
                "This classifier was opened by the process before its fork: open one in this process."
            )
        if not self._finalizer.alive:
            work.close()
            raise UnavailableError("This classifier is closed: open another one.")
        return asyncio.run_coroutine_threadsafe(work, self._host.loop)

    def _stream(self, inputs: Iterable[Input], asked: Parameters) -> Iterator[Ranking]:
        with closing(self._in_order(inputs, asked)) as chunks:
            for rankings in chunks:
                yield from rankings.result()

    def _in_order(self, inputs: Iterable[Input], asked: Parameters) -> "Generator[Future[list[Ranking]], None, None]":
        """The rankings of the texts, chunk by chunk in their order; closing it cancels what still waits."""
        waiting: deque[Future[list[Ranking]]] = deque()
        try:
            for first, chunk in _chunks(inputs):
                waiting.append(self._submit(self._host.rankings(chunk, asked, range(first, first + len(chunk)))))
                while len(waiting) >= CHUNKS_IN_FLIGHT or (waiting and waiting[0].done()):
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for rankings in waiting:
                rankings.cancel()


def _parameters(given: RankingParameters) -> Parameters:
    """The parameters, validated as those of a request."""
    if unknown := given.keys() - RankingParameters.__annotations__.keys():
        raise TypeError(f"a classifier has no parameter {', '.join(sorted(unknown))}")
    return read_parameters(dict(given))


def _chunks(inputs: Iterable[Input]) -> Iterator[tuple[int, list[Text]]]:
    """The texts in chunks, each with the position of its first one."""
    if isinstance(inputs, Mapping | bytes):
        raise InvalidRequestError(
            f"The input is {type(inputs).__name__}, but must be a text, a pair of texts, or a list of them."
        )
    texts = enumerate(inputs)
    while chunk := list(islice(texts, CHUNK)):
        yield chunk[0][0], [_text(position, one) for position, one in chunk]


def _text(position: int, one: object) -> Text:
    parts = one if isinstance(one, tuple) else (one,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, str) for part in parts):
        raise InvalidTextError(
            position,
            f"is {type(one).__name__} {str(one)[:40]!r}, but must be a text or a pair of texts: "
            '"some text", or ("a text", "its pair").',
        )
    for part in parts:
        try:
            part.encode()
        except UnicodeEncodeError:
            raise InvalidTextError(
                position,
                'has half of a surrogate pair, which is no character: read it as UTF-8 with errors="replace".',
            ) from None
    return Text(parts[0], (parts[1] or None) if len(parts) == 2 else None)
