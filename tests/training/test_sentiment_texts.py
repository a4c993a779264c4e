"""The texts of labeld/sentiment-en: the same ones in every process, and none of those held out."""

import os
import subprocess
import sys

from tests.support.paths import ROOT

TRAINING = ROOT / "training"
SCRIPT = """
import random
from sentiment_texts import either, made_texts, split_slice

words = "good bad film story plot cast music end slow quick".split()
rng = random.Random(3)
phrases = [(" ".join(rng.choices(words, k=rng.randint(1, 12))), rng.randint(0, 1)) for _ in range(400)]
kept, held = split_slice(phrases, 0.2)
texts = [either(text, rng) for text in made_texts(kept, 200, random.Random(1))]
assert held and not {f" {text} " for text, _ in kept} & {f" {text} " for text, _ in held}
assert not any(f" {text} " in f" {whole} " for text, _ in kept for whole, _ in held)
print(kept, held, texts)
"""


def test_texts_do_not_depend_on_the_seed_of_hashes() -> None:
    """What a teacher has answered in one process is kept for the next one by the position of its text."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(TRAINING)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]

    assert outputs[0]
    assert 1 == len(set(outputs))
