"""Stand-ins: models of a real one's shape and size with seeded random weights, for machines without the real one.

The weights are scaled until probabilities differ by at least 0.5 between texts. With weights as they are usually
initialised every text gets nearly the same answer, and a wrong GELU or a wrong epsilon hides under a bar of 1e-5.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.reference import library
from benchmarks.report import Plan
from benchmarks.texts import english
from labeld.folders import BUNDLED, DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

EDITION = 2
"""Raise it when a change here makes other weights."""
SAMPLE = 48
"""Texts on which the spread is looked at."""
LEAST_SPREAD = 0.5
"""How much the probability of one label must differ between two texts, for some two texts."""
MADE_SPREAD = 0.8
"""The same when the weights are made, on the sample, so that other texts have it too."""


class StandIn(NamedTuple):
    """A model to imitate."""

    name: str
    checkpoint: str
    """Its folder under `checkpoints/` of the data."""
    config: dict[str, Any]
    """Its config.json where there is no data."""

    @property
    def model_id(self) -> str:
        """Its id where `models_dir` is the folder of all stand-ins."""
        return f"standin/{self.name}-{EDITION}"


DISTILBERT = StandIn(
    "distilbert",
    "distilbert-sst2",
    {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": 768,
        "hidden_dim": 3072,
        "n_heads": 12,
        "n_layers": 6,
        "max_position_embeddings": 512,
        "vocab_size": 30522,
        "id2label": {"0": "NEGATIVE", "1": "POSITIVE"},
        "label2id": {"NEGATIVE": 0, "POSITIVE": 1},
    },
)
BERT = StandIn(
    "bert",
    "finbert",
    {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": 30522,
        "id2label": {"0": "positive", "1": "negative", "2": "neutral"},
        "label2id": {"positive": 0, "negative": 1, "neutral": 2},
    },
)


def models_dir(plan: Plan) -> Path:
    """The folder that holds all stand-ins, for `--models-dir`."""
    return plan.cache / "models"


def folder(plan: Plan, model: StandIn) -> Path:
    """The stand-in's model folder; made on first use, which takes torch and about half a minute."""
    place = models_dir(plan) / model.model_id
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        task = plan.progress.add_task(f"making the stand-in {model.name}", total=None)
        half_made = Path(tempfile.mkdtemp(prefix=".", dir=plan.cache))
        try:
            _make(half_made, plan, model)
            half_made.rename(place)
        except BaseException:
            shutil.rmtree(half_made)
            raise
        plan.progress.remove_task(task)
    return place


def float32_bytes(place: Path) -> int:
    """Bytes of a model's weights in float32, however they are stored."""
    with (place / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}
    entries = [entry for name, entry in header.items() if name != "__metadata__" and entry["dtype"] in sizes]
    return sum(
        4 * (end - begin) // sizes[entry["dtype"]] for entry in entries for begin, end in [entry["data_offsets"]]
    )


def _make(place: Path, plan: Plan, model: StandIn) -> None:
    import torch  # noqa: PLC0415  # only who makes a stand-in needs it

    transformers = library()
    source = plan.data / "checkpoints" / model.checkpoint if plan.data else None
    config = json.loads((source / "config.json").read_text()) if source else model.config
    (place / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copyfile((source or BUNDLED / DEFAULT_MODEL) / "vocab.txt", place / "vocab.txt")
    (place / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"}) + "\n"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    texts = tokenizer(english(plan.data)[:SAMPLE], padding=True, return_tensors="pt", return_token_type_ids=False)
    torch.manual_seed(EDITION)
    full_config = transformers.AutoConfig.from_pretrained(place)
    network = transformers.AutoModelForSequenceClassification.from_config(full_config, dtype=torch.float32)
    network.eval()
    with torch.no_grad():
        _randomise(network.named_parameters(), torch)
        for _ in range(24):
            logits = network(**texts).logits
            network.classifier.bias -= logits.mean(0)  # so that no label wins everywhere
            probabilities = (logits - logits.mean(0)).softmax(-1)
            if (probabilities.amax(0) - probabilities.amin(0)).amax() >= MADE_SPREAD:
                break
            for name, parameter in network.named_parameters():
                if parameter.ndim == 2 and "embed" not in name:
                    parameter.mul_(1.15)
        else:
            raise RuntimeError("the weights could not be scaled to a spread of probabilities")
    network.save_pretrained(place)
    (place / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _randomise(parameters: "Iterable[tuple[str, torch.nn.Parameter]]", torch: Any) -> None:
    """Biases and norms too: as initialised, 0 and 1, they would hide being left out or mixed up."""
    for name, parameter in parameters:
        if parameter.ndim == 1:
            centre = 1.0 if name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.05 * torch.randn(parameter.shape))
