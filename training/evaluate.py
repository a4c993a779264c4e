"""Print the figures of a model card, as its tables, from the finished folder, loaded as its users load it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import figures_emotions
import figures_language
import figures_sentiment
from figures import Folder

CARDS: dict[str, Callable[[Folder, Path], Iterator[str]]] = {
    "sentiment-en": figures_sentiment.lines,
    "language-20": figures_language.lines,
    "emotions-28": figures_emotions.lines,
}
"""The lines of the tables of each card, from its folder and its data."""


def main() -> None:
    """Read the command line and measure the model that it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="FOLDER", help=f"a folder named {', '.join(CARDS)}")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the data set it was trained on")
    parser.add_argument("--threads", type=int, default=2, help="processor threads to use (default: 2)")
    args = parser.parse_args()
    if args.model.name not in CARDS:
        parser.error(f"FOLDER is named {args.model.name}, and not one of {', '.join(CARDS)}")
    torch.set_num_threads(args.threads)
    for line in CARDS[args.model.name](Folder(args.model), args.data):
        print(line, flush=True)


if __name__ == "__main__":
    main()
