"""Models for the test hub, and a catalogue that gets them from there."""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

from labeld.config.load import load
from labeld.repository.resolver import Resolver
from labeld.service.build import open_resolver
from tests.support.local_hub import LocalHub
from tests.support.server_process import LABELD


def classifier(seed: int = 0, size: int = 300_000, model_type: str = "bert") -> dict[str, bytes]:
    """Files of a repository as there are many: a classifier in two formats, and much that nobody needs."""
    noise = random.Random(seed).randbytes
    architecture = {"bert": "BertForSequenceClassification"}.get(model_type, "OtherModel")
    return {
        "config.json": json.dumps(
            {"model_type": model_type, "architectures": [architecture], "vocab_size": 5}
        ).encode(),
        "vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n",
        "tokenizer_config.json": b"{}",
        "model.safetensors": noise(size),
        **dict.fromkeys(("pytorch_model.bin", "model.onnx", "tf_model.h5", "flax_model.msgpack"), noise(1000)),
        **dict.fromkeys(("README.md", ".gitattributes", "training_args.bin"), b"text"),
    }


NEEDED = ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
"""Those of a classifier's files that must be downloaded."""


def start(flags: dict[str, Any], environment: dict[str, str]) -> Resolver:
    """A resolver made from a server's settings."""
    settings = load(flags, environment)
    return open_resolver(settings, settings.hub_policy())


def resolver(its_hub: LocalHub, tmp_path: Path, **flags: Any) -> Resolver:
    """The models of a store in `tmp_path` and of this Hub."""
    token = flags.pop("hf_token", "")
    environment = {"HF_ENDPOINT": its_hub.url, "HF_TOKEN": token, "LABELD_STORE_DIR": str(tmp_path / "store")}
    environment["HF_HUB_CACHE"] = str(tmp_path / "hf-cache")
    return start({"hub_timeout": 30, **flags}, environment)


def pulling(its_hub: LocalHub, tmp_path: Path, *flags: str, stderr: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    """A process that downloads org/model into the same store."""
    variables = {
        "HF_ENDPOINT": its_hub.url,
        "LABELD_STORE_DIR": str(tmp_path / "store"),
        "COLUMNS": "120",
        "TERM": "xterm",
    }
    command = [LABELD, "models", "pull", "org/model", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | variables)
