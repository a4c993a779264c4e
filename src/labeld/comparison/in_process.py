"""Both sides in this process: labeld's Classifier, and transformers' pipeline of the same folder."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from labeld.classifier import Classifier
from labeld.comparison.answers import Answer, Pass, PeerRanking, PeerScore, Row
from labeld.comparison.errors import PeerLostError
from labeld.comparison.load import GIVE_UP, OnDone, out_of_time
from labeld.errors import LabeldError, OneTextError, SettingsError
from labeld.interface import Interface
from labeld.types import Text

Rank = Callable[[Sequence[Text]], list[PeerRanking]]
"""The rankings of a list of texts; raises for texts that it cannot answer."""


def require_transformers() -> None:
    """Raises SettingsError where torch or transformers is not installed."""
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise SettingsError(f"--against transformers needs {' and '.join(missing)}: pip install 'labeld[torch]'.")


class OfLabeld:
    """A Classifier as one side."""

    def __init__(self, classifier: Classifier, *, truncation: bool) -> None:
        self._classifier, self._truncation = classifier, truncation

    def __call__(self, texts: Sequence[Text]) -> list[PeerRanking]:
        """The rankings; raises LabeldError."""
        inputs: Any = [one.text if one.pair is None else (one.text, one.pair) for one in texts]
        found = self._classifier(inputs, truncation=self._truncation or None)
        return [tuple([PeerScore(one.label, one.score) for one in ranking]) for ranking in found]


class OfTransformers:
    """transformers' text-classification pipeline in float32 on the processor, as one side."""

    def __init__(self, folder: Path, *, truncation: bool, threads: int) -> None:
        """Loads the model; raises PeerLostError where transformers does not."""
        with _quiet():
            import torch  # noqa: PLC0415  # takes seconds
            from transformers import (  # noqa: PLC0415
                AutoModelForSequenceClassification,
                AutoTokenizer,
                pipeline,
                utils,
            )

            utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own

            if threads:
                torch.set_num_threads(threads)
            try:
                model = AutoModelForSequenceClassification.from_pretrained(
                    folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
                )
                self._tokenizer: Any = AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
                self._pipeline: Any = pipeline(
                    "text-classification", model=model, tokenizer=self._tokenizer, device="cpu"
                )
            except Exception as error:  # noqa: BLE001  # a foreign library's, of any kind
                raise PeerLostError(f"transformers cannot load this model ({type(error).__name__}).") from None
        self._truncation = truncation

    def __call__(self, texts: Sequence[Text]) -> list[PeerRanking]:
        """The rankings, computed in one batch; raises what transformers raises."""
        inputs: Any = [one.text if one.pair is None else {"text": one.text, "text_pair": one.pair} for one in texts]
        with _quiet():
            found = self._pipeline(inputs, top_k=None, truncation=self._truncation, batch_size=len(texts))
        return [tuple([PeerScore(one["label"], one["score"]) for one in ranking]) for ranking in found]

    def tokens(self, text: Text) -> int:
        """Tokens of a text, special ones included."""
        with _quiet():
            return len(self._tokenizer(text.text, text.pair, truncation=self._truncation)["input_ids"])


def run_lists(  # noqa: PLR0913, PLR0917  # the parts of a pass
    name: str, rank: Rank, rows: Mapping[int, Row], size: int, seconds: float, on_done: OnDone
) -> Pass:
    """Asks for the rows in lists of `size`, for at most `seconds`; a list that fails has no answers.

    The seconds of an answer are those of its list.
    """
    answers: dict[int, Answer] = {}
    failures: dict[int, str] = {}
    in_a_row, stopped = 0, None
    began = time.perf_counter()
    waiting = iter(rows.items())
    while some := dict(islice(waiting, size)):
        texts = [row.text for row in some.values()]
        asked = time.perf_counter()
        if asked - began > seconds:
            stopped = out_of_time(name)
            break
        try:
            rankings = rank(texts)
        except PeerLostError as error:
            stopped = str(error)
            break
        except Exception as error:  # noqa: BLE001  # transformers', of any kind
            reason = f"{name} failed ({type(error).__name__})."
            if isinstance(error, LabeldError):
                reason = error.sentence(Interface.COMMAND_LINE)
            failures |= dict.fromkeys(some, reason)
            in_a_row += 0 if isinstance(error, OneTextError) else 1
            if in_a_row >= GIVE_UP:
                stopped = f"{name} failed {GIVE_UP} times in a row and is not asked any more: {reason}"
                break
        else:
            in_a_row = 0
            taken = time.perf_counter() - asked
            answers |= {one: Answer(ranking, taken) for one, ranking in zip(some, rankings, strict=True)}
        for _ in texts:
            on_done()
    return Pass(size, answers, failures, time.perf_counter() - began, 0.0, stopped)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' warnings, such as that of a text which is too long."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
