"""Which texts form the next batch."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeld.scheduler.batching import LOOKAHEAD, Plan, least_served, next_batch


@dataclass
class Text:
    """A waiting text, as plain data."""

    tokens: int
    deadline: float = 10.0
    abandoned: bool = False


@dataclass
class Model:
    """A model, as plain data."""

    service_tokens: float


def texts(*lengths: int) -> list[Text]:
    """Live texts of these lengths."""
    return [Text(length) for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([5], [0]),
        ([300], [0]),
        ([300, 10], [0]),
        ([50, 50], [0, 1]),
        ([60, 60, 40], [0, 2]),
        ([100, 1], [0]),
        ([50, 300, 50], [0, 2]),
    ],
)
def test_the_oldest_runs_and_younger_ones_fill_the_budget(lengths: list[int], expected: list[int]) -> None:
    """With a budget of 100 tokens the oldest text is always taken, and then whatever fits."""
    assert Plan(expected, []) == next_batch(texts(*lengths), 100, now=0.0)


def test_a_text_longer_than_the_budget_runs_alone() -> None:
    """It is not put beside others, since they would all wait for it."""
    assert [0] == next_batch(texts(101, 1, 1), 100, now=0.0).batch


def test_expired_and_abandoned_texts_are_dropped_before_they_cost_anything() -> None:
    """Neither is run, neither takes room, and the live one behind them is found."""
    waiting = [Text(90, deadline=1.0), Text(90, abandoned=True), Text(90)]

    assert Plan([2], [0, 1]) == next_batch(waiting, 100, now=2.0)


def test_reordering_is_bounded() -> None:
    """A text that does not fit is overtaken by those within reach only."""
    waiting = [Text(60), *texts(*[60] * (LOOKAHEAD - 1)), Text(1)]

    assert [0] == next_batch(waiting, 100, now=0.0).batch


@given(st.lists(st.integers(1, 400), max_size=40), st.integers(1, 300))
def test_every_text_is_run_once_and_none_starves(lengths: list[int], budget: int) -> None:
    """Taking batches until nothing is left runs each text once, the oldest in every batch, within the budget."""
    waiting = list(enumerate(texts(*lengths)))
    done = []
    while waiting:
        batch = next_batch([text for _, text in waiting], budget, now=0.0).batch
        tokens = sum(waiting[index][1].tokens for index in batch)
        assert batch[0] == 0
        assert len(batch) == 1 or tokens <= budget
        done += [waiting[index][0] for index in batch]
        waiting = [entry for index, entry in enumerate(waiting) if index not in batch]

    assert list(range(len(lengths))) == sorted(done)


def test_the_model_that_was_served_least_comes_first() -> None:
    """Fairness is by tokens served."""
    least = Model(3.0)

    assert least_served([Model(5.0), least, Model(4.0)]) is least
