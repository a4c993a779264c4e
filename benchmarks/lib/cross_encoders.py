"""Rerankers in this process, as their users run them: the peers of the figure rerank.

sentence-transformers' CrossEncoder in torch where it is installed. Where it is not, a loop that does in torch what
CrossEncoder does: pairs sorted by length, cut to 512 tokens, padded per batch to the longest, inference mode. Its other
backends need packages that labeld cannot have beside it: see peer_rerankers.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.lib.reference import library
from labeld.system.cpu import usable_cores

BATCHES = (16, 32, 64)
"""Pairs of a batch, of which the fastest counts."""
MAX_TOKENS = 512

Pair = tuple[str, str]
Scorer = Callable[[Sequence[Pair]], list[float]]
"""Pairs of a query and a document -> the probability of each, float32, in their order."""


def rerankers(folder: Path) -> dict[str, Scorer]:
    """Every way that can be run here, by its name, with a one-label model in float32 on all usable cores."""
    torch.set_num_threads(usable_cores())
    if find_spec("sentence_transformers") is None:
        return {f"a sorted loop in torch by {batch}": _loop(folder, batch) for batch in BATCHES}
    return {f"CrossEncoder in torch by {batch}": one for batch, one in _cross_encoders(folder)}


def _cross_encoders(folder: Path) -> list[tuple[int, Scorer]]:
    library()  # so that it is offline
    kind = import_module("sentence_transformers").CrossEncoder
    encoder = kind(str(folder), device="cpu", max_length=MAX_TOKENS, model_kwargs={"dtype": torch.float32})
    settings = {"activation_fn": torch.nn.Sigmoid(), "show_progress_bar": False}

    def scorer(batch: int) -> Scorer:
        def scores(pairs: Sequence[Pair]) -> list[float]:
            found: list[float] = encoder.predict(list(pairs), batch_size=batch, **settings).tolist()
            return found

        return scores

    return [(batch, scorer(batch)) for batch in BATCHES]


def _loop(folder: Path, batch: int) -> Scorer:
    transformers = library()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()

    def scores(pairs: Sequence[Pair]) -> list[float]:
        order = sorted(range(len(pairs)), key=lambda index: -sum(map(len, pairs[index])))
        found = [0.0] * len(pairs)
        with torch.inference_mode():
            for begin in range(0, len(order), batch):
                rows = order[begin : begin + batch]
                queries, documents = zip(*[pairs[row] for row in rows], strict=True)
                inputs = tokenizer(
                    list(queries),
                    list(documents),
                    padding=True,
                    truncation=True,
                    max_length=MAX_TOKENS,
                    return_tensors="pt",
                )
                for row, score in zip(rows, network(**inputs).logits[:, 0].sigmoid().tolist(), strict=True):
                    found[row] = score
        return found

    return scores
