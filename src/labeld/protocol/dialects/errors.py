"""Failures of questions that only dialects ask, and the shapes in which other servers write errors."""

from collections.abc import Sequence
from typing import Any

from labeld.config.labels import entailment, scores_candidates
from labeld.errors import InvalidRequestError, LabeldError, OneTextError, OverloadedError, RetryLaterError
from labeld.protocol.errors import TooManyTextsError

SHOWN = 10


class EmptyInputError(InvalidRequestError):
    """A text, or a list of texts, that a question needs is empty."""


class WrongTaskError(InvalidRequestError):
    """The model cannot answer a question of this task."""

    def __init__(self, task: str, labels: Sequence[str], needs: str) -> None:
        """`needs` says which models can, and the way out."""
        shown = ", ".join(label[:40] for label in labels[:SHOWN]) + (", …" if len(labels) > SHOWN else "")
        *others, last = tasks_of(labels)
        served = f"{', '.join(others)} and {last}" if others else last
        super().__init__(f"This model does not serve {task}, but {served}: its labels are {shown}; {needs}.")


def tasks_of(labels: Sequence[str]) -> list[str]:
    """The tasks of a model with these labels, by the Hub's names."""
    tasks = ["text-classification"]
    if scores_candidates(labels):
        tasks.append("zero-shot-classification")
    if len(labels) == 1 or entailment(labels) is not None:
        tasks.append("text-ranking")
    return tasks


def tei_error(error: LabeldError, sentence: str) -> tuple[int, Any]:
    """The shape of text-embeddings-inference, with its status.

    What is empty is 400, a text or a list that is too long 413, any other wrong body 422, a model that fails or has
    another task 424, and overload 429.
    """
    status, kind = error.status, "Backend"
    if isinstance(error, EmptyInputError):
        kind = "Empty"
    elif isinstance(error, WrongTaskError) or (status == 500 and type(error) is not LabeldError):
        status = 424  # but for what nobody has foreseen, which is no failure of a model
    elif status in {400, 413}:  # a body, a field or a text that is not accepted
        # a text's own failures that are no InvalidRequestError are those of its length
        is_long_text = isinstance(error, OneTextError) and not isinstance(error, InvalidRequestError)
        is_long = status == 413 or is_long_text or isinstance(error, TooManyTextsError)
        status, kind = 413 if is_long else 422, "Validation"
    elif isinstance(error, OverloadedError):
        kind = "Overloaded"
    elif isinstance(error, RetryLaterError):
        kind = "Unhealthy"
    return status, {"error": sentence, "error_type": kind}


def openai_error(error: LabeldError, sentence: str) -> tuple[int, Any]:
    """The shape of OpenAI, which vLLM and Infinity have too."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return error.status, {"error": {"message": sentence, "type": kind, "param": None, "code": str(error.status)}}


def message_error(error: LabeldError, sentence: str) -> tuple[int, Any]:
    """The shape of Cohere, and of Jina and Voyage, which call it `detail`."""
    return error.status, {"message": sentence, "detail": sentence}


def detector_error(error: LabeldError, sentence: str) -> tuple[int, Any]:
    """The shape of detectors of TrustyAI and FMS Guardrails, where a request that is not valid is 422."""
    status = 422 if error.status == 400 else error.status
    return status, {"code": status, "message": sentence}
