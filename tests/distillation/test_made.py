"""Texts that are made of others for a student to learn from."""

from labeld.distillation.made import made_of
from labeld.types import Text

TEXTS = [Text(f"film {number} was good but the end came late") for number in range(50)]


def test_made_texts_have_the_words_of_the_others_and_are_new() -> None:
    """Nearly all of them: a short one may keep every word."""
    words = {word for text in TEXTS for word in text.text.split()}

    made = made_of(TEXTS, 1000, seed=1)

    assert 1000 == len(made)
    assert words >= {word for text in made for word in text.text.split()}
    assert len({*made} - {*TEXTS}) > 800


def test_equal_seeds_make_equal_texts() -> None:
    """So that a run that goes on has the answers of the one that was stopped."""
    assert made_of(TEXTS, 100, seed=1) == made_of(TEXTS, 100, seed=1) != made_of(TEXTS, 100, seed=2)


def test_pairs_stay_pairs() -> None:
    """Each part is changed by itself, and no two pairs are joined."""
    pairs = [Text("a b c d e f", "u v w x y z")]

    made = made_of(pairs, 200, seed=1)

    assert all(text.pair and max(map(len, (text.text.split(), text.pair.split()))) <= 6 for text in made)
    assert len({*made}) > 100


def test_texts_without_spaces_are_changed_by_character() -> None:
    """As Chinese ones; one of a single character or of none stays a text."""
    made = made_of([Text("这部电影非常好看"), Text("好"), Text("")], 300, seed=1)

    assert {*"这部电影非常好看 "} >= {character for text in made for character in text.text}
    assert len({*made}) > 30
