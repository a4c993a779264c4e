"""The Python API: a model that classifies in this process, packed as the server packs, without a server.

A `Classifier` owns an event loop on a thread of its own, so it works the same in a script, in a notebook, inside a
running event loop and from several threads. It changes nothing of the process that it lives in.
"""

import asyncio
import weakref
from collections.abc import Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from os import PathLike, getpid
from typing import Any, Self, TypedDict, TypeVar, Unpack, overload

from labeld.config.load import load, warn_of_unknown_variables
from labeld.config.settings import Queue, Settings
from labeld.errors import LabeldError, UnavailableError
from labeld.frames.columns import Columns
from labeld.literals import Aggregate, FunctionName, Precision, Side, TruncationStrategy
from labeld.protocol.parameters import read_parameters
from labeld.service.in_process import InProcessService, Work, in_order
from labeld.service.inputs import Input, Inputs, chunks, groups
from labeld.types import Parameters, Ranking, Text

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
    truncation_side: Side | None
    """The side from which texts are cut; by default the tokenizer's own."""
    stride: int | None
    """Tokens that neighbouring windows share; by default a text is read in one piece."""
    aggregate: Aggregate | None
    """How the scores of a text's windows become one: max, the default, or mean."""


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

        `model` is `org/name` or `org/name@revision`. The other parameters are the settings of the same names; where one
        is None its environment variable (`LABELD_PRECISION`, `HF_TOKEN`, …) counts, or its default; misspelt variables
        cause a warning. Raises LabeldError: SettingsError for an impossible value, and what loading a model raises.
        """
        warn_of_unknown_variables()
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
        return self._stream(inputs, self._host.rankings, _parameters(parameters))

    def outcomes(
        self,
        inputs: Iterable[Input],
        **parameters: Unpack[RankingParameters],
    ) -> Generator[Ranking | LabeldError, None, None]:
        """As `stream`, but a text that cannot be classified, as one that is too long, has its error for a ranking.

        Raises LabeldError for what concerns all texts, such as a wrong parameter, and for an input that is no text.
        """
        return self._stream(inputs, self._host.outcomes, _parameters(parameters))

    def group_outcomes(
        self,
        inputs: Iterable[Iterable[Input]],
        **parameters: Unpack[RankingParameters],
    ) -> Generator[list[Ranking | LabeldError], None, None]:
        """As `outcomes`, for groups of texts, with a list for each; a few groups are in flight.

        A text is computed together with texts of its group only, in batches that depend on nothing else: a group always
        has the same scores to the last bit, with the same settings on the same kind of machine.
        """
        return self._lists(groups(inputs), self._host.outcomes_apart, _parameters(parameters))

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
        with closing(in_order(self._submit, chunks(texts), self._host.rankings, _parameters(parameters))) as answered:
            for rankings in answered:
                of_chunk: list[Ranking] = await asyncio.wrap_future(rankings)
                found += of_chunk
        return found[0] if is_one else found

    def table(  # noqa: PLR0913  # columns, by their names
        self,
        table: Any,
        *,
        text_column: str = "text",
        pair_column: str | None = None,
        label_column: str = "label",
        score_column: str = "score",
        ranking_column: str | None = None,
        skip_nulls: bool = False,
        **parameters: Unpack[RankingParameters],
    ) -> Any:
        """The table with the answers to its texts behind its columns, as `TableClassifier` gives it.

        A pandas or Polars data frame, a pyarrow table or record batch, or a dict of columns; what comes back is of the
        same kind. Raises LabeldError for a table without the columns, and for the first row that cannot be classified.
        """
        columns = Columns(text_column, pair_column, label_column, score_column, ranking_column, skip_nulls)
        asked = _parameters(parameters)
        asked = replace(asked, top_k=columns.top_k(asked.top_k))
        return columns.extended(table, lambda texts: list(self._stream(texts, self._host.rankings, asked)))

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

    def _stream(self, inputs: Iterable[Input], work: Work[T], asked: Parameters) -> Generator[T, None, None]:
        with closing(self._lists(chunks(inputs), work, asked)) as answered:
            for chunk in answered:
                yield from chunk

    def _lists(
        self, chunked: Iterable[tuple[int, list[Text]]], work: Work[T], asked: Parameters
    ) -> Generator[list[T], None, None]:
        with closing(in_order(self._submit, chunked, work, asked)) as answered:
            for chunk in answered:
                yield chunk.result()


def _parameters(given: RankingParameters) -> Parameters:
    """The parameters, validated as those of a request."""
    if unknown := given.keys() - RankingParameters.__annotations__.keys():
        raise TypeError(f"a classifier has no parameter {', '.join(sorted(unknown))}")
    return read_parameters(dict(given))
