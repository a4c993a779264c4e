"""Stand-ins: models with the shape, size and files of the five reference models, and seeded random weights.

They are for machines that have not the real ones. Their making is in standin_files.py.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.lib.report import Plan

EDITION = 4
"""Raise it when a change makes other weights."""


class StandIn(NamedTuple):
    """A model to imitate."""

    name: str
    config: dict[str, Any]
    """Its config.json."""
    weights: Literal["safetensors", "zip", "legacy"]
    """Its weights' form: model.safetensors, or pytorch_model.bin in one of its two formats."""
    tokenizer: Literal["vocab.txt", "vocab.json", "unigram", "spm.model"]
    """Its tokenizer's form; all but the first need data."""
    checkpoint: str = ""
    """Folder under `checkpoints/` of the data that has its tokenizer files."""

    @property
    def model_id(self) -> str:
        """Its id where `models_dir` is the folder of all stand-ins."""
        return f"standin/{self.name}-{EDITION}"


_BERT_SHAPE = {
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
}
_ROBERTA_SHAPE = {
    **_BERT_SHAPE,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "pad_token_id": 1,
    "type_vocab_size": 1,
}
LANGUAGES = [
    *("ja", "nl", "ar", "pl", "de", "it", "pt", "tr", "es", "hi"),
    *("el", "ur", "bg", "en", "fr", "zh", "ru", "th", "sw", "vi"),
]


def _labelled(architecture: str, labels: list[str]) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


DISTILBERT = StandIn(
    "distilbert",
    {
        **_labelled("DistilBertForSequenceClassification", ["NEGATIVE", "POSITIVE"]),
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": 768,
        "hidden_dim": 3072,
        "n_heads": 12,
        "n_layers": 6,
        "max_position_embeddings": 512,
        "vocab_size": 30522,
    },
    "safetensors",
    "vocab.txt",
    "distilbert-sst2",
)
BERT = StandIn(
    "bert",
    {
        **_labelled("BertForSequenceClassification", ["positive", "negative", "neutral"]),
        **_BERT_SHAPE,
        "model_type": "bert",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    "legacy",
    "vocab.txt",
    "finbert",
)
ROBERTA = StandIn(
    "roberta",
    {
        **_labelled("RobertaForSequenceClassification", ["Negative", "Neutral", "Positive"]),
        **_ROBERTA_SHAPE,
        "model_type": "roberta",
        "vocab_size": 50265,
    },
    "zip",
    "vocab.json",
    "twitter-roberta-latest",
)
XLM_ROBERTA = StandIn(
    "xlm-roberta",
    {
        **_labelled("XLMRobertaForSequenceClassification", LANGUAGES),
        **_ROBERTA_SHAPE,
        "model_type": "xlm-roberta",
        "vocab_size": 250002,
    },
    "safetensors",
    "unigram",
)
DEBERTA = StandIn(
    "deberta-v2",
    {
        **_labelled("DebertaV2ForSequenceClassification", ["LABEL_0"]),
        **_BERT_SHAPE,
        "model_type": "deberta-v2",
        "layer_norm_eps": 1e-07,
        "max_position_embeddings": 512,
        "max_relative_positions": -1,
        "norm_rel_ebd": "layer_norm",
        "pad_token_id": 0,
        "pooler_dropout": 0,
        "pooler_hidden_act": "gelu",
        "pooler_hidden_size": 768,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "position_buckets": 256,
        "relative_attention": True,
        "share_att_key": True,
        "type_vocab_size": 0,
        "vocab_size": 128100,
    },
    "safetensors",
    "spm.model",
    "deberta-v3-base",
)
ALL = (DISTILBERT, BERT, ROBERTA, XLM_ROBERTA, DEBERTA)


def available(plan: Plan) -> list[StandIn]:
    """The stand-ins that can be made: without data only those with a WordPiece tokenizer."""
    return [one for one in ALL if plan.data is not None or one.tokenizer == "vocab.txt"]


def models_dir(plan: Plan) -> Path:
    """The folder that holds all stand-ins, for `--models-dir`."""
    return plan.cache / "models"


def exclusive(plan: Plan, model: StandIn) -> Path:
    """A `--models-dir` with this stand-in only: a server looks at the files of every model that it has."""
    place = plan.cache / "alone" / model.name
    link = place / model.model_id
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(folder(plan, model))
    return place


def folder(plan: Plan, model: StandIn) -> Path:
    """The stand-in's model folder; made on first use, which takes torch and about half a minute."""
    place = models_dir(plan) / model.model_id
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        task = plan.progress.add_task(f"making the stand-in {model.name}", total=None)
        from benchmarks.lib.standin_files import write  # noqa: PLC0415  # only who makes a stand-in needs torch

        half_made = Path(tempfile.mkdtemp(prefix=".", dir=plan.cache))
        try:
            write(half_made, model, plan.data)
            half_made.rename(place)
        except BaseException:
            shutil.rmtree(half_made)
            raise
        plan.progress.remove_task(task)
    return place


def float32_bytes(place: Path) -> int:
    """Bytes of a model's weights in float32, however they are stored."""
    if (place / "pytorch_model.bin").exists():  # of a stand-in, which is float32
        return (place / "pytorch_model.bin").stat().st_size
    with (place / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}
    entries = [entry for name, entry in header.items() if name != "__metadata__" and entry["dtype"] in sizes]
    return sum(
        4 * (end - begin) // sizes[entry["dtype"]] for entry in entries for begin, end in [entry["data_offsets"]]
    )
