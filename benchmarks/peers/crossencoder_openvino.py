# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "sentence-transformers[openvino]==6.2.0", "optimum-intel==2.0.0", "optimum==2.2.0", "transformers==5.0.0",
#     "openvino==2026.4.1", "nncf==3.4.0", "torch==2.13.0",
# ]
#
# [tool.compare]
# title = "sentence-transformers CrossEncoder, OpenVINO, in process"
# in_process = true
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "int8"
# engine = "openvino"
# ///
"""CrossEncoder with its OpenVINO backend: no server. All texts are known, so they are sorted by length.

The weights are compressed to 8 bits by optimum-intel, which needs no calibration set, and the activations are
quantised as they come. Seen: 64 to 82 texts/s in eights, on a machine busy with other work.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--rows", type=int, default=8)
options = parser.parse_args()

answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nncf and optimum write their progress there
sys.modules["openvino_telemetry"] = None  # it reports its use to a host elsewhere
import torch
from optimum.intel import OVModelForSequenceClassification, OVWeightQuantizationConfig
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer

folder = Path(os.environ["COMPARE_CACHE"], Path(options.model).name)
if not (folder / "complete").exists():
    settings = OVWeightQuantizationConfig(bits=8, sym=True)
    exported = OVModelForSequenceClassification.from_pretrained(
        options.model, export=True, quantization_config=settings
    )
    exported.save_pretrained(folder)
    AutoTokenizer.from_pretrained(options.model).save_pretrained(folder)
    (folder / "complete").touch()

config = json.loads((folder / "config.json").read_text())
hint = {
    "INFERENCE_NUM_THREADS": options.threads,
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": config.get("hidden_size", config.get("dim", 0)),
}
encoder = CrossEncoder(str(folder), backend="openvino", max_length=512, model_kwargs={"ov_config": hint})
labels = [encoder.config.id2label[index] for index in range(encoder.config.num_labels)]
activation = torch.nn.Sigmoid() if len(labels) == 1 else torch.nn.Softmax(dim=-1)


@torch.inference_mode()
def alone(texts):
    """The scores of single texts: `predict`, which sorts pairs by length, takes a list of strings for one pair."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    scores = [[]] * len(texts)
    for start in range(0, len(order), options.rows):
        rows = order[start : start + options.rows]
        found = activation(encoder(encoder.preprocess([texts[at] for at in rows]))["scores"].float())
        for at, row in zip(rows, found.reshape(len(rows), -1).tolist(), strict=True):
            scores[at] = row
    return scores


def pairs(texts):
    """The scores of pairs."""
    scores = encoder.predict(texts, batch_size=options.rows, activation_fn=activation, show_progress_bar=False)
    return scores.reshape(len(texts), -1).tolist()


def classify(texts):
    """The rankings of all texts; single ones and pairs apart."""
    singles = iter(alone([one["text"] for one in texts if one["pair"] is None]))
    both = [(one["text"], one["pair"]) for one in texts if one["pair"] is not None]
    doubles = iter(pairs(both) if both else [])
    rows = [next(singles if one["pair"] is None else doubles) for one in texts]
    return [[{"label": label, "score": score} for label, score in zip(labels, row, strict=True)] for row in rows]


for line in sys.stdin:
    with open(line.strip(), encoding="utf-8") as file:  # noqa: PTH123
        texts = [json.loads(one) for one in file]
    began = time.perf_counter()
    rankings = classify(texts)
    print(json.dumps({"seconds": time.perf_counter() - began, "rankings": rankings}), file=answers, flush=True)
