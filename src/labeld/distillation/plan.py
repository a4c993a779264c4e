"""What a student is to be, and how it is taught: every number that changes the result."""

from dataclasses import dataclass

from labeld.errors import InvalidRequestError

LONGEST = 256
"""Tokens of a text that a student learns from, by default; longer ones are cut, as truncation cuts them."""


MOST_MADE = 20
"""Texts made of each, at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Hyperparameters; raises InvalidRequestError for a number that is impossible."""

    layers: int
    """Of the student, fewer than its teacher has or as many."""
    intermediate_size: int | None = None
    """Neurons of each feed-forward network; None for as many as the teacher has."""
    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 3e-4
    max_length: int = LONGEST
    temperature: float = 2.0
    """What logits are divided by where labels exclude each other (Hinton et al. 2015)."""
    held_out: float = 0.05
    """Share of the texts that only measures."""
    made: float = 1.0
    """Texts that are made of those taught, for each of them."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks what no type says."""
        for name, value in (
            ("layers", self.layers),
            ("intermediate-size", self.intermediate_size),
            ("epochs", self.epochs),
            ("batch-size", self.batch_size),
        ):
            if value is not None and value < 1:
                raise InvalidRequestError(f"--{name} is {value}, but must be at least 1.")
        if not 0 < self.learning_rate <= 1:
            raise InvalidRequestError(f"--learning-rate is {self.learning_rate:g}, but must be above 0 and at most 1.")
        if not 0 <= self.made <= MOST_MADE:
            raise InvalidRequestError(f"--made is {self.made:g}, but must be between 0 and {MOST_MADE}.")
        if not 0 < self.held_out < 1:
            raise InvalidRequestError(f"--held-out is {self.held_out:g}, but must be between 0 and 1.")
