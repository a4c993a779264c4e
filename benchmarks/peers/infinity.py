# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "infinity-emb[server,torch,logging,optimum]==0.0.78",
#   "transformers<4.49",
#   "click<8.2",
#   "torch==2.13.0",
# ]
#
# [tool.compare]
# title = "Infinity"
# path = "/classify"
# body = '{"model": "model", "input": ["TEXT"]}'
#
# [[tool.compare.variants]]
# name = "documented"
# precision = "float32"
# engine = "torch"
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "torch"
# arguments = ["--tuned"]
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "onnx"
# arguments = ["--onnx", "float32"]
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "int8"
# engine = "onnx"
# arguments = ["--onnx", "int8"]
# ///
"""Infinity: its own command, started with a local folder. It takes no pairs where it classifies.

Documented: the defaults with the torch engine. In all variants its cache on the disk and its reports of use are off.
Tuned, torch: batches of 8, which it fills with texts of similar length, and no compiled model, which new lengths
compile anew: 22 requests per two CPU-seconds at 32 connections; the documented batches of 32 reached 1 in a run of 4
s. ONNX: exported by optimum, int8 by its settings for AVX-512 VNNI; Infinity gives its pipeline one text at a time.
Seen: 14 and 71 requests per two CPU-seconds, all on a machine busy with other work.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

EXPORT = """
import sys
from pathlib import Path
from optimum.onnxruntime import ORTModelForSequenceClassification, ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig
folder, precision = Path(sys.argv[1]), sys.argv[2]
model = ORTModelForSequenceClassification.from_pretrained(folder, export=True)
model.save_pretrained(folder / "onnx")
if precision == "int8":
    settings = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
    ORTQuantizer.from_pretrained(folder / "onnx").quantize(quantization_config=settings, save_dir=folder)
else:
    (folder / "onnx" / "model.onnx").rename(folder / "model.onnx")
for file in (folder / "onnx").iterdir():
    file.unlink()
"""


def served_folder(model: Path, precision: str | None) -> Path:
    """The folder with what Infinity's release of transformers needs, and for ONNX with one exported file."""
    folder = Path(os.environ["COMPARE_CACHE"], f"{model.name}-{precision or 'torch'}")
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in model.iterdir():
            (folder / file.name).symlink_to(file)
        if json.loads((model / "config.json").read_text())["model_type"] == "distilbert":
            # A BertTokenizer gives token types, which DistilBERT does not take.
            settings = json.loads((model / "tokenizer_config.json").read_text())
            (folder / "tokenizer_config.json").unlink()
            settings["tokenizer_class"] = "DistilBertTokenizer"
            (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        if precision:
            subprocess.run([sys.executable, "-c", EXPORT, folder, precision], check=True)
        (folder / "complete").touch()
    return folder


def main() -> None:
    """Runs Infinity on the folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--threads", required=True)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--onnx", choices=["float32", "int8"])
    parser.add_argument("--batch", default="8")
    options = parser.parse_args()
    folder = served_folder(options.model, options.onnx)
    os.environ |= {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": f"{folder}.home"}
    os.chdir(folder)  # it looks for the ONNX file beside a folder that is named relative to here
    arguments = ["--model-id", ".", "--served-model-name", "model", "--host", "127.0.0.1", "--port", options.port]
    arguments += ["--no-vector-disk-cache"]
    if options.onnx:
        arguments += ["--engine", "optimum", "--device", "cpu"]
    if options.onnx or options.tuned:
        os.environ["OMP_NUM_THREADS"] = options.threads
        arguments += ["--batch-size", options.batch, "--no-compile", "--log-level", "warning"]
    run(arguments)


def run(arguments: list[str]) -> None:
    """Runs the command infinity_emb, with a fault of its ONNX engine mended."""
    from infinity_emb.cli import cli  # noqa: PLC0415  # after the environment is set
    from infinity_emb.transformer.classifier.optimum import OptimumClassifier  # noqa: PLC0415

    # It forgets to cut texts at the model's length, where the torch engine does not: its own warm-up fails.
    OptimumClassifier.encode_core = lambda self, texts: self._pipe(texts, truncation=True)
    sys.argv = ["infinity_emb", "v2", *arguments]
    cli()


if __name__ == "__main__":
    main()
