# /// script
# requires-python = ">=3.11"
# dependencies = ["sentence-transformers[openvino]==6.2.0", "openvino==2026.4.1", "nncf==3.4.0", "torch==2.13.0"]
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
"""CrossEncoder with its OpenVINO backend: no server. It sorts texts by length itself.

TRIED.
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


def classify(texts):
    """The rankings of all texts; it takes single texts and pairs, but not both at once."""
    rankings = [[]] * len(texts)
    for alone in (True, False):
        chosen = [at for at, one in enumerate(texts) if (one["pair"] is None) == alone]
        if not chosen:
            continue
        asked = [texts[at]["text"] if alone else (texts[at]["text"], texts[at]["pair"]) for at in chosen]
        scores = encoder.predict(asked, batch_size=options.rows, activation_fn=activation, show_progress_bar=False)
        for at, row in zip(chosen, scores.reshape(len(chosen), -1).tolist(), strict=True):
            rankings[at] = [{"label": label, "score": score} for label, score in zip(labels, row, strict=True)]
    return rankings


for line in sys.stdin:
    with open(line.strip(), encoding="utf-8") as file:  # noqa: PTH123
        texts = [json.loads(one) for one in file]
    began = time.perf_counter()
    rankings = classify(texts)
    print(json.dumps({"seconds": time.perf_counter() - began, "rankings": rankings}), file=answers, flush=True)
