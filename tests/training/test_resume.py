"""A training that is stopped goes on as if it had not been."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.paths import ROOT

PROGRAM = """
import random, sys
from functools import partial
from pathlib import Path
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification
from common import Example, Plan, Training, length_sorted_batches

checkpoint, stop_at, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
shape = dict(vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
model = BertForSequenceClassification(BertConfig(**shape))
plan = Plan(seed=0, epochs=2, batch=4, learning_rate=1e-2, warm_up=0.1, weight_decay=0.01, layer_decay=0.9,
            smoothing=0.1, average=0.9, bfloat16=False)
rng = random.Random(1)
examples = [Example([rng.randrange(40) for _ in range(rng.randint(2, 9))], rng.choice([[1.0, 0.0], [0.0, 1.0]]))
            for _ in range(24)]
run = Training(model, plan, partial(cross_entropy, label_smoothing=plan.smoothing), 6, checkpoint)
train_on = run._train_on
def watched(batch):
    loss = train_on(batch)
    if run.step == stop_at:
        run._ask_to_stop(2, None)
    return loss
run._train_on = watched
torch.save(run.run(lambda epoch: length_sorted_batches(examples, 4, random.Random(epoch)), lambda model: 0.5, 5), out)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [4, 9])
def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(tmp_path: Path, stop_at: int) -> None:
    """Bit for bit, dropout and averages included, whether it stops in its first epoch or in a later one."""

    def train(name: str, stop: int) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", PROGRAM, tmp_path / f"{name}.checkpoint", str(stop), tmp_path / f"{name}.pt"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "training")}
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=environment)

    whole, stopped, resumed = train("whole", 0), train("stopped", stop_at), train("stopped", 0)

    assert (0, 1, 0) == (whole.returncode, stopped.returncode, resumed.returncode), whole.stderr + resumed.stderr
    assert f"stopped after step {stop_at}" in stopped.stderr
    assert f"resumed at step {stop_at} of 12" in resumed.stdout
    expected, found = (torch.load(tmp_path / f"{name}.pt") for name in ("whole", "stopped"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
