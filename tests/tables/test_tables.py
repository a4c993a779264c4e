"""Tables of every kind get the answers of their texts, and a row that cannot be classified is named."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labeld
from labeld import LabeldError
from labeld.ray import Classifier
from labeld.tables.classifier import TableClassifier
from tests.support.rankings import same
from tests.support.tiny_models import TEXTS
from tests.support.tools import package

pa, pd, pl = package("pyarrow"), package("pandas"), package("polars")

PAIRS = [*TEXTS[1:], TEXTS[0]]
COLUMNS = {"id": [f"r{number}" for number in range(len(TEXTS))], "text": TEXTS, "pair": PAIRS}


def objects(columns: dict[str, Any]) -> dict[str, Any]:
    """Arrays of numpy as Ray Data gives them."""
    return {name: np.array(values, object) for name, values in columns.items()}


KINDS = {
    "arrays": objects,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "record": pa.record_batch,
}
READ: dict[str, Callable[[Any], dict[str, list[Any]]]] = {
    "arrays": lambda table: {name: values.tolist() for name, values in table.items()},
    "pandas": lambda table: {name: table[name].tolist() for name in table.columns},
    "polars": lambda table: table.to_dict(as_series=False),
    "arrow": lambda table: table.to_pydict(),
    "record": lambda table: table.to_pydict(),
}


@pytest.fixture(scope="module")
def opened(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TableClassifier]]:
    """Makes classifiers of a small model of several labels."""
    settings: dict[str, Any] = {"models_dir": models_dir, "cache_dir": tmp_path_factory.mktemp("cache"), "threads": 1}
    with TableClassifier("org/bert", **settings):
        yield lambda **options: TableClassifier("org/bert", **settings, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_transformers(opened: Callable[..., Any], expected: Callable[..., Any], kind: str) -> None:
    """A table of each kind keeps its columns and gets label, score and ranking behind them."""
    table = KINDS[kind](COLUMNS)
    answered = READ[kind](opened(ranking_column="ranking", top_k=2)(table))
    reference = expected("org/bert", TEXTS, top_k=2)

    assert [*COLUMNS, "label", "score", "ranking"] == list(answered)
    assert list(COLUMNS.items()) == [(name, answered[name]) for name in COLUMNS]
    assert READ[kind](table) == {name: list(values) for name, values in COLUMNS.items()}
    same([list(ranking) for ranking in answered["ranking"]], reference)
    best = [
        [{"label": label, "score": score}] for label, score in zip(answered["label"], answered["score"], strict=True)
    ]
    same(best, [ranking[:1] for ranking in reference])


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_classifier_answers_tables_as_well(
    opened: Callable[..., Any], models_dir: Path, tmp_path: Path, kind: str
) -> None:
    """With the columns, the kinds and the sentences of a classifier of tables."""
    asked: dict[str, Any] = {"ranking_column": "ranking", "top_k": 2, "pair_column": "pair"}
    with labeld.Classifier("org/bert", models_dir=models_dir, cache_dir=tmp_path, threads=1) as classifier:
        answered = READ[kind](classifier.table(KINDS[kind](COLUMNS), **asked))
        with pytest.raises(LabeldError, match="Row 1 of the batch has null in column 'text', but must have a string"):
            classifier.table(KINDS[kind]({"text": ["a", None]}))
        with pytest.raises(LabeldError, match="top_k is the length of rankings: name a column for them"):
            classifier.table({"text": ["a"]}, top_k=2)
    other = READ[kind](opened(**asked)(KINDS[kind](COLUMNS)))

    assert list(other) == list(answered)
    same([list(ranking) for ranking in answered["ranking"]], [list(ranking) for ranking in other["ranking"]])
    assert list(other["label"]) == list(answered["label"])


def test_pairs_come_from_two_columns(opened: Callable[..., Any], expected: Callable[..., Any]) -> None:
    """The second text of each pair has a column, and every column has the name that it is given."""
    names = {"text_column": "text", "pair_column": "pair", "label_column": "l", "score_column": "s"}
    answered = opened(**names, function_to_apply="sigmoid")(pd.DataFrame(COLUMNS))
    pairs = [{"text": text, "text_pair": pair} for text, pair in zip(TEXTS, PAIRS, strict=True)]
    reference = expected("org/bert", pairs, function_to_apply="sigmoid", top_k=1)

    found = [[{"label": label, "score": score}] for label, score in zip(answered["l"], answered["s"], strict=True)]
    same(found, reference)


def test_an_index_of_pandas_stays(opened: Callable[..., Any]) -> None:
    """Answers go to their rows, whatever the rows are called."""
    frame = pd.DataFrame(COLUMNS).set_index("id")[::-1]
    answered, straight = opened()(frame), opened()(pd.DataFrame(COLUMNS))

    assert list(frame.index) == list(answered.index)
    assert straight["label"].tolist()[::-1] == answered["label"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_a_text_can_be_skipped(opened: Callable[..., Any], kind: str) -> None:
    """With skip_nulls they have null answers, and the others their own."""
    texts = [TEXTS[0], None, TEXTS[2]]
    answered = READ[kind](opened(skip_nulls=True, ranking_column="ranking")(KINDS[kind]({"text": texts})))
    alone = opened().columns([TEXTS[0], TEXTS[2]])

    assert [pd.isna(one) for one in answered["label"]] == [False, True, False]
    assert [pd.isna(one) for one in answered["score"]] == [False, True, False]
    assert answered["ranking"][1] is None
    assert alone["label"].tolist() == answered["label"][::2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [None, None]])
def test_tables_without_any_text_keep_their_types(opened: Callable[..., Any], kind: str, texts: list[None]) -> None:
    """An empty part of a data set, or one of nulls, has as many columns as the others."""
    answered = READ[kind](opened(skip_nulls=True)(KINDS[kind]({"text": texts})))

    assert ["text", "label", "score"] == list(answered)
    assert [len(texts)] * 3 == [len(values) for values in answered.values()]


def test_long_texts_are_cut_when_asked(opened: Callable[..., Any]) -> None:
    """As the request's parameters say."""
    table = {"text": ["film " * 600, "short"]}

    assert [None, None] != opened(truncation=True)(table)["label"].tolist()
    assert opened(max_length=16)(table)["score"].tolist() != opened(max_length=4)(table)["score"].tolist()


