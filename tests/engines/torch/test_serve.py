"""Models without a packed graph over HTTP: with the torch extra, without it, and with code of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2Tokenizer,
    pipeline,
)

from tests.support.rankings import same
from tests.support.server_process import serving, wait_until
from tests.support.tiny_models import NAMES, TEXTS, VOCABULARY, save, seeded

ALBERT = {
    "vocab_size": len(VOCABULARY),
    "embedding_size": 32,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 128,
}
PAIR = {"text": "the market fell", "text_pair": "it is not good"}
CODE = 'from pathlib import Path\nPath({!r}).write_text("ran")\n'


def save_gpt2(folder: Path) -> None:
    """A GPT-2 with a byte-level tokenizer that adds nothing to a text, and without a pad token."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    folder.mkdir(parents=True)
    trained.save_model(str(folder))
    tokenizer = GPT2Tokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64, num_labels=3)
    seeded(GPT2ForSequenceClassification, config).save_pretrained(folder)


@pytest.fixture(scope="module")
def root(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`org/bert`, which needs no torch, and beside it what does."""
    root = tmp_path_factory.mktemp("torch")
    shutil.copytree(models_dir / "org/bert", root / "org/bert")
    save(AlbertForSequenceClassification, AlbertConfig(**ALBERT, id2label=NAMES), root / "org/albert")
    save_gpt2(root / "org/gpt2")
    shutil.copytree(root / "org/albert", root / "org/unknown")
    configure(root / "org/unknown", model_type="mamba")
    return root


def configure(folder: Path, **keys: Any) -> None:
    """Changes keys of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def expected(folder: Path, text: Any) -> list[dict[str, Any]]:
    """Answers of transformers' pipeline."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    ask = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder))
    ranking: list[dict[str, Any]] = ask(text, top_k=None)
    return ranking


def test_other_architectures_are_served_beside_packed_ones(root: Path, tmp_path: Path) -> None:
    """Texts and pairs together, with the answers of transformers; what nobody can run is refused and harms no one."""
    with serving(tmp_path, "org/bert", "--models-dir", str(root), "--streams", "2") as server:
        for model in ("org/albert", "org/gpt2"):
            inputs = [*(text for text in TEXTS if text), PAIR]
            wanted = [expected(root / model, text) for text in inputs]

            same(server.classify(inputs, model), wanted)
            same([server.classify(text, model)[0] for text in inputs], wanted)
        empty = server.post("/models/org/gpt2", json={"inputs": ["a", ""]})
        unknown = server.post("/models/org/unknown", json={"inputs": "a"})

        assert 3 == len(server.classify("a", "org/bert")[0])
    log = server.log.read_text()
    assert 400 == empty.status_code
    assert "A text of `inputs` has no tokens" in empty.json()["error"]
    assert 500 == unknown.status_code
    assert "has no ForSequenceClassification for model_type 'mamba'" in unknown.json()["error"]
    assert "Traceback" not in log
    assert "Loading weights" not in log


@pytest.mark.parametrize("module", ["torch", "torch._C"])
def test_without_the_extra_the_sentence_says_which(root: Path, tmp_path: Path, module: str) -> None:
    """Where torch is not there, or broken, the model is refused and the others are served."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    blocked.joinpath("sitecustomize.py").write_text(f"import sys\nsys.modules['{module}'] = None\n")  # in every process
    path = os.pathsep.join([str(blocked), os.environ.get("PYTHONPATH", "")])
    sentence = "config.json: model_type 'albert' needs the torch engine: pip install 'labeld[torch]'."
    with serving(tmp_path, "org/bert", "--models-dir", str(root), PYTHONPATH=path) as server:
        if module == "torch":  # seen without importing anything, and warned of at start
            assert wait_until(lambda: f"org/albert cannot be served: {sentence}" in server.log.read_text())
        reply = server.post("/models/org/albert", json={"inputs": "a"})

        assert 500 == reply.status_code
        assert f"Model org/albert cannot be loaded: {sentence}" == reply.json()["error"]
        assert 3 == len(server.classify("a", "org/bert")[0])
        assert "Traceback" not in server.log.read_text()


def test_looking_at_a_folder_does_not_import_torch(root: Path) -> None:
    """Nor does loading a model that has a packed graph."""
    program = """
import sys
from pathlib import Path
from labeld.engines import open_engine
from labeld.engines.base import EngineOptions
from labeld.lifecycle.model import check_folder
from labeld.checkpoint.config import read_config

for name in sys.argv[1:]:
    check_folder(Path(name))
open_engine(Path(name), read_config(Path(name)), EngineOptions())
print(*{"torch", "transformers"} & set(sys.modules))
"""
    folders = [str(root / "org" / name) for name in ("albert", "bert")]
    done = subprocess.run(
        [sys.executable, "-c", program, *folders], capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "\n") == (done.returncode, done.stdout), done.stderr


LOAD = """
import sys
from pathlib import Path

from labeld.engines import open_engine
from labeld.engines.base import EngineOptions
from labeld.engines.torch.engine import TorchEngine
from labeld.errors import LabeldError
from labeld.lifecycle.model import check_folder
from labeld.checkpoint.config import read_config

root, seen = sys.argv[1], []

def watch(event, arguments):
    if event == "open" and str(arguments[0]).startswith(root):
        seen.append(Path(arguments[0]).name)
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")):
        seen.append(event)

sys.addaudithook(watch)
for name in sys.argv[2:]:
    folder = Path(root, name)
    try:
        check_folder(folder)
        print(type(open_engine(folder, read_config(folder), EngineOptions())).__name__)
    except LabeldError as error:
        print(error)
print(*sorted(set(seen)))
"""


def test_no_code_of_a_folder_runs(root: Path, tmp_path: Path) -> None:
    """Code beside a model is not even opened, whatever its JSON files say of it, and nothing is fetched or started."""
    # NOTE: it is ignored where the model_type is one of ours or where it is the tokenizer's; else the model is refused
    canary, models = tmp_path / "canary", tmp_path / "models"
    evil = {"AutoModelForSequenceClassification": "evil.Model", "AutoConfig": "evil.Config", "AutoTokenizer": "evil.T"}
    code = CODE.format(str(canary))
    for name, source, keys in (
        ("packed", "org/bert", {"auto_map": evil}),
        ("theirs", "org/albert", {"auto_map": evil}),
        ("custom", "org/albert", {"auto_map": evil, "model_type": "custom"}),
        ("albert", "org/albert", {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel"}),
    ):
        shutil.copytree(root / source, models / name)
        configure(models / name, **keys)
        for file in ("evil.py", "modeling_albert.py", "configuration_albert.py", "__init__.py"):
            (models / name / file).write_text(code)
        tokenizer = json.loads((models / name / "tokenizer_config.json").read_text())
        tokenizer |= {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}, "tokenizer_class": "evil.T"}
        (models / name / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(models), "packed", "theirs", "custom", "albert"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    refused = "config.json: model_type {!r} comes with code of its own (auto_map), which labeld never runs."

    assert 0 == done.returncode, done.stderr
    *answers, seen = done.stdout.splitlines()
    assert ["OpenVinoEngine", refused.format("albert"), refused.format("custom"), "TorchEngine"] == answers
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} == set(seen.split())
    assert not canary.exists()
