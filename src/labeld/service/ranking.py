"""Logits of a text's windows -> the ranking of the text, by a model's labels and a request's parameters. Pure."""

from collections.abc import Sequence

import numpy as np

from labeld.checkpoint.config import ModelConfig
from labeld.errors import NotFiniteError
from labeld.protocol.errors import UnknownLabelError
from labeld.protocol.response import encode_answer
from labeld.scoring import aggregate, apply, rank
from labeld.types import Answer, EncodedInput, LabelScore, Logits, Parameters, Ranking, ScoredText, WindowRanking


def scores_of(rows: Sequence[Logits], config: ModelConfig, parameters: Parameters) -> Logits:
    """The scores of windows, float32 [windows, labels], from the logits of each, float32 [labels]."""
    if not rows:
        return np.empty((0, len(config.labels)), np.float32)
    return apply(np.stack(rows), parameters.function_to_apply or config.default_function, config.temperature)


def scored_text(
    index: int, text: EncodedInput, scores: Logits, config: ModelConfig, parameters: Parameters
) -> ScoredText:
    """The text at this position of a request from the scores of its windows, float32 [windows, labels].

    Raises NotFiniteError, and UnknownLabelError where a threshold names a label that the model does not have.
    """
    if isinstance(parameters.threshold, tuple):
        for label, _ in parameters.threshold:
            if label not in config.labels:
                raise UnknownLabelError("threshold", label, config.labels)
    if not np.isfinite(scores).all():  # a bias of -inf makes a logit of -inf, which is a good score of 0
        raise NotFiniteError(index)

    def ranked(row: Logits) -> Ranking:
        if parameters.by_id:
            return [LabelScore(label, score) for label, score in zip(config.labels, row.tolist(), strict=True)]
        return rank(row, config.labels, parameters.top_k, parameters.threshold)

    ranking = ranked(scores[0] if len(scores) == 1 else aggregate(scores, parameters.aggregate))
    windows: tuple[WindowRanking, ...] = ()
    if parameters.return_windows:
        windows = tuple(WindowRanking(*span, ranked(row)) for span, row in zip(text.spans, scores, strict=True))
    tokens = sum(len(window.ids) for window in text.windows)
    return ScoredText(ranking, windows, tokens, len(scores), text.cut_characters)


def finished(text: ScoredText, seconds: float) -> Answer:
    """The answer that is sent and cached, whose request took so many seconds."""
    label, score = max(text.ranking, key=lambda one: one.score, default=(None, 0.0))
    return Answer(encode_answer(text), seconds, text.tokens, text.window_count, text.cut_characters, label, score)