def test_answers_alone_come_without_a_table(opened: Callable[..., Any]) -> None:
    """`columns` takes any column, and pairs too."""
    answers = opened(ranking_column="ranking").columns(pd.Series(TEXTS), pl.Series(PAIRS))

    assert {"label": object, "score": np.float64, "ranking": object} == {n: one.dtype for n, one in answers.items()}
    assert [len(TEXTS)] * 3 == [len(one) for one in answers.values()]


def test_a_column_that_is_there_twice_is_named(opened: Callable[..., Any]) -> None:
    """Its texts cannot be told apart; another column may be there twice."""
    names = ["text", "text"]
    for table in (pd.DataFrame([["a", "b"], ["c", "d"]], columns=names), pa.table([["a"], ["b"]], names=names)):
        with pytest.raises(LabeldError, match="The batch has the column 'text' twice, so that its texts"):
            opened()(table)
    other = pd.DataFrame([["good", 1, 2]], columns=["text", "id", "id"])

    assert ["text", "id", "id", "label", "score"] == list(opened()(other).columns)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"id": ["a", "b"], "text": ["x", None]}, "Row 1 of the batch (id: 'b') has null in column 'text', but must"),
        (
            {"text": ["x", np.nan]},
            "Row 1 of the batch has null in column 'text', but must have a string: fill or filter",
        ),
        ({"id": [7], "text": [3]}, "Row 0 of the batch (id: '7') has int '3' in column 'text', but must have a string"),
        ({"id": [7], "text": ["film " * 600]}, "Row 0 of the batch (id: '7'), column 'text', has 602 tokens, but the"),
        ({"text": ["a", "\ud800"]}, "Row 1 of the batch, column 'text', has half of a surrogate pair, which is no"),
        (
            {"id": [7], "body": ["x"]},
            "The batch has no column 'text', but id, body: name the right one in text_column.",
        ),
        ({"text": ["x"], "label": [1]}, "The batch already has a column 'label': give another name for the answers in"),
        (["x"], "The batch is list, but must be a pandas or Polars data frame, a pyarrow table or record batch, or"),
        (pd.DataFrame({"text": ["x", None]}).convert_dtypes(), "Row 1 of the batch has null in column 'text'"),
        (pl.DataFrame({"text": [b"x"]}), "Row 0 of the batch has bytes \"b'x'\" in column 'text', but must have a"),
    ],
)
def test_what_cannot_be_classified_is_named(opened: Callable[..., Any], table: Any, sentence: str) -> None:
    """One sentence has the column, the row, and what to do."""
    with pytest.raises(LabeldError) as caught:
        opened()(table)

    assert str(caught.value).startswith(sentence)
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"top_k": 0, "ranking_column": "r"}, "top_k. must be a whole number"),
        ({"top_k": 3}, "top_k is the length of rankings: name a column for them in ranking_column"),
        ({"label_column": "text"}, "The column 'text' is named twice"),
        ({"function_to_apply": "tanh"}, "function_to_apply"),
    ],
)
def test_impossible_options_are_refused_at_once(options: dict[str, Any], sentence: str) -> None:
    """Before any model is opened."""
    with pytest.raises(LabeldError, match=sentence):
        TableClassifier("no/such", **options)
    with pytest.raises(TypeError, match="no option batch"):
        TableClassifier(batch=1)  # type: ignore[call-arg]


