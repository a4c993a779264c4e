"""labeld: the Inference API for text classification, on your own machine.

From Python, without a server:

    from labeld import Classifier

    with Classifier("labeld/sentiment-en") as classifier:
        classifier("I like you. I love you")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labeld.classifier import Classifier
    from labeld.errors import LabeldError
    from labeld.tables.classifier import TableClassifier
    from labeld.types import LabelScore

__all__ = ["Classifier", "LabelScore", "LabeldError", "TableClassifier"]


def __getattr__(name: str) -> Any:
    """One of the public names, imported when it is first used: a server's supervisor needs none of them."""
    if name == "Classifier":
        from labeld.classifier import Classifier  # noqa: PLC0415

        return Classifier
    if name == "TableClassifier":
        from labeld.tables.classifier import TableClassifier  # noqa: PLC0415

        return TableClassifier
    if name == "LabelScore":
        from labeld.types import LabelScore  # noqa: PLC0415

        return LabelScore
    if name == "LabeldError":
        from labeld.errors import LabeldError  # noqa: PLC0415

        return LabeldError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
