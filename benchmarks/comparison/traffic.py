"""The requests, alike for every server: texts or pairs, and the model that they are for."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.report import Plan
from benchmarks.lib.texts import SEED, encoder_of, english, evenly, mixed_lengths, of_length, pairs
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.types import Text

WIDE = {"sentences": (0.50, 18.5, 0.82), "tweets": (0.35, 28.0, 0.45), "paragraphs": (0.15, 150.0, 0.6)}
"""The wide mix: share, and median and spread (log-normal) of the tokens."""
WIDE_LENGTHS = (4, 512)
CHECKED = 32
"""Texts whose scores are compared before any timing."""
COUNT, QUICK_COUNT = 1000, 100
PAIRS = ("deberta-v2",)
"""Models that are asked with pairs, as a reranker is."""


class Traffic(NamedTuple):
    """A model and its requests."""

    model: str
    model_id: str
    folder: Path
    """A real directory with the model's files."""
    requests: dict[str, list[Text]]
    """Texts or pairs by mix: `mixed` (4 to 256 tokens, mean 26) and `wide` (4 to 512), or `pairs`."""
    mean_tokens: dict[str, float]

    @property
    def main(self) -> str:
        """The mix that all comparisons are about."""
        return next(iter(self.requests))

    @property
    def checked(self) -> list[Text]:
        """The texts for the check of scores."""
        return self.requests[self.main][:CHECKED]


def traffic(plan: Plan, model: str) -> Traffic:
    """The requests for a model, which is made if it is a synthetic model that is not there yet."""
    if model == "bundled":
        model_id, folder = DEFAULT_MODEL, BUNDLED / DEFAULT_MODEL
    else:
        synthetic = next(one for one in (*synthetic_models.ALL, synthetic_models.MODERNBERT) if one.name == model)
        model_id, folder = synthetic.model_id, model_folders.folder(plan, synthetic)
    count = QUICK_COUNT if plan.quick else COUNT
    encoder = encoder_of(folder)
    if model in PAIRS:
        asked = pairs(english(plan.data), count)
        tokens = np.mean([len(encoder.tokenizer.encode(one.text, one.pair).ids) for one in asked])
        return Traffic(model, model_id, folder, {"pairs": asked}, {"pairs": float(tokens)})
    mixes = {"mixed": mixed_lengths(english(plan.data), encoder, count)}
    chance = random.Random(SEED)
    mixes["wide"] = [of_length(english(plan.data), encoder, length, chance) for length in _wide_lengths(count)]
    return Traffic(
        model,
        model_id,
        folder,
        {mix: [Text(one.text) for one in evenly(found)] for mix, found in mixes.items()},
        {mix: float(np.mean([one.tokens for one in found])) for mix, found in mixes.items()},
    )


def _wide_lengths(count: int) -> Sequence[int]:
    """Tokens of each text of the wide mix."""
    drawn = np.random.default_rng(SEED)
    shares, medians, spreads = zip(*WIDE.values(), strict=True)
    kinds = drawn.choice(len(shares), count, p=shares)
    lengths = drawn.lognormal(np.log(medians)[kinds], np.array(spreads)[kinds])
    return [int(one) for one in np.clip(lengths.round(), *WIDE_LENGTHS)]
