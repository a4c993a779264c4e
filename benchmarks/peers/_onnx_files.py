"""ONNX files of a model folder, for the peers that run them: exported with torch.onnx once, and kept.

Runs as a process of its own, so that torch is not in the server's memory: `python _onnx_files.py MODEL FOLDER`.
"""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path


def onnx_files(model: str) -> Path:
    """The folder with model.onnx (float32), model-int8.onnx, tokenizer.json and labels.json of a model folder."""
    folder = Path(os.environ["COMPARE_CACHE"], "onnx", Path(model).name)
    if not (folder / "labels.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, __file__, model, str(folder)], check=True, stdout=sys.stderr)
    return folder


def main(model: str, folder: Path) -> None:
    """Writes the files; labels.json, the last one, says that they are complete."""
    import torch  # noqa: PLC0415  # not in the server's process
    from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    network = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    taken = inspect.signature(network.forward).parameters
    example = tokenizer(["a short text", "a text that is a little longer"], padding=True, return_tensors="pt")
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in example and name in taken]

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.network(**dict(zip(names, inputs, strict=True))).logits

    sizes = {0: torch.export.Dim("batch", min=1, max=512), 1: torch.export.Dim("length", min=2, max=512)}
    torch.onnx.export(
        Logits(),
        tuple(example[name] for name in names),
        folder / "model.onnx",
        input_names=names,
        output_names=["logits"],
        dynamic_shapes=(tuple(sizes for _ in names),),
        external_data=False,
        dynamo=True,
    )
    _quantise(folder)
    labels = [network.config.id2label[index] for index in range(network.config.num_labels)]
    (folder / "labels.json").write_text(json.dumps({"labels": labels, "pad": tokenizer.pad_token_id or 0}))


def _quantise(folder: Path) -> None:
    """Weights of the matrices in 8 bits, by channel; activations when they come."""
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415
    except ImportError:  # a peer without ONNX Runtime has no use for it
        return
    quantize_dynamic(
        folder / "model.onnx",
        folder / "model-int8.onnx",
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm"],
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
