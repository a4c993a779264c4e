"""Which label of a model a label of a file means."""

import pytest

from labeld.errors import InvalidRequestError
from labeld.evaluation.labels import LabelReader, UnknownLabelError, read_mapping

SENTIMENT = ("NEGATIVE", "POSITIVE")


@pytest.mark.parametrize(
    ("labels", "value", "expected"),
    [
        (SENTIMENT, "POSITIVE", 1),
        (SENTIMENT, " positive ", 1),
        (SENTIMENT, "1", 1),
        (SENTIMENT, 1, 1),
        (SENTIMENT, 1.0, 1),
        (SENTIMENT, 0, 0),
        (("a", "A"), "A", 1),
        (("5", "4", "3"), "4", 1),
        (("LABEL_0", "LABEL_1"), "1", 1),
        (("0 bad", "1 good"), 1, 1),
        (SENTIMENT, b"POSITIVE", 1),
        (("false", "True"), True, 1),
        (("Straße", "weg"), "STRASSE", 0),
    ],
)
def test_a_label_is_found(labels: tuple[str, ...], value: object, expected: int) -> None:
    """By its name, by that in another case, or by its id where no name is a number."""
    assert expected == LabelReader("org/model", labels).read(value)


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        (SENTIMENT, "neutral"),
        (SENTIMENT, "2"),
        (SENTIMENT, "-1"),
        (SENTIMENT, ""),
        (("5", "4"), "0"),
        (("1 star", "2 stars"), "1"),
        (("ab", "AB"), "Ab"),
    ],
)
def test_a_label_that_is_none_or_several_is_refused(labels: tuple[str, ...], value: str) -> None:
    """The sentence has the row, the label, all of the model's, and the flag."""
    with pytest.raises(UnknownLabelError) as refused:
        LabelReader("org/model", labels).read(value, "Line 7 of x.csv")

    assert str(refused.value) == (
        f"Line 7 of x.csv has the label {value!r}, but those of org/model are {', '.join(labels)}: "
        f"map it with --label-map {value!r}=LABEL, or correct the file."
    )


def test_a_mapping_wins_and_takes_the_first_label_that_the_model_has() -> None:
    """So that two models with other names can be compared by one mapping."""
    mapped = read_mapping(["neg=bad", "neg=negative", "1=NEGATIVE", "a=b=1"])

    reader = LabelReader("org/model", SENTIMENT, mapped)

    assert [0, 0, 1] == [reader.read("neg"), reader.read(1), reader.read("a=b")]


def test_labels_that_were_read_as_ids_are_said() -> None:
    """Once, with what they were taken for; those of a mapping are not."""
    reader = LabelReader("org/model", SENTIMENT, {"x": ["0"]})
    before = [reader.read("x"), reader.read("positive")], reader.note
    ids = [reader.read(one) for one in ("1", 0, "1")]

    assert (([0, 1], None), [1, 0, 1]) == (before, ids)
    assert (
        "Labels were read as ids of org/model: 0 = NEGATIVE, 1 = POSITIVE; --label-map says it otherwise."
        == reader.note
    )


def test_an_empty_cell_can_be_mapped() -> None:
    """As the sentence about an unknown label advises."""
    assert 0 == LabelReader("m", SENTIMENT, read_mapping(["=NEGATIVE"])).read("")


def test_a_mapping_to_no_label_is_refused() -> None:
    """Before anything is read."""
    with pytest.raises(
        InvalidRequestError, match=r"^--label-map names 'x' for 'a', but the labels of m are NEGATIVE, POS"
    ):
        LabelReader("m", SENTIMENT, {"a": ["x"]})
    for wrong in ("a", "a=", "="):
        with pytest.raises(InvalidRequestError, match="must be FILE-LABEL=LABEL"):
            read_mapping([wrong])
