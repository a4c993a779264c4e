"""A classifier of tables: each call takes a table with a column of texts and gives it back with their answers.

What Ray Data's `map_batches`, Spark's `mapInPandas` and Polars' `map_batches` call for each part of a data set.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, getpid
from typing import Any, Self, Unpack

from labeld.classifier import Classifier, RankingParameters
from labeld.config.load import load
from labeld.config.settings import Settings
from labeld.frames.columns import Columns
from labeld.frames.formats import arrays, listed
from labeld.literals import Precision
from labeld.protocol.parameters import read_parameters
from labeld.service.inputs import Input
from labeld.types import Ranking

_opened: dict[tuple[int, Settings], Classifier] = {}
"""Of this process, by its id, because a forked child has those of its parent too, where they do not work."""
_opening = threading.Lock()


class Options(RankingParameters, total=False):
    """Options of a classifier of tables: the parameters of rankings, and the settings of `Classifier`."""

    precision: Precision | str | None
    threads: int | None
    models_dir: str | PathLike[str] | None
    cache_dir: str | PathLike[str] | None
    store_dir: str | PathLike[str] | None
    offline: bool | None
    hf_endpoint: str | None
    hf_token: str | None


class TableClassifier:
    """Classifies the texts of tables: pandas and Polars data frames, pyarrow tables, and dicts of numpy arrays.

    A call gives a table of the same kind with its columns unchanged and, behind them, the best label and its score.
    Safe to use from several threads, and cheap to pickle: the model is opened by the first call in the process that
    computes, and is then kept there for all equal ones until that process ends or one of them is closed.
    """

    def __init__(  # noqa: PLR0913  # columns, by their names
        self,
        model: str | None = None,
        *,
        text_column: str = "text",
        pair_column: str | None = None,
        label_column: str = "label",
        score_column: str = "score",
        ranking_column: str | None = None,
        skip_nulls: bool = False,
        **options: Unpack[Options],
    ) -> None:
        """Names a model, the columns, and how texts are classified; opens nothing yet.

        `text_column` has the texts, and `pair_column`, if it is given, the second text of each pair. `label_column` and
        `score_column` are added; so is `ranking_column`, if it is given, with a list of label and score for each row,
        best first, `top_k` of them or all. A row without a text raises an error; with `skip_nulls` its answer is null.
        The other options are those of `Classifier` and of calling it, with the same meaning.
        Raises LabeldError for an impossible value.
        """
        if unknown := options.keys() - Options.__annotations__.keys():
            raise TypeError(f"a classifier of tables has no option {', '.join(sorted(unknown))}")
        given: dict[str, Any] = {name: options.get(name) for name in RankingParameters.__annotations__}
        self._columns = Columns(text_column, pair_column, label_column, score_column, ranking_column, skip_nulls)
        given["top_k"] = self._columns.top_k(read_parameters(given).top_k)
        self._model, self._parameters = model, given
        self._options = {name: value for name, value in options.items() if name not in given}
        self._settings: Settings | None = None

    def __call__(self, table: Any) -> Any:
        """The table with the answers to its texts; the one that is given is not changed.

        Raises LabeldError for a table without the columns, and for the first text that cannot be classified: its
        sentence names the row by its position in this table and by the value of its first other column.
        """
        return self._columns.extended(table, self._rank)

    def columns(self, texts: Sequence[str | None], pairs: Sequence[str | None] | None = None) -> dict[str, Any]:
        """The answers to texts alone: label, score and, if it was asked for, ranking, as numpy arrays by column name.

        `texts`, and `pairs` where they are pairs, can be lists, numpy arrays, or columns of any table. For where no
        table is given: Spark's `pandas_udf` and `predict_batch_udf`. Raises what calling the classifier raises.
        """
        return arrays(self._columns.answers([listed(texts), *([] if pairs is None else [listed(pairs)])], self._rank))

    def close(self) -> None:
        """Gives the model's memory in this process back; a later call opens it again. Closing twice is fine."""
        if self._settings is not None:
            with _opening:
                classifier = _opened.pop((getpid(), self._settings), None)
            if classifier:
                classifier.close()

    def __enter__(self) -> Self:
        """The classifier itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """What it was given, an access token of the Hub included; the environment is read where it computes."""
        return {**self.__dict__, "_settings": None}

    def default_threads(self) -> int:
        """Threads that compute if neither an option nor the environment says how many; 0 = every core there is."""
        return 0

    def _rank(self, texts: list[Input]) -> list[Ranking]:
        return list(self._classifier().stream(texts, **self._parameters))

    def _classifier(self) -> Classifier:
        """The open classifier, which all with these settings share in this process."""
        if self._settings is None:
            found = load({**self._options, "models": self._model and [self._model]}, name_of=str)
            threads = found.compute.threads or self.default_threads()
            self._settings = replace(found, compute=replace(found.compute, threads=threads))
        place = getpid(), self._settings
        with _opening:
            if place not in _opened:
                _opened[place] = Classifier.from_settings(self._settings)
            return _opened[place]
