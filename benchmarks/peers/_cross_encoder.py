"""Answers of a sentence-transformers CrossEncoder to files of texts, for the peers that run one in their process."""

import argparse
import json
import os
import sys
import time

import torch


def options():
    """What the benchmark says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--float32", action="store_true")
    return parser.parse_args()


def own_output():
    """Standard output for answers alone: exporters write their progress there, which goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def serve(encoder, rows, answers):
    """Answers each file that standard input names: the rankings of all its texts, and the seconds that they took."""
    labels = [encoder.config.id2label[index] for index in range(encoder.config.num_labels)]
    activation = torch.nn.Sigmoid() if len(labels) == 1 else torch.nn.Softmax(dim=-1)
    for line in sys.stdin:
        with open(line.strip(), encoding="utf-8") as file:  # noqa: PTH123
            texts = [json.loads(one) for one in file]
        began = time.perf_counter()
        found = _scores(encoder, texts, rows, activation)
        rankings = [
            [{"label": label, "score": score} for label, score in zip(labels, row, strict=True)] for row in found
        ]
        print(json.dumps({"seconds": time.perf_counter() - began, "rankings": rankings}), file=answers, flush=True)


def _scores(encoder, texts, rows, activation):
    """The scores of all texts; single ones and pairs apart."""
    singles = iter(_alone(encoder, [one["text"] for one in texts if one["pair"] is None], rows, activation))
    both = [(one["text"], one["pair"]) for one in texts if one["pair"] is not None]
    doubles = iter(_pairs(encoder, both, rows, activation) if both else [])
    return [next(singles if one["pair"] is None else doubles) for one in texts]


@torch.inference_mode()
def _alone(encoder, texts, rows, activation):
    """The scores of single texts: `predict`, which sorts pairs by length, takes a list of strings for one pair."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    scores = [[]] * len(texts)
    for start in range(0, len(order), rows):
        batch = order[start : start + rows]
        found = activation(encoder(encoder.preprocess([texts[at] for at in batch]))["scores"].float())
        for at, row in zip(batch, found.reshape(len(batch), -1).tolist(), strict=True):
            scores[at] = row
    return scores


def _pairs(encoder, texts, rows, activation):
    """The scores of pairs."""
    scores = encoder.predict(texts, batch_size=rows, activation_fn=activation, show_progress_bar=False)
    return scores.reshape(len(texts), -1).tolist()
