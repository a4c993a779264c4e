"""What a distillation made, with its figures."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """What was made, and how it compares with its teacher on the texts held out."""

    folder: str
    teacher: str
    revision: str
    taught: int
    """Texts of the files that it learned from."""
    made: int
    """Texts made of these that it learned from, too."""
    held_out: int
    unusable: int
    """Rows without a text, or with one that the teacher does not answer."""
    layers: tuple[int, int]
    """Of the student and of the teacher; the next two likewise."""
    parameters: tuple[int, int]
    tokens_per_second: tuple[float, float]
    """In float32 with the threads of the settings: medians of ROUNDS passes in turns."""
    agreement: float
    agreement_of: str
    seconds: float
    """Of this run, which is a part of it all after --resume."""

    @property
    def speed(self) -> float:
        """How many times the teacher's tokens a second."""
        return self.tokens_per_second[0] / self.tokens_per_second[1]

    def as_json(self) -> dict[str, Any]:
        """Its members, and the speed."""
        return asdict(self) | {"speed": self.speed}