def test_a_model_that_is_not_there_is_named_by_its_first_batch(tmp_path: Path) -> None:
    """A copy of the error that comes from another process says the same."""
    with pytest.raises(LabeldError, match="Model no/such is not on this machine") as caught:
        TableClassifier("no/such", offline=True, cache_dir=tmp_path)({"text": ["a"]})

    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


def test_a_copy_answers_in_another_process(opened: Callable[..., Any]) -> None:
    """It is small, opens its model there, and the process ends without a word although nobody closed it."""
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer)({'text': ['a film']})['label'].tolist())"
    original = opened()
    label = original({"text": ["a film"]})["label"].tolist()
    pickled = pickle.dumps(original)
    ran = subprocess.run([sys.executable, "-c", script], input=pickled, capture_output=True, check=True)

    assert len(pickled) < 2000
    assert (str(label), "") == (ran.stdout.decode().strip(), ran.stderr.decode())


def test_equal_ones_share_a_model_until_it_is_closed(opened: Callable[..., Any]) -> None:
    """And a call after that opens it again."""
    one, other = opened(), opened(ranking_column="ranking")
    labels = one({"text": TEXTS})["label"].tolist()
    assert one._classifier() is other._classifier()
    other.close()
    other.close()

    assert labels == one({"text": TEXTS})["label"].tolist()


def test_the_one_for_ray_works_without_it(models_dir: Path, tmp_path: Path) -> None:
    """Outside of Ray's workers its threads are those of any classifier."""
    with Classifier("org/bert", models_dir=models_dir, cache_dir=tmp_path) as classifier:
        assert len(TEXTS) == len(classifier({"text": TEXTS})["label"])


def test_importing_it_needs_none_of_the_libraries() -> None:
    """None of them is imported with it, nor by answering a dict."""
    script = """
import sys
from labeld.ray import Classifier
Classifier(threads=1)({"text": ["a film"]})
print(sorted({"ray", "pandas", "polars", "pyarrow", "pyspark"} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

    assert ran.stdout.strip() == "[]"
