"""Train the teacher of labeld/sentiment-en: MPNet-base fine-tuned on SST-2, five times as large and not bundled."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

from common import Example, Plan, Training, add_common_arguments, console, length_sorted_batches, read_rows, right_share
from minilm import encoder, tokenizer_of
from mpnet import base_folder
from sentiment_texts import either, split_slice

SHORT, SHORT_SHARE = 3, 0.4
"""Of phrases of so many words at most this share is read in an epoch: they say little and are a third of all."""


def train(args: argparse.Namespace, plan: Plan) -> None:
    """Fine-tune, and write the folder."""
    base: Path = args.base or base_folder(args.out)
    tokenizer = tokenizer_of(base)
    encoded = encoder(tokenizer)
    phrases = [(text, int(label)) for text, label in read_rows(args.data / "train.tsv", header=True)]
    kept, held = split_slice(phrases[: args.limit], args.slice)
    long = [phrase for phrase in kept if len(phrase[0].split()) > SHORT]
    short = [phrase for phrase in kept if len(phrase[0].split()) <= SHORT]
    count = round(len(short) * SHORT_SHARE)
    console.print(f"{len(long) + count} phrases to train on, {len(held)} sentences to judge by")

    def batches_of(epoch: int) -> list[list[Example]]:
        rng = random.Random(f"teacher-{plan.seed}-{epoch}")
        rows = [*long, *rng.sample(short, count)]
        examples = [Example(encoded(either(text, rng)), [1.0 - label, float(label)]) for text, label in rows]
        return length_sorted_batches(examples, plan.batch, rng)

    score = right_share([encoded(text) for text, _ in held], torch.tensor([label for _, label in held]))

    torch.manual_seed(plan.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=2, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    model.get_input_embeddings().requires_grad_(False)
    checkpoint = args.out.with_name(f"{args.out.name}.checkpoint")
    run = Training(model, plan, cross_entropy, -(-(len(long) + count) // plan.batch), checkpoint)
    model.load_state_dict(run.run(batches_of, score, args.checkpoint_every))
    model.save_pretrained(args.out)
    tokenizer.save(str(args.out / "tokenizer.json"))


def main() -> None:
    """Read the command line, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="DATA holds train.tsv of SST-2. Ctrl-C saves; the same command goes on from there.",
    )
    add_common_arguments(parser)
    parser.add_argument("--base", type=Path, metavar="DIR", help="MPNet folder (default: that of its PyPI packages)")
    parser.add_argument("--slice", type=float, default=0.06, help="share of train sentences that are held out (0.06)")
    parser.add_argument("--epochs", type=int, default=1, help="times over the training part (default: 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=1,
        epochs=args.epochs,
        learning_rate=4e-5,
        layer_decay=0.9,
        average=0.998,
        average_every=8,
    )
    train(args, plan)


if __name__ == "__main__":
    main()
