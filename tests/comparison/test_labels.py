"""Matching labels of two servers."""

import pytest

from labeld.comparison.answers import PeerRanking, PeerScore
from labeld.comparison.errors import OtherLabelsError
from labeld.comparison.labels import LabelMatch, read_label_map
from labeld.errors import InvalidRequestError

LABELS = ("negative", "neutral", "positive")


def ranking(*labels: str) -> PeerRanking:
    """A ranking of these labels."""
    return tuple(PeerScore(label, 1 / (2 + place)) for place, label in enumerate(labels))


def matched(*labels: str, **given: str) -> list[str]:
    """The model's labels for these."""
    return [one.label for one in LabelMatch(LABELS, given).ranking(ranking(*labels))]


def test_labels_match_by_name_case_and_id() -> None:
    """And by digits alone, as KServe writes ids."""
    assert ["positive", "neutral", "negative"] == matched("positive", "neutral", "negative")
    assert ["positive", "neutral", "negative"] == matched("POSITIVE", "Neutral", "negative")
    assert ["positive", "negative", "neutral"] == matched("LABEL_2", "LABEL_0", "LABEL_1")
    assert ["positive", "negative", "neutral"] == matched("2", "0", "1")
    assert ["neutral"] == matched("LABEL_1")


def test_what_is_given_wins() -> None:
    """Over ids and names."""
    assert ["negative", "positive", "neutral"] == matched(
        "LABEL_2", "LABEL_0", "LABEL_1", LABEL_2="negative", LABEL_0="positive"
    )


def test_labels_that_are_numbers_match_by_name_first() -> None:
    """Stars from 1 to 5 are no ids."""
    match = LabelMatch(("1", "2", "3"), {})

    assert ["3", "1"] == [one.label for one in match.ranking(ranking("3", "1"))]
    assert [] == match.notes


@pytest.mark.parametrize(
    "theirs",
    [
        ("good",),
        ("LABEL_3",),
        ("LABEL_0", "LABEL_1"),
        ("positive", "LABEL_2", "LABEL_0"),
        ("positive", "Positive"),
        ("a", "b", "c", "d"),
        ("positive", "neutral", "negative", "other"),
    ],
)
def test_other_labels_are_a_sentence(theirs: tuple[str, ...]) -> None:
    """Also fewer ids than the model has labels, one label twice, and one more."""
    with pytest.raises(
        OtherLabelsError, match=r"^The peer has the labels .+ but the model has negative, .+--label-map"
    ):
        matched(*theirs)


def test_letters_that_differ_only_in_case_are_no_match() -> None:
    """Where the model has both, case decides."""
    match = LabelMatch(("a", "A"), {})

    assert ["A", "a"] == [one.label for one in match.ranking(ranking("A", "a"))]


def test_how_labels_were_matched_is_said() -> None:
    """By case and by ids."""
    match = LabelMatch(LABELS, {})
    match.ranking(ranking("POSITIVE", "neutral", "negative"))
    match.ranking(ranking("LABEL_0"))

    assert [
        "Labels were matched without regard to case: POSITIVE = positive.",
        "Labels were matched by the order of their ids: LABEL_0 = negative; --label-map says it otherwise.",
    ] == match.notes


@pytest.mark.parametrize("given", ["positive", "=positive", "a=b", "a=", "a=positive,a=negative"])
def test_a_wrong_label_map_is_a_sentence(given: str) -> None:
    """That names the option."""
    with pytest.raises(InvalidRequestError, match="--label-map"):
        read_label_map([given], LABELS)


def test_a_label_map_is_read_from_lists_and_repetition() -> None:
    """Both ways of saying several."""
    assert {"a": "positive", "b": "negative", "c": "neutral"} == read_label_map(
        ["a=positive,b=negative", "c=neutral"], LABELS
    )
