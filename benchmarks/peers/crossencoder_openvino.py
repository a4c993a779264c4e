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
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "openvino"
# arguments = ["--float32"]
# ///
"""CrossEncoder with its OpenVINO backend: no server. All texts are known, so they are sorted by length.

In int8 the weights are compressed to 8 bits by optimum-intel, which needs no calibration set, and the activations are
quantised as they come. Seen: 64 to 82 texts/s in eights, on a machine busy with other work.
"""

import json
import os
import sys
from pathlib import Path

import _cross_encoder

options, answers = _cross_encoder.options(), _cross_encoder.own_output()
sys.modules["openvino_telemetry"] = None  # it reports its use to a host elsewhere
from optimum.intel import OVModelForSequenceClassification, OVWeightQuantizationConfig
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer

folder = Path(os.environ["COMPARE_CACHE"], Path(options.model).name + ("-float32" if options.float32 else ""))
if not (folder / "complete").exists():
    settings = None if options.float32 else OVWeightQuantizationConfig(bits=8, sym=True)
    exported = OVModelForSequenceClassification.from_pretrained(
        options.model, export=True, quantization_config=settings
    )
    exported.save_pretrained(folder)
    AutoTokenizer.from_pretrained(options.model).save_pretrained(folder)
    (folder / "complete").touch()

hint = {"INFERENCE_NUM_THREADS": options.threads, "INFERENCE_PRECISION_HINT": "f32"}
if not options.float32:
    config = json.loads((folder / "config.json").read_text())
    hint["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = config.get("hidden_size", config.get("dim", 0))
encoder = CrossEncoder(str(folder), backend="openvino", max_length=512, model_kwargs={"ov_config": hint})
_cross_encoder.serve(encoder, options.rows, answers)
