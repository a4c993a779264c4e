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
from labeld.errors import InvalidRequestError, LabeldError, SettingsError
from labeld.protocol.parameters import read_parameters
from labeld.service.inputs import Input
from labeld.tables.formats import Answers, arrays, format_of, listed, values
from labeld.tables.rows import Describe, Row, of_row, read_texts
from labeld.types import Precision, Ranking

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
        columns = (text_column, pair_column, label_column, score_column, ranking_column)
        named = [name for name in columns if name is not None]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise SettingsError(f"The column {twice[0]!r} is named twice: give each column a name of its own.")
        given: dict[str, Any] = {name: options.get(name) for name in RankingParameters.__annotations__}
        asked = read_parameters(given)
        if not ranking_column:
            if asked.top_k not in {None, 1}:
                raise SettingsError("top_k is the length of rankings: name a column for them in ranking_column.")
            given["top_k"] = 1
        self._model, self._skip_nulls = model, skip_nulls
        self._parameters = given
        self._options = {name: value for name, value in options.items() if name not in given}
        self._inputs = [text_column] if pair_column is None else [text_column, pair_column]
        self._label_column, self._score_column, self._ranking_column = label_column, score_column, ranking_column
        self._settings: Settings | None = None

    def __call__(self, table: Any) -> Any:
        """The table with the answers to its texts; the one that is given is not changed.

        Raises LabeldError for a table without the columns, and for the first text that cannot be classified: its
        sentence names the row by its position in this table and by the value of its first other column.
        """
        kind = format_of(table)
        names = kind.names(table)
        self._check(names)
        others = [name for name in names if name not in self._inputs]

        def describe(position: int) -> str:
            return f" ({others[0]}: {str(values(table, others[0])[position])[:40]!r})" if others else ""

        return kind.extended(table, self._answers([values(table, name) for name in self._inputs], describe))

    def columns(self, texts: Sequence[str | None], pairs: Sequence[str | None] | None = None) -> dict[str, Any]:
        """The answers to texts alone: label, score and, if it was asked for, ranking, as numpy arrays by column name.

        `texts`, and `pairs` where they are pairs, can be lists, numpy arrays, or columns of any table. For where no
        table is given: Spark's `pandas_udf` and `predict_batch_udf`. Raises what calling the classifier raises.
        """
        return arrays(self._answers([listed(texts), *([] if pairs is None else [listed(pairs)])], lambda _: ""))

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

    def _check(self, names: list[Any]) -> None:
        shown = ", ".join(map(str, names))[:200]
        for name in self._inputs:
            if name not in names:
                raise InvalidRequestError(
                    f"The batch has no column {name!r}, but {shown or 'none at all'}: name the right one in "
                    f"{'text_column' if name == self._inputs[0] else 'pair_column'}."
                )
        for option in ("label_column", "score_column", "ranking_column"):
            if (name := getattr(self, f"_{option}")) in names:
                raise InvalidRequestError(
                    f"The batch already has a column {name!r}: give another name for the answers in {option}."
                )

    def _answers(self, columns: list[list[Any]], describe: Describe) -> Answers:
        """The answers to rows of texts or of pairs, given by columns."""
        rows = read_texts(columns, self._inputs, describe, skip=self._skip_nulls)
        rankings: list[Ranking | None] = [None] * len(columns[0])
        for row, ranking in zip(rows, self._rankings(rows, describe), strict=True):
            rankings[row.position] = ranking
        best = [ranking[0] if ranking else None for ranking in rankings]
        return Answers(
            (self._label_column, [one and one.label for one in best]),
            (self._score_column, [one and one.score for one in best]),
            (self._ranking_column, rankings) if self._ranking_column else None,
        )

    def _rankings(self, rows: list[Row], describe: Describe) -> list[Ranking]:
        if not rows:
            return []
        inputs: list[Input] = [row.text for row in rows]
        try:
            return list(self._classifier().stream(inputs, **self._parameters))
        except LabeldError as error:
            if (index := getattr(error, "index", None)) is None:
                raise
            raise of_row(error, rows[index].position, self._inputs, describe) from None

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
